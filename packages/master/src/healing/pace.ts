// How fast copies are made: moves at once, and bytes a second, of each server in each direction. A
// server that clients write to and read from must not notice that it heals another one.

import { type MonotonicMs, type ServerId, SMALL_CHUNK_BYTES_MAX } from "@lumeofs/base";

export interface PaceLimits {
  /** Moves at once of one server, as source and as target each, by their weight. */
  readonly movesPerServer: number;
  /** So many small chunks weigh as much as a large one: they travel and are synced together. */
  readonly smallForOne: number;
  /** In all. */
  readonly movesMax: number;
  /** Of one server, as source and as target each. */
  readonly bytesPerSecond: number;
}

/** Moves of so many milliseconds may be begun in advance: many small ones in one piece of work. */
const AHEAD_MS = 50;

/** What a move counts among those that a server makes at once. */
export function weightOf(bytes: number, { smallForOne }: Pick<PaceLimits, "smallForOne">): number {
  return bytes <= SMALL_CHUNK_BYTES_MAX ? 1 / smallForOne : 1;
}

/** Which way bytes go: from a source, or to a target. */
export type Direction = "out" | "in";

/** A move that is under way. */
export interface Way {
  /** Each gives all of the bytes: one for a copy, several where a unit is rebuilt. */
  readonly sources: readonly ServerId[];
  readonly target: ServerId;
  /** Of the new copy. */
  readonly bytes: number;
}

export class Pace {
  readonly #limits: PaceLimits;
  readonly #under = { out: new Map<ServerId, number>(), in: new Map<ServerId, number>() };
  /** When a server may take up more: each move takes the time of its bytes. */
  readonly #freeAt = { out: new Map<ServerId, number>(), in: new Map<ServerId, number>() };
  #count = 0;

  constructor(limits: PaceLimits) {
    this.#limits = limits;
  }

  /** No more moves may begin anywhere. */
  get isFull(): boolean {
    return this.#limits.movesMax <= this.#count;
  }

  /** Whether a server may take up one more move now. */
  mayTake(server: ServerId, direction: Direction, now: MonotonicMs): boolean {
    if (this.#limits.movesPerServer <= this.under(server, direction)) return false;
    return (this.#freeAt[direction].get(server) ?? 0) < now + AHEAD_MS;
  }

  /** What the moves of a server that are under way weigh. */
  under(server: ServerId, direction: Direction): number {
    return this.#under[direction].get(server) ?? 0;
  }

  begin(way: Way, now: MonotonicMs): void {
    this.#count++;
    const weight = weightOf(way.bytes, this.#limits);
    for (const [direction, server, bytes] of endsOf(way)) {
      this.#under[direction].set(server, this.under(server, direction) + weight);
      const from = Math.max(now, this.#freeAt[direction].get(server) ?? 0);
      const takesMs = (bytes / this.#limits.bytesPerSecond) * 1_000;
      this.#freeAt[direction].set(server, from + takesMs);
    }
  }

  end(way: Way): void {
    this.#count--;
    const weight = weightOf(way.bytes, this.#limits);
    for (const [direction, server] of endsOf(way)) {
      this.#under[direction].set(server, this.under(server, direction) - weight);
    }
  }
}

/** Servers at both ends, and what passes there. */
function endsOf({
  sources,
  target,
  bytes,
}: Way): readonly (readonly [Direction, ServerId, number])[] {
  const out = sources.map((source) => ["out", source, bytes] as const);
  return [...out, ["in", target, bytes * sources.length]];
}
