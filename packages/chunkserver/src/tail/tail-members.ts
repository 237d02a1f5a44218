// The members of one growing chunk as its primary sees them: what it says to each, since when an
// answer is owed, who is to be spoken to again, and who is waited for.

import type { MonotonicMs, ServerId } from "@lumeofs/base";
import type { ReplicaMessage } from "../replication/message.js";
import type { Leading, PrimaryState } from "../replication/primary-state.js";
import { APPEND_BYTES_MAX, IN_FLIGHT_BYTES_MAX } from "../replication/progress.js";
import { Outbox, type OutboxPorts } from "./outbox.js";

/** A member that has not answered for this long is spoken to again. */
const RESEND_MS = 300;
/** After so long without a record, members are told what is committed. */
const TELL_MS = 50;
/** A member that owes answers, and gives none for so long, is not waited for. */
const SILENT_MS = 1_000;
/**
 * A member that is so far behind is waited for: what it has not been sent by now would have to be
 * read from the log for it, and it would be the last one at the seal.
 */
const BEHIND_BYTES_MIN = IN_FLIGHT_BYTES_MAX - APPEND_BYTES_MAX;
/** One that is so far behind has been away, and gets the rest in its own time. */
const BEHIND_BYTES_MAX = 2 * IN_FLIGHT_BYTES_MAX;

interface Member {
  readonly outbox: Outbox;
  spokenAt: MonotonicMs | 0;
  /** Since the last answer, or the first message behind it, while answers are owed. */
  owedSince: MonotonicMs | undefined;
  /** The committed number that it was told last. */
  toldSeq: number;
}

/** See the head of this file. */
export class TailMembers {
  readonly #members = new Map<ServerId, Member>();

  constructor(servers: Iterable<ServerId>, ports: (to: ServerId) => OutboxPorts) {
    for (const server of servers) {
      const outbox = new Outbox(ports(server));
      this.#members.set(server, { outbox, spokenAt: 0, owedSince: undefined, toldSeq: 0 });
    }
  }

  send(to: ServerId, message: ReplicaMessage, now: MonotonicMs): void {
    const member = this.#members.get(to);
    if (member === undefined) return;
    if (message.kind === "append") member.toldSeq = message.commitSeq;
    member.spokenAt = now;
    member.owedSince ??= now;
    member.outbox.push(message);
  }

  /** An answer has come. */
  heard(from: ServerId, now: MonotonicMs): void {
    const member = this.#members.get(from);
    if (member !== undefined) member.owedSince = member.outbox.owesMore ? now : undefined;
  }

  /** Nothing that waits is said any more. */
  clear(): void {
    for (const { outbox } of this.#members.values()) outbox.clear();
  }

  isSilent(server: ServerId, now: MonotonicMs): boolean {
    return SILENT_MS <= now - (this.#members.get(server)?.owedSince ?? Infinity);
  }

  /** Who is to be spoken to again: what was said to them is lost, or they do not know enough. */
  neglected(state: PrimaryState, now: MonotonicMs): ReadonlySet<ServerId> {
    const found = new Set<ServerId>();
    for (const [server, { outbox, spokenAt, toldSeq }] of this.#members) {
      if (!outbox.isIdle) continue;
      const quietMs = now - spokenAt;
      const isLacking = RESEND_MS <= quietMs && isBehind(server, state);
      const isUntold = state.kind === "leading" && toldSeq < state.commitSeq;
      if (isLacking || (TELL_MS <= quietMs && isUntold)) found.add(server);
    }
    return found;
  }

  /** Whether somebody who answers is a little behind: then no more is taken for now. */
  isAnyAwaited({ history, progress }: Leading, now: MonotonicMs): boolean {
    for (const server of this.#members.keys()) {
      const matched = Math.min(progress.get(server)?.matched ?? 0, history.lastSeq);
      const behind = history.lengthBytes - history.endOf(matched);
      const isNear = BEHIND_BYTES_MIN <= behind && behind <= BEHIND_BYTES_MAX;
      if (isNear && !this.isSilent(server, now)) return true;
    }
    return false;
  }
}

function isBehind(server: ServerId, state: PrimaryState): boolean {
  if (state.kind === "fetching") return server === state.donor;
  if (state.kind === "fencing") return state.testimonies.get(server)?.kind !== "fenced";
  if (state.kind !== "leading") return false;
  const progress = state.progress.get(server);
  return progress !== undefined && progress.matched < state.history.lastSeq;
}
