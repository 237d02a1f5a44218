// What a primary knows of its conversation with each member: when it spoke to it last, since when an
// answer is owed, and how much it was told to be committed.

import type { MonotonicMs, ServerId } from "@lumeofs/base";
import type { ReplicaMessage } from "../replication/message.js";

/** A member that owes an answer for so long is not waited for at the end. */
const SILENT_MS = 1_000;

interface Contact {
  spokenAt: MonotonicMs;
  owedSince: MonotonicMs | undefined;
  toldSeq: number;
}

/** See the head of this file. */
export class MemberContacts {
  readonly #contacts = new Map<ServerId, Contact>();

  /** A message has been put out. */
  spoke(to: ServerId, message: ReplicaMessage, now: MonotonicMs): void {
    const before = this.#contacts.get(to);
    const toldSeq = message.kind === "append" ? message.commitSeq : (before?.toldSeq ?? 0);
    this.#contacts.set(to, { spokenAt: now, owedSince: before?.owedSince ?? now, toldSeq });
  }

  /** An answer has come. */
  heard(from: ServerId): void {
    const contact = this.#contacts.get(from);
    if (contact !== undefined) contact.owedSince = undefined;
  }

  /** Since anything was put out for it. */
  quietMs(server: ServerId, now: MonotonicMs): number {
    return now - (this.#contacts.get(server)?.spokenAt ?? 0);
  }

  /** Up to where the member was told last that records are committed. */
  toldSeq(server: ServerId): number {
    return this.#contacts.get(server)?.toldSeq ?? 0;
  }

  isSilent(server: ServerId, now: MonotonicMs): boolean {
    return SILENT_MS <= now - (this.#contacts.get(server)?.owedSince ?? Infinity);
  }
}
