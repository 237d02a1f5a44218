// Codes, coded chunks and what policies say of codes: proto ⇄ domain.

import {
  type ChunkCoding,
  type ChunkHandle,
  type Code,
  type Epoch,
  faultOfCode,
  unitCount,
} from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { CodeFallback, CodePolicy } from "../metadata/directory-record.js";
import { decodeNumber, type Field, invalid } from "./field-wire.js";

const { CodeFallback: Fallback, CodeMode } = lumeo.master.v1;

/** A sealed chunk as messages name it, whatever it is kept as. */
export function encodeChunkRef(chunk: {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly lengthBytes: number;
  readonly crc32c: number;
  readonly coding: ChunkCoding | undefined;
}): lumeo.common.v1.IChunkRef {
  const { handle, epoch, lengthBytes, crc32c, coding } = chunk;
  const ref = { handle, epoch, lengthBytes, crc32c };
  return coding === undefined ? ref : { ...ref, coding: encodeCoding(coding) };
}

export function encodeCode({ data, parity, cellBytes }: Code): lumeo.common.v1.ICode {
  return { data, parity, cellBytes };
}

/** @throws LumeoError INVALID_ARGUMENT if there is no such code. */
export function decodeCode(wire: Field<lumeo.common.v1.ICode>): Code {
  const code = {
    data: decodeNumber(wire?.data, "data units"),
    parity: decodeNumber(wire?.parity, "parity units"),
    cellBytes: decodeNumber(wire?.cellBytes, "cell"),
  };
  const fault = faultOfCode(code);
  if (fault === undefined) return code;
  throw invalid(`code ${code.data}+${code.parity} cannot be used: ${fault}`);
}

/** @throws LumeoError INVALID_ARGUMENT if the code or the number of checksums is wrong. */
export function decodeCoding(wire: lumeo.common.v1.IChunkCoding): ChunkCoding {
  const code = decodeCode(wire.code);
  const unitCrcs = (wire.unitCrcs ?? []).map((crc) => decodeNumber(crc, "unit checksum"));
  if (unitCrcs.length === unitCount(code)) return { ...code, unitCrcs };
  throw invalid(`${unitCrcs.length} checksums came for ${unitCount(code)} units`);
}

function encodeCoding(coding: ChunkCoding): lumeo.common.v1.IChunkCoding {
  return { code: encodeCode(coding), unitCrcs: [...coding.unitCrcs] };
}

export function encodeCodePolicy(policy: CodePolicy): lumeo.master.v1.ICodePolicy {
  switch (policy.kind) {
    case "replicated":
      return { mode: CodeMode.CODE_MODE_REPLICATED };
    case "coded":
      return { mode: CodeMode.CODE_MODE_CODED, code: encodeCode(policy.code) };
    case "auto":
      return { mode: CodeMode.CODE_MODE_AUTO, code: encodeCode(policy.code) };
  }
}

/** @throws LumeoError INVALID_ARGUMENT for a mode or a code that there is not. */
export function decodeCodePolicy(wire: lumeo.master.v1.ICodePolicy): CodePolicy {
  switch (wire.mode) {
    case CodeMode.CODE_MODE_REPLICATED:
      return { kind: "replicated" };
    case CodeMode.CODE_MODE_CODED:
      return { kind: "coded", code: decodeCode(wire.code) };
    case CodeMode.CODE_MODE_AUTO:
      return { kind: "auto", code: decodeCode(wire.code) };
    default:
      throw invalid("the policy of codes has no known mode");
  }
}

export function encodeFallback(fallback: CodeFallback): lumeo.master.v1.CodeFallback {
  return fallback === "replicate"
    ? Fallback.CODE_FALLBACK_REPLICATE
    : Fallback.CODE_FALLBACK_REFUSE;
}

/** Undefined where nothing is said. */
export function decodeFallback(
  wire: Field<lumeo.master.v1.CodeFallback>,
): CodeFallback | undefined {
  switch (wire ?? Fallback.CODE_FALLBACK_UNSPECIFIED) {
    case Fallback.CODE_FALLBACK_UNSPECIFIED:
      return undefined;
    case Fallback.CODE_FALLBACK_REFUSE:
      return "refuse";
    case Fallback.CODE_FALLBACK_REPLICATE:
      return "replicate";
    default:
      throw invalid("the policy of codes has no known fallback");
  }
}
