// What each member of a sealed chunk holds: a copy of the whole, or one unit of it.

import { invariant, type ServerId, unitLength } from "@lumeofs/base";
import type { ChunkRecord } from "./chunk-table.js";

/** As much of a chunk as says how long what its members hold is. */
export type MeasuredChunk = Pick<ChunkRecord, "members" | "lengthBytes" | "coding" | "isInline">;

/** What an intact replica is, besides its epoch. */
export interface MemberContent {
  /** 0 of a coded chunk: this unit is stored nowhere, and nobody misses it. */
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** How many members have to be readable so that the chunk is: none of one that masters keep. */
export function neededMembers({
  coding,
  isInline,
}: Pick<ChunkRecord, "coding" | "isInline">): number {
  return isInline ? 0 : (coding?.data ?? 1);
}

/** The number of a member's unit; undefined of a chunk that is kept as copies. */
export function unitOf(
  { members, coding }: Pick<ChunkRecord, "members" | "coding">,
  member: ServerId,
): number | undefined {
  if (coding === undefined) return undefined;
  const unit = members.indexOf(member);
  invariant(0 <= unit, "a unit's holder is a member of its chunk", { member });
  return unit;
}

/** Bytes that a member holds; of copies any. */
export function memberLength(chunk: MeasuredChunk, member: ServerId): number {
  const { coding, lengthBytes } = chunk;
  const unit = unitOf(chunk, member);
  if (coding === undefined || unit === undefined) return lengthBytes;
  return unitLength(coding, lengthBytes, unit);
}

/** What a member's replica has to be; of copies any. */
export function memberContent(
  chunk: MeasuredChunk & Pick<ChunkRecord, "crc32c">,
  member: ServerId,
): MemberContent {
  const unit = unitOf(chunk, member);
  const lengthBytes = memberLength(chunk, member);
  if (chunk.coding === undefined || unit === undefined) {
    return { lengthBytes, crc32c: chunk.crc32c };
  }
  return { lengthBytes, crc32c: chunk.coding.unitCrcs[unit] ?? 0 };
}

/** Whether a member holds no byte of a chunk though it is one: its unit is stored nowhere. */
export function holdsNothing(chunk: MeasuredChunk, member: ServerId): boolean {
  return chunk.coding !== undefined && memberLength(chunk, member) === 0;
}
