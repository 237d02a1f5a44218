// The bytes of what policies say, and of changes of it: docs/formats/command.md. In a directory's
// record every field has a fixed width and 0 where nothing is said: policies are read from there
// without the rest.

import type { ByteReader, ByteWriter, Code } from "@lumeofs/base";
import { readCode, writeCode } from "./coding-codec.js";
import type { CodeFallback, CodePolicy, Policy, SettingsChange } from "./directory-record.js";
import { corrupt } from "./fields.js";

const SETTING = { none: 0, set: 1, kept: 2 } as const;
const MODE = { replicated: 1, coded: 2, auto: 3 } as const;
const FALLBACK = { refuse: 1, replicate: 2 } as const;
/** What a record has in the place of a code that is not set. */
const NO_CODE: Code = { data: 0, parity: 0, cellBytes: 0 };
const CODE_BYTES = 6;

/** What a directory's record says of codes. */
export type CodeFields = Pick<Policy, "code" | "codeAfterMs" | "codeFallback">;

export function writePolicyChange(w: ByteWriter, policy: SettingsChange<Policy>): void {
  writeSetting(w, policy.replicas);
  writeSetting(w, policy.versions);
  writeSetting(w, policy.trashMs);
  writeSetting(w, policy.ttlMs);
  writeChange(w, policy.code, writeCodePolicy);
  writeSetting(w, policy.codeAfterMs);
  writeChange(w, policy.codeFallback, (to, fallback) => to.u8(FALLBACK[fallback]));
}

export function readPolicyChange(r: ByteReader): SettingsChange<Policy> {
  return {
    replicas: readSetting(r),
    versions: readSetting(r),
    trashMs: readSetting(r),
    ttlMs: readSetting(r),
    code: readChange(r, readCodePolicy),
    codeAfterMs: readSetting(r),
    codeFallback: readChange(r, (from) => fallbackOf(from.u8())),
  };
}

/** A number that is set, stays, or is taken away. */
export function writeSetting(w: ByteWriter, value: number | "kept" | undefined): void {
  writeChange(w, value, (to, number) => to.u53(number));
}

export function readSetting(r: ByteReader): number | "kept" | undefined {
  return readChange(r, (from) => from.u53());
}

/** @throws LumeoError CORRUPT for a number that stands for nothing. */
function fallbackOf(number: number): CodeFallback {
  if (number === FALLBACK.refuse) return "refuse";
  if (number === FALLBACK.replicate) return "replicate";
  throw corrupt("policy", `its fallback is ${number}`);
}

/** 0 for one that is not set. */
function fallbackNumber(fallback: CodeFallback | undefined): number {
  return fallback === undefined ? 0 : FALLBACK[fallback];
}

/** Mode, code, time and fallback, always in 16 bytes. */
export function writeCodeFields(w: ByteWriter, { code, codeAfterMs, codeFallback }: Policy): void {
  const isCoded = code !== undefined && code.kind !== "replicated";
  w.u8(code === undefined ? 0 : MODE[code.kind]);
  writeCode(w, isCoded ? code.code : NO_CODE);
  w.u53(codeAfterMs === undefined ? 0 : codeAfterMs + 1).u8(fallbackNumber(codeFallback));
}

export function readCodeFields(r: ByteReader): CodeFields {
  const mode = r.u8();
  const code = modeOf(mode, r);
  if (code === undefined || code.kind === "replicated") r.bytes(CODE_BYTES);
  const after = r.u53();
  const fallback = r.u8();
  return {
    code,
    codeAfterMs: after === 0 ? undefined : after - 1,
    codeFallback: fallback === 0 ? undefined : fallbackOf(fallback),
  };
}

function writeCodePolicy(w: ByteWriter, policy: CodePolicy): void {
  w.u8(MODE[policy.kind]);
  if (policy.kind !== "replicated") writeCode(w, policy.code);
}

function readCodePolicy(r: ByteReader): CodePolicy {
  const policy = modeOf(r.u8(), r);
  if (policy === undefined) throw corrupt("policy", "its code has mode 0");
  return policy;
}

/** Undefined for 0. */
function modeOf(mode: number, r: ByteReader): CodePolicy | undefined {
  if (mode === 0) return undefined;
  if (mode === MODE.replicated) return { kind: "replicated" };
  if (mode === MODE.coded) return { kind: "coded", code: readCode(r) };
  if (mode === MODE.auto) return { kind: "auto", code: readCode(r) };
  throw corrupt("policy", `its code has mode ${mode}`);
}

function writeChange<T>(
  w: ByteWriter,
  value: T | "kept" | undefined,
  write: (w: ByteWriter, value: T) => unknown,
): void {
  if (value === undefined) w.u8(SETTING.none);
  else if (value === "kept") w.u8(SETTING.kept);
  else write(w.u8(SETTING.set), value as T);
}

function readChange<T>(r: ByteReader, read: (r: ByteReader) => T): T | "kept" | undefined {
  const kind = r.u8();
  if (kind === SETTING.none) return undefined;
  if (kind === SETTING.kept) return "kept";
  if (kind === SETTING.set) return read(r);
  throw corrupt("setting", `it begins with ${kind}, expected 0, 1 or 2`);
}
