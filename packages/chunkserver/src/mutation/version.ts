// The place of a record in the history of its chunk.
//
// V1. Epochs come from the masters; seq counts the records of a chunk without gaps.
// V2. The order by (epoch, seq) is the order of the vector clocks (rule 21 of the chunk protocol):
//     two records that are ordered one way by the one and another way by the other, or concurrent,
//     mean that two primaries wrote at once. That is a bug of ours, and the chunkserver stops.

import { type Epoch, invariant, type ServerId } from "@lumeofs/base";
import { compare, EMPTY_CLOCK, increment, type VectorClock } from "./vector-clock.js";

export interface ChunkVersion {
  readonly epoch: Epoch;
  /** From 1. */
  readonly seq: number;
  readonly clock: VectorClock;
}

/** The version of a chunk's first record. */
export function firstVersion(epoch: Epoch, author: ServerId): ChunkVersion {
  return { epoch, seq: 1, clock: increment(EMPTY_CLOCK, author) };
}

/** The version of the record that follows `previous`. */
export function nextVersion(previous: ChunkVersion, epoch: Epoch, author: ServerId): ChunkVersion {
  return { epoch, seq: previous.seq + 1, clock: increment(previous.clock, author) };
}

/** Negative if `a` is older than `b`, 0 if they are the same record. */
export function compareVersions(a: ChunkVersion, b: ChunkVersion): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}

/** Whether V2 holds for two records of one chunk. If not, one of them should not be. */
export function isOneHistory(a: ChunkVersion, b: ChunkVersion): boolean {
  const byNumber = compareVersions(a, b);
  const expected = byNumber < 0 ? "BEFORE" : byNumber === 0 ? "EQUAL" : "AFTER";
  return compare(a.clock, b.clock) === expected;
}

/**
 * States V2 for two records of one chunk.
 *
 * @throws InvariantViolation if the two orders differ.
 */
export function assertOneHistory(a: ChunkVersion, b: ChunkVersion): void {
  invariant(isOneHistory(a, b), "two histories of one chunk", {
    a: showVersion(a),
    b: showVersion(b),
  });
}

/** For people: epoch, number of the record, and who wrote how many. */
export function showVersion(version: ChunkVersion): string {
  const clock = [...version.clock].map(([author, count]) => `${author}:${count}`).join(" ");
  return `${version.epoch}.${version.seq} {${clock}}`;
}
