// Linearizable reads at a member that does not lead.                                   thesis §6.4
//
// The member asks its leader from which index on a read may be served, and serves it itself once it
// has applied that far. The leader asks a majority as for its own reads: this member adds load only
// of the size of one message, however many callers share the read.
//
// F1. A question is asked of the leader that is followed now, in its term. Whoever follows another
//     one, or none, has refused all its reads before: nothing is served on the word of a past one.
// F2. A question that was lost is repeated under its id. Every answer to it is true: the round that
//     confirmed it began after the first asking, and so after the read itself.

import type { NodeId } from "@lumeofs/base";
import { type LogIndex, logIndex } from "./entry.js";
import type { Member } from "./member.js";
import type { RaftMessage } from "./message.js";
import { READS_WAITING_MAX } from "./read-index.js";
import type { Follower } from "./role.js";

type Reply = Extract<RaftMessage, { kind: "readIndexReply" }>;

/** What a follower has asked and not heard. */
export class ForwardedReads {
  readonly #waiting = new Set<number>();
  #ticksToRepeat = 0;

  /** False if too many wait. */
  add(id: number): boolean {
    if (READS_WAITING_MAX <= this.#waiting.size) return false;
    this.#waiting.add(id);
    return true;
  }

  /** Whether the read waited; it does no longer. */
  take(id: number): boolean {
    return this.#waiting.delete(id);
  }

  /** Takes all out. */
  abandon(): readonly number[] {
    const ids = [...this.#waiting];
    this.#waiting.clear();
    return ids;
  }

  /** The reads to ask for again, every `periodTicks`. */
  tick(periodTicks: number): Iterable<number> {
    this.#ticksToRepeat--;
    if (0 < this.#ticksToRepeat) return [];
    this.#ticksToRepeat = periodTicks;
    return this.#waiting;
  }
}

/** Asks the leader on behalf of a read. */
export function forwardRead(member: Member, role: Follower, id: number): void {
  const { outbox } = member;
  if (role.leader === undefined) {
    outbox.emit({ kind: "readRefused", id, why: { kind: "notLeader", leader: undefined } });
  } else if (role.reads.add(id)) {
    ask(member, role.leader, id);
  } else {
    outbox.emit({ kind: "readRefused", id, why: { kind: "overloaded" } });
  }
}

/** Asks again for what was not answered (F2). */
export function tickForwardedReads(member: Member, role: Follower): void {
  if (role.leader === undefined) return;
  for (const id of role.reads.tick(member.options.heartbeatTicks)) ask(member, role.leader, id);
}

/** The leader has answered, or the asked one leads no longer. */
export function receiveReadIndexReply(member: Member, { id, index }: Reply): void {
  const { role, outbox } = member;
  if (role.kind !== "follower" || !role.reads.take(id)) return;
  if (index === undefined) {
    outbox.emit({ kind: "readRefused", id, why: { kind: "notLeader", leader: undefined } });
  } else {
    outbox.emit({ kind: "readReady", id, index: logIndex(index) });
  }
}

/** Another leader, or none: what was asked of the old one is over (F1). */
export function refuseForwardedReads(member: Member, leader: NodeId | undefined): void {
  const { role, outbox } = member;
  if (role.kind !== "follower") return;
  for (const id of role.reads.abandon()) {
    outbox.emit({ kind: "readRefused", id, why: { kind: "notLeader", leader } });
  }
}

/** Answers a follower's question. */
export function replyReadIndex(
  member: Member,
  to: NodeId,
  id: number,
  index: LogIndex | undefined,
): void {
  member.outbox.send(to, { kind: "readIndexReply", term: member.term, id, index });
}

function ask(member: Member, leader: NodeId, id: number): void {
  member.outbox.send(leader, { kind: "readIndex", term: member.term, id });
}
