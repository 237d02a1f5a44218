// Codes, coded chunks and what policies say of codes: proto ⇄ the SDK's own words.

import { type ChunkCoding, type Code, faultOfCode, unitCount } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { ChunkRef, CodeFallback, CodePolicy } from "../operations.js";
import { codePolicyOf, formatCodePolicy } from "../redundancy.js";
import { broken, expected } from "./wire-fields.js";

const { CodeFallback: Fallback, CodeMode } = lumeo.master.v1;

/** A written chunk as messages name it; whatever else a caller's object has stays here. */
export function encodeChunk(chunk: ChunkRef): lumeo.common.v1.ChunkRef.$Properties {
  const { handle, epoch, lengthBytes, crc32c, coding } = chunk;
  const ref = { handle, epoch, lengthBytes, crc32c };
  if (coding === undefined) return ref;
  return { ...ref, coding: { code: encodeCode(coding), unitCrcs: [...coding.unitCrcs] } };
}

/** @throws LumeoError PROTOCOL for a code that this version cannot read. */
export function decodeCoding(wire: lumeo.common.v1.ChunkCoding.$Properties): ChunkCoding {
  const code = decodeCode(expected(wire.code, "code"));
  const unitCrcs = wire.unitCrcs ?? [];
  if (unitCrcs.length === unitCount(code)) return { ...code, unitCrcs };
  throw broken(`${unitCrcs.length} checksums for ${unitCount(code)} units`);
}

export function encodeCode({ data, parity, cellBytes }: Code): lumeo.common.v1.Code.$Properties {
  return { data, parity, cellBytes };
}

/** @throws LumeoError PROTOCOL for a code that there is not. */
export function decodeCode(wire: lumeo.common.v1.Code.$Properties): Code {
  const code = {
    data: wire.data ?? 0,
    parity: wire.parity ?? 0,
    cellBytes: wire.cellBytes ?? 0,
  };
  const fault = faultOfCode(code);
  if (fault === undefined) return code;
  throw broken(`code ${code.data}+${code.parity}: ${fault}`);
}

/** @throws LumeoError INVALID_ARGUMENT for a text that says nothing. */
export function encodeCodePolicy(text: string): lumeo.master.v1.CodePolicy.$Properties {
  const policy = codePolicyOf(text);
  switch (policy.kind) {
    case "replicated":
      return { mode: CodeMode.CODE_MODE_REPLICATED };
    case "coded":
      return { mode: CodeMode.CODE_MODE_CODED, code: encodeCode(policy.code) };
    case "auto":
      return { mode: CodeMode.CODE_MODE_AUTO, code: encodeCode(policy.code) };
  }
}

/** @throws LumeoError PROTOCOL for a mode that this version does not know. */
export function decodeCodePolicy(wire: lumeo.master.v1.CodePolicy.$Properties): string {
  return formatCodePolicy(policyOf(wire));
}

function policyOf(wire: lumeo.master.v1.CodePolicy.$Properties): CodePolicy {
  switch (wire.mode) {
    case CodeMode.CODE_MODE_REPLICATED:
      return { kind: "replicated" };
    case CodeMode.CODE_MODE_CODED:
      return { kind: "coded", code: decodeCode(expected(wire.code, "code")) };
    case CodeMode.CODE_MODE_AUTO:
      return { kind: "auto", code: decodeCode(expected(wire.code, "code")) };
    default:
      throw broken(`mode ${wire.mode} of codes`);
  }
}

export function encodeFallback(fallback: CodeFallback): lumeo.master.v1.CodeFallback {
  return fallback === "replicate"
    ? Fallback.CODE_FALLBACK_REPLICATE
    : Fallback.CODE_FALLBACK_REFUSE;
}

/** Undefined where nothing is said. */
export function decodeFallback(
  wire: lumeo.master.v1.CodeFallback | null | undefined,
): CodeFallback | undefined {
  if (wire === Fallback.CODE_FALLBACK_REFUSE) return "refuse";
  return wire === Fallback.CODE_FALLBACK_REPLICATE ? "replicate" : undefined;
}
