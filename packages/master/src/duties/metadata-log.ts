// The replicated metadata as services and duties use it: commands in, replies out, and linearizable
// reads. Puts the leader's time into every command and translates between values and bytes.

import { type Clock, LumeoError } from "@lumeofs/base";
import type { Replication } from "../consensus/replication.js";
import { isSetUp } from "../metadata/cluster.js";
import type { Command, Reply, RequestId } from "../metadata/command.js";
import { encodeProposal } from "../metadata/command-codec.js";
import { decodeReply } from "../metadata/reply-codec.js";
import type { StateReader } from "../metadata/state.js";

export class MetadataLog {
  readonly #replication: Replication;
  readonly #reader: StateReader;
  readonly #clock: Clock;
  /** Never taken back. */
  #isSetUp = false;
  /** Of the last term in which somebody asked for it. */
  #mandate: { readonly term: number; readonly number: number } | undefined;

  constructor(parts: {
    readonly replication: Replication;
    readonly reader: StateReader;
    readonly clock: Clock;
  }) {
    this.#replication = parts.replication;
    this.#reader = parts.reader;
    this.#clock = parts.clock;
  }

  /** Applies a command on a majority. Throws as `Replication.propose`; a refusal is a reply. */
  change(command: Command, request?: RequestId): Promise<Reply> {
    const bytes = encodeProposal({ at: this.#clock.wallMs(), request, command });
    return this.#replication.propose(bytes).then(decodeReply);
  }

  /**
   * The state, with everything in it that was acknowledged before, for work that only the leader
   * does. Throws as `checkLeading` and `Replication.read`.
   */
  async read(): Promise<StateReader> {
    this.checkLeading();
    await this.#replication.read();
    return this.#reader;
  }

  /** Whether this master leads, as far as it knows. */
  get isLeading(): boolean {
    return this.#replication.status.role === "leader";
  }

  /** The term of office: what one leader has begun, the next one finds in the state only. */
  get term(): number {
    return this.#replication.status.term;
  }

  /**
   * What this leader's orders bear, so that whoever has had an order of a later one refuses them: a
   * revision of the log that was reached in this term, always the same one. Later leaders have
   * higher ones, also those of a group that is founded from a backup. Throws as `read`.
   */
  async mandate(): Promise<number> {
    const { term } = this;
    this.checkLeading();
    if (this.#mandate?.term !== term) {
      // An entry of this term is committed before it is answered: no earlier leader came so far.
      const number = await this.#replication.read();
      this.checkLeading();
      if (this.term !== term) {
        throw new LumeoError("NOT_LEADER", "This master leads in another term by now");
      }
      if (this.#mandate?.term !== term) this.#mandate = { term, number };
    }
    return this.#mandate.number;
  }

  /** host:port of the leader, if it is known. */
  get leaderAddress(): string | undefined {
    return this.#replication.status.leaderAddress;
  }

  /** The state as this master has it, which may be behind. */
  get local(): StateReader {
    return this.#reader;
  }

  /**
   * The same, for queries of the tree.
   *
   * @throws UNAVAILABLE before the first leader has founded the cluster: there is no root yet.
   */
  get localTree(): StateReader {
    this.#isSetUp ||= isSetUp(this.#reader);
    if (this.#isSetUp) return this.#reader;
    throw new LumeoError("UNAVAILABLE", "The cluster is being set up: try again in a moment");
  }

  /** @throws NOT_LEADER if this master does not lead now, as far as it knows. */
  checkLeading(): void {
    const { role, leader, leaderAddress } = this.#replication.status;
    if (role === "leader") return;
    const who = leader === undefined ? "no leader is known" : `the leader is ${leader}`;
    const details = leaderAddress === undefined ? {} : { leader: leaderAddress };
    throw new LumeoError("NOT_LEADER", `This master does not lead: ${who}`, details);
  }
}
