// The bytes of codes, and of chunks that may be coded, wherever they stand in commands and records.

import {
  type ByteReader,
  type ByteWriter,
  type ChunkCoding,
  type Code,
  chunkHandle,
  epoch,
  faultOfCode,
  invariant,
  unitCount,
} from "@lumeofs/base";
import type { SealedChunk } from "./command.js";
import { corrupt, readFlag, readId, writeFlag } from "./fields.js";

/** The fewest that a chunk in a command takes. */
export const SEALED_BYTES = 24;
/** Of a chunk's length, which is far smaller: a coding follows. Copies cost no byte for it. */
const IS_CODED = 2 ** 31;

export function writeCode(w: ByteWriter, { data, parity, cellBytes }: Code): ByteWriter {
  return w.u8(data).u8(parity).u32(cellBytes);
}

/** @throws LumeoError CORRUPT if there is no such code. */
export function readCode(r: ByteReader): Code {
  const code = { data: r.u8(), parity: r.u8(), cellBytes: r.u32() };
  const fault = faultOfCode(code);
  if (fault !== undefined) throw corrupt("code", fault);
  return code;
}

/** Undefined is that of copies. */
export function writeOptionalCode(w: ByteWriter, code: Code | undefined): void {
  writeFlag(w, code !== undefined);
  if (code !== undefined) writeCode(w, code);
}

export function readOptionalCode(r: ByteReader): Code | undefined {
  return readFlag(r) ? readCode(r) : undefined;
}

/** A code, and the checksums of as many units as it has. */
export function writeCoding(w: ByteWriter, coding: ChunkCoding): void {
  const { unitCrcs } = coding;
  invariant(unitCrcs.length === unitCount(coding), "each unit has a checksum", { ...coding });
  writeCode(w, coding);
  for (const crc of unitCrcs) w.u32(crc);
}

/** @throws LumeoError CORRUPT if there is no such code. */
export function readCoding(r: ByteReader): ChunkCoding {
  const code = readCode(r);
  return { ...code, unitCrcs: Array.from({ length: unitCount(code) }, () => r.u32()) };
}

/** A chunk as commands name it. */
export function writeSealed(w: ByteWriter, chunk: SealedChunk): void {
  const { handle, epoch: sealedAt, lengthBytes, crc32c, coding } = chunk;
  invariant(lengthBytes < IS_CODED, "a chunk's length leaves a bit", { handle, lengthBytes });
  const mark = coding === undefined ? 0 : IS_CODED;
  w.u53(handle)
    .u53(sealedAt)
    .u32(lengthBytes + mark)
    .u32(crc32c);
  if (coding !== undefined) writeCoding(w, coding);
}

export function readSealed(r: ByteReader): SealedChunk {
  const handle = readId(r, chunkHandle);
  const sealedAt = readId(r, epoch);
  const length = r.u32();
  const crc32c = r.u32();
  if (length < IS_CODED) {
    return { handle, epoch: sealedAt, lengthBytes: length, crc32c, coding: undefined };
  }
  const lengthBytes = length - IS_CODED;
  return { handle, epoch: sealedAt, lengthBytes, crc32c, coding: readCoding(r) };
}
