// A group of one without a log, for tests of what stands above consensus: every proposal is applied
// at once, and the test decides whether this member leads.

import { LumeoError, type NodeId, nodeId } from "@lumeofs/base";
import type {
  Freshness,
  Replication,
  ReplicationStatus,
  RoleStatus,
} from "../src/consensus/replication.js";
import { applyEntry } from "../src/metadata/state-machine.js";
import { type LogIndex, logIndex, type Term, term } from "../src/raft/entry.js";
import { MemoryState } from "./memory-state.js";

const SELF = nodeId("m1");
const OTHER = nodeId("m2");

export class LoneReplication implements Replication {
  readonly state = new MemoryState();
  /** Thrown by the next proposals, one after the other. */
  readonly failures: unknown[] = [];
  proposals = 0;
  reads = 0;
  freshness: Freshness = { fresh: undefined, confirmed: undefined };
  /** How many entries this member has committed and not applied. */
  behind = 0;
  /** Proposals wait for this before they are applied. */
  gate: Promise<void> = Promise.resolve();
  readonly #listeners = new Set<(role: RoleStatus) => void>();
  #index = 0;
  #term = 1;
  #isLeading = true;

  async propose(command: Uint8Array): Promise<Uint8Array> {
    this.proposals++;
    this.#checkLeading();
    await this.gate;
    if (0 < this.failures.length) throw this.failures.shift();
    return applyEntry(this.state, ++this.#index, command);
  }

  async read(): Promise<LogIndex> {
    this.reads++;
    this.#checkLeading();
    return logIndex(this.#index);
  }

  lead(isLeading: boolean): void {
    this.#isLeading = isLeading;
    this.#term++;
    if (isLeading) this.#index++; // as the entry with which every leader begins
    for (const listener of this.#listeners) listener(this.#role());
  }

  onRole(listener: (role: RoleStatus) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#role());
    return () => this.#listeners.delete(listener);
  }

  get status(): ReplicationStatus {
    const index = logIndex(this.#index);
    return {
      ...this.#role(),
      id: SELF,
      leaderAddress: this.#isLeading ? "m1:1" : "m2:1",
      members: { [SELF]: "m1:1", [OTHER]: "m2:1" } as Readonly<Record<NodeId, string>>,
      commit: index,
      applied: logIndex(index - this.behind),
      durable: index,
      logFirst: logIndex(1),
      logLast: index,
    };
  }

  #role(): RoleStatus {
    const current: Term = term(this.#term);
    return this.#isLeading
      ? { role: "leader", term: current, leader: SELF }
      : { role: "follower", term: current, leader: OTHER };
  }

  #checkLeading(): void {
    if (this.#isLeading) return;
    throw new LumeoError("NOT_LEADER", "This member does not lead", { leader: "m2:1" });
  }
}
