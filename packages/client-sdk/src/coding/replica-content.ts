// What the server at one position of a chunk has to have: a copy of the whole, or one unit.

import { type ChunkCoding, unitLength } from "@lumeofs/base";

export interface ReplicaContent {
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** It is a unit without bytes: it is stored nowhere, and nobody misses it. */
  readonly isNowhere: boolean;
}

/** @param position  Among the chunk's replicas: of a coded chunk, the number of the unit. */
export function contentAt(
  chunk: {
    readonly lengthBytes: number;
    readonly crc32c: number;
    readonly coding: ChunkCoding | undefined;
  },
  position: number,
): ReplicaContent {
  const { lengthBytes, crc32c, coding } = chunk;
  if (coding === undefined) return { lengthBytes, crc32c, isNowhere: false };
  const bytes = unitLength(coding, lengthBytes, position);
  return {
    lengthBytes: bytes,
    crc32c: coding.unitCrcs[position] ?? 0,
    isNowhere: bytes === 0,
  };
}
