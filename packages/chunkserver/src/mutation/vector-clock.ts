// Who has written how many records of a chunk: evidence about its history, never an arbiter. What
// happens is decided by (epoch, seq); the clock lets us notice if that decision was ever wrong.

import type { ServerId } from "@lumeofs/base";

/** Records written by each primary. A missing entry is zero; there are no zero entries. */
export type VectorClock = ReadonlyMap<ServerId, number>;

export type ClockOrder = "BEFORE" | "AFTER" | "EQUAL" | "CONCURRENT";

export const EMPTY_CLOCK: VectorClock = new Map();

/** The clock after one more record of `author`. */
export function increment(clock: VectorClock, author: ServerId): VectorClock {
  return new Map(clock).set(author, (clock.get(author) ?? 0) + 1);
}

/** The smallest clock that is not before either. */
export function merge(a: VectorClock, b: VectorClock): VectorClock {
  const merged = new Map(a);
  for (const [author, count] of b) merged.set(author, Math.max(count, merged.get(author) ?? 0));
  return merged;
}

/** How `a` stands to `b`. */
export function compare(a: VectorClock, b: VectorClock): ClockOrder {
  let isLess = false;
  let isMore = false;
  for (const author of new Set([...a.keys(), ...b.keys()])) {
    const left = a.get(author) ?? 0;
    const right = b.get(author) ?? 0;
    isLess ||= left < right;
    isMore ||= right < left;
  }
  if (isLess && isMore) return "CONCURRENT";
  if (isLess) return "BEFORE";
  return isMore ? "AFTER" : "EQUAL";
}
