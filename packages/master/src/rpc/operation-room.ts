// What all clients together may have under way at a master: many streams, each within its own
// bound, would still add up to any amount of memory.
//
// O1. An operation takes room from its beginning until its answer has left, by estimate of what
//     the answer and the work on it take at most.
// O2. Without room an operation is answered OVERLOADED at once: nothing waits for room.
// O3. A client that reads no answers hinders itself first: its stream holds a part of the room
//     only, and is read no further until there is some.

import { KiB, LumeoError, MiB } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";

/** Of all streams. */
const ROOM_BYTES = 256 * MiB;
/** Any operation and its answer. */
export const OPERATION_BYTES = 2 * KiB;
const NAME_BYTES = 512;
const CHUNK_BYTES = 256;
/** A page without a size of its own is at most so long. */
const PAGE_MAX = 1_000;

const RETRY_AFTER_MS = 100;

type Wire = lumeo.master.v1.IOperation;

/** The room of one master, shared by its streams. */
export class OperationRoom {
  readonly #bytesMax: number;
  #usedBytes = 0;
  #refused = 0;

  constructor(bytesMax = ROOM_BYTES) {
    this.#bytesMax = bytesMax;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Operations that found no room so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes room, if there is any; `leave` gives it back. */
  enter(bytes: number): boolean {
    if (this.#bytesMax < this.#usedBytes + bytes) {
      this.#refused += 1;
      return false;
    }
    this.#usedBytes += bytes;
    return true;
  }

  leave(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** What an operation takes at most, roughly. */
export function roomOf(wire: Wire): number {
  const page =
    wire.list ?? wire.listTrash ?? wire.listVersions ?? wire.listSnapshots ?? wire.listLocks;
  if (page) return OPERATION_BYTES + NAME_BYTES * Math.min(page.countMax || PAGE_MAX, PAGE_MAX);
  const chunks =
    wire.stat?.chunkCountMax ?? wire.commit?.chunks?.length ?? wire.addChunks?.chunks?.length;
  return OPERATION_BYTES + CHUNK_BYTES * Math.min(chunks ?? 0, PAGE_MAX);
}

export function noRoom(): LumeoError {
  const message = "Cannot take the operation: this master has too many under way. Try again";
  return new LumeoError("OVERLOADED", message, { retryAfterMs: RETRY_AFTER_MS });
}
