// What all clients together may have under way at a master: many streams, each within its own
// bound, would still add up to any amount of memory.
//
// O1. An operation takes room from its beginning until its answer has left, by estimate of what
//     the answer and the work on it take at most.
// O2. Without room an operation is answered OVERLOADED at once: nothing waits for room.
// O3. A client that reads no answers hinders itself first: its stream holds a part of the room
//     only, and is read no further until there is some.
// O4. Pages are read a few at a time in each turn of the event loop, however many are asked for at
//     once: heartbeats and votes must not wait for all of them.

import { KiB, LumeoError, MiB } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import { INLINE_BYTES_MAX } from "../metadata/inline-table.js";
import { bytesOfLabels } from "../metadata/queries.js";

/** Of all streams. */
const ROOM_BYTES = 256 * MiB;
/** Any operation and its answer. */
export const OPERATION_BYTES = 2 * KiB;
const NAME_BYTES = 512;
const CHUNK_BYTES = 256;
/** Of pages, that are read in one turn of the event loop; one more may begin below it. */
const TURN_BYTES = 1 * MiB;
/** A page without a size of its own is at most so long. */
const PAGE_MAX = 1_000;

const RETRY_AFTER_MS = 100;

type Wire = lumeo.master.v1.IOperation;

/** The room of one master, shared by its streams. */
export class OperationRoom {
  readonly #bytesMax: number;
  #usedBytes = 0;
  #refused = 0;
  /** Of pages that were begun in this turn. */
  #turnBytes = 0;
  #pages: { readonly bytes: number; readonly begin: () => void }[] = [];

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

  /** Reads a page of so many entries when it is its turn (O4). */
  async inTurn<T>(countMax: number, read: () => T | Promise<T>): Promise<T> {
    const bytes = pageBytes(countMax);
    if (TURN_BYTES <= this.#turnBytes) {
      await new Promise<void>((begin) => this.#pages.push({ bytes, begin }));
    } else {
      this.#take(bytes);
    }
    return read();
  }

  #take(bytes: number): void {
    if (this.#turnBytes === 0) setImmediate(() => this.#beginTurn());
    this.#turnBytes += bytes;
  }

  #beginTurn(): void {
    this.#turnBytes = 0;
    let count = 0;
    for (const { bytes, begin } of this.#pages) {
      if (TURN_BYTES <= this.#turnBytes) break;
      this.#take(bytes);
      begin();
      count++;
    }
    this.#pages.splice(0, count);
  }
}

function pageBytes(countMax: number): number {
  return NAME_BYTES * Math.min(countMax || PAGE_MAX, PAGE_MAX);
}

/** What an operation takes at most, roughly. */
export function roomOf(wire: Wire): number {
  const page =
    wire.list ?? wire.listTrash ?? wire.listVersions ?? wire.listSnapshots ?? wire.listLocks;
  if (page) return OPERATION_BYTES + pageBytes(page.countMax ?? 0);
  const chunks =
    wire.stat?.chunkCountMax ?? wire.commit?.chunks?.length ?? wire.addChunks?.chunks?.length;
  const { metadata, tags } = wire.commit ?? {};
  const labels = bytesOfLabels(metadata ?? {}) + bytesOfLabels(tags ?? {});
  const inline = wire.stat?.chunkCountMax
    ? INLINE_BYTES_MAX
    : (wire.commit?.inlineBytes?.byteLength ?? 0);
  return OPERATION_BYTES + CHUNK_BYTES * Math.min(chunks ?? 0, PAGE_MAX) + labels + inline;
}

export function noRoom(): LumeoError {
  const message = "Cannot take the operation: this master has too many under way. Try again";
  return new LumeoError("OVERLOADED", message, { retryAfterMs: RETRY_AFTER_MS });
}
