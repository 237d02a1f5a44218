// What the chunks of a file are to be kept as, for a conversion: what the operator has said of a
// tree, or what policies and the files themselves say.
//
// L1. A file that is meant to be coded has copies for what was appended lately. They are coded when
//     they are full, or when nobody has appended for a while.
// L2. A policy codes files by their age, and leaves small ones as copies: six records cost more
//     than three. It makes no copies of what is coded.
// L3. Where an operator says how many copies there are to be, chunks with fewer get more, and those
//     with more fewer; but a chunk that other files have, too, never gets fewer: they may ask for
//     more.
// L4. What the masters keep themselves is too small to be worth units, and has as many copies as
//     there are masters: it stays where it is.

import { CHUNK_BYTES_DEFAULT, CODE_DEFAULT, type Code, isSameCode, MiB } from "@lumeofs/base";
import type { ChunkRecord } from "../../metadata/chunk-table.js";
import type { FileInode } from "../../metadata/inode-record.js";
import type { Conversion } from "../../metadata/jobs.js";
import type { EffectivePolicy } from "../../metadata/policy.js";

/** Smaller files are not coded by age. */
export const CODED_BY_AGE_BYTES_MIN = 1 * MiB;
/** A tail is sealed when it is nearly full. */
const FULL_BYTES = CHUNK_BYTES_DEFAULT * 0.9;

export interface WantedLayout {
  /** Undefined: copies. */
  readonly code: Code | undefined;
  /** How many of these; absent: as many as there are do. */
  readonly copies?: number | undefined;
  /** Copies that are shorter than a chunk may be stay (L1). */
  readonly onlyFull: boolean;
}

export interface Circumstances {
  /** For what lies where the file is. */
  readonly policy: EffectivePolicy;
  /** By the leaders' clocks. */
  readonly nowMs: number;
  /** Nothing was appended for so long: nothing will be. */
  readonly restMs: number;
}

/** Undefined: all of it may stay as it is. */
export function wantedLayout(
  file: FileInode,
  conversion: Conversion,
  { policy, nowMs, restMs }: Circumstances,
): WantedLayout | undefined {
  if (conversion.kind === "tree") {
    const { to: code, copies } = conversion;
    return { code, ...(copies === undefined ? {} : { copies }), onlyFull: false };
  }
  const ageMs = nowMs - file.modifiedAt;
  if (file.code !== undefined) {
    return { code: file.code, onlyFull: file.tail !== undefined || ageMs < restMs };
  }
  const isOld = 0 < policy.codeAfterMs && policy.codeAfterMs <= ageMs;
  if (!isOld || file.tail !== undefined) return undefined;
  if (file.sizeBytes < CODED_BY_AGE_BYTES_MIN) return undefined;
  const { code } = policy;
  return {
    code: code === undefined || code.kind === "replicated" ? CODE_DEFAULT : code.code,
    onlyFull: false,
  };
}

/**
 * Whether a chunk is not as it is wanted.
 *
 * @param isShared  Other files have it, too (L3).
 */
export function needsConversion(
  chunk: Pick<ChunkRecord, "coding" | "lengthBytes" | "members" | "isInline">,
  { code, copies, onlyFull }: WantedLayout,
  isShared: boolean,
): boolean {
  const { coding, lengthBytes, members, isInline } = chunk;
  if (isInline) return false; // (L4)
  if (isSameCode(coding, code)) {
    if (coding !== undefined || copies === undefined) return false;
    return members.length < copies || (copies < members.length && !isShared);
  }
  return coding !== undefined || !onlyFull || FULL_BYTES <= lengthBytes;
}
