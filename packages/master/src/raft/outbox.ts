// The outputs of one step, gathered in any order and put out in one:
//
//   role, membership, answers to the caller, persist, installSnapshot, messages, snapshots to send,
//   apply, reads
//
// O1. A message that asserts durability goes to `after` and leaves as `then` of the persist of this
//     step. Writes are carried out in order, so by then everything decided before is durable too.
// O2. A step has at most one persist.

import type { NodeId } from "@lumeofs/base";
import type { HardState } from "./entry.js";
import type { LogChange } from "./log.js";
import type { Envelope, RaftMessage, RaftOutput } from "./message.js";

/** The messages that say "this is on my disk", or that an election may rest on. */
export type DurableMessage = Extract<
  RaftMessage,
  { kind: "appendReply" | "snapshotReply" | "voteReply" | "vote" }
>;

/** Messages that are true whatever a crash destroys. A vote only as long as it is a `pre` vote. */
export type VolatileMessage = Exclude<
  RaftMessage,
  { kind: "appendReply" | "snapshotReply" | "voteReply" }
>;

/** What the caller of an input waits for in the same step. */
type Answer = Extract<
  RaftOutput,
  {
    kind:
      | "accepted"
      | "refused"
      | "changeAccepted"
      | "changeRefused"
      | "transferStarted"
      | "transferRefused";
  }
>;

/** Anything that comes behind this step's persist. */
type Later = Exclude<RaftOutput, Answer | { kind: "persist" | "role" | "membership" }>;

export class Outbox {
  #before: RaftOutput[] = [];
  #then: Envelope[] = [];
  #behind: RaftOutput[] = [];

  /** Sends at once. */
  send(to: NodeId, message: VolatileMessage): void {
    this.#behind.push({ kind: "send", to, message });
  }

  /** Sends when everything decided up to now, this step included, is durable. */
  after(to: NodeId, message: DurableMessage): void {
    this.#then.push({ to, message });
  }

  /** What the caller waits for in this very step. */
  answer(output: Answer): void {
    this.#before.push(output);
  }

  /** Anything that comes behind this step's persist. */
  emit(output: Later): void {
    this.#behind.push(output);
  }

  get hasThen(): boolean {
    return 0 < this.#then.length;
  }

  /** Puts the step's persist in its place; the messages of `after` go with it. */
  persist(write: number, hardState: HardState | undefined, change: LogChange): void {
    this.#before.push({ kind: "persist", write, hardState, ...change, then: this.#then });
    this.#then = [];
  }

  /** Everything of this step, in order; the outbox is empty then. */
  take(): readonly RaftOutput[] {
    const outputs = this.#before;
    for (const output of this.#behind) outputs.push(output);
    this.#before = [];
    this.#behind = [];
    return outputs;
  }
}
