// Servers, masters and primaries of one chunk on a table: every message is moved by hand.

import {
  type AuthorityAnswer,
  activateEpoch,
  type ChunkAuthority,
  createAuthority,
  grantEpoch,
  invariant,
  type ServerId,
  serverId,
  sessionId,
} from "@lumeofs/base";
import type { ReplicaMessage, ReplicaReply } from "../../src/replication/message.js";
import { beginEpoch, stepPrimary } from "../../src/replication/primary.js";
import type {
  AppendRequest,
  PrimaryInput,
  PrimaryOutput,
  PrimaryState,
} from "../../src/replication/primary-state.js";
import { emptyReplica, type ReplicaState, stepReplica } from "../../src/replication/replica.js";

export const [A, B, C, D] = [1, 2, 3, 4].map(serverId) as [ServerId, ServerId, ServerId, ServerId];

/** The request number is the write's number. */
export function write(
  number: number,
  lengthBytes = 10,
): { readonly kind: "append" } & AppendRequest {
  const id = { client: sessionId(1), writeSeq: number };
  return { kind: "append", request: number, write: id, lengthBytes, crc32c: number };
}

/** A primary whose outputs wait until a test moves them. */
export class Leader {
  state: PrimaryState;
  readonly sent: { to: ServerId; message: ReplicaMessage }[] = [];
  /** Everything it put out that is not a message to a replica. */
  readonly said: Exclude<PrimaryOutput, { kind: "send" }>[] = [];
  readonly #group: Group;

  constructor(group: Group) {
    this.#group = group;
    const { state, outputs } = beginEpoch(group.authority.newest);
    this.state = state;
    this.#take(outputs);
  }

  step(input: PrimaryInput): void {
    const { state, outputs } = stepPrimary(this.state, input);
    this.state = state;
    this.#take(outputs);
  }

  /** Delivers what was sent to these servers, with all answers, until nothing is left for them. */
  talk(...servers: readonly ServerId[]): void {
    for (let at = this.#next(servers); at !== -1; at = this.#next(servers)) {
      const [flight] = this.sent.splice(at, 1);
      invariant(flight !== undefined, "there is a message to deliver");
      this.hear(flight.to, this.#group.deliver(flight.to, flight.message));
    }
  }

  hear(from: ServerId, reply: ReplicaReply): void {
    this.step({ kind: "received", from, reply });
  }

  /** Has the masters answer what it asked of them. */
  askMasters(): void {
    const asked = this.said.findLast(({ kind }) => kind === "activate");
    if (asked?.kind !== "activate") return;
    const answer = activateEpoch(this.#group.authority, asked.epoch);
    if (answer.kind === "done") this.#group.authority = answer.authority;
    this.step({ kind: "activated", isDone: answer.kind === "done" });
  }

  /** From the grant to active, with the help of these servers. */
  activate(...servers: readonly ServerId[]): this {
    this.talk(...servers);
    this.askMasters();
    return this;
  }

  acknowledged(): readonly number[] {
    return this.said.flatMap((one) => (one.kind === "appended" ? [one.request] : []));
  }

  #next(servers: readonly ServerId[]): number {
    return this.sent.findIndex(({ to }) => servers.includes(to));
  }

  #take(outputs: readonly PrimaryOutput[]): void {
    for (const output of outputs) {
      if (output.kind === "send") this.sent.push(output);
      else this.said.push(output);
    }
  }
}

export class Group {
  authority: ChunkAuthority = createAuthority([A, B, C]);
  readonly replicas = new Map<ServerId, ReplicaState>([A, B, C, D].map((s) => [s, emptyReplica()]));

  replica(server: ServerId): ReplicaState {
    const state = this.replicas.get(server);
    invariant(state !== undefined, "the server is there", { server });
    return state;
  }

  deliver(server: ServerId, message: ReplicaMessage): ReplicaReply {
    const { state, write: written } = stepReplica(this.replica(server), message);
    this.replicas.set(server, state);
    return written.then;
  }

  /** The primary of the epoch that was granted last. */
  lead(): Leader {
    return new Leader(this);
  }

  grant(primary: ServerId, members: readonly ServerId[] = [A, B, C]): Leader {
    this.authority = done(grantEpoch(this.authority, { primary, members }));
    return this.lead();
  }

  /** What a server holds, as `epoch:what`. */
  records(server: ServerId): readonly string[] {
    const { history } = this.replica(server);
    return history.slice(1, history.lastSeq).map(({ epoch, content }) => {
      return `${epoch}:${content.kind === "data" ? content.write.writeSeq : content.kind}`;
    });
  }
}

function done(answer: AuthorityAnswer): ChunkAuthority {
  invariant(answer.kind === "done", "the masters agree", { answer });
  return answer.authority;
}
