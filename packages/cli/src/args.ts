// Values of flags: text as people write it, to numbers. Everything here throws UsageError, which
// ends the command with exit code 2 and its message.

import { parseCode, UNITS_MAX } from "@lumeofs/base";

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "USAGE";
}

const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** A timer cannot wait longer. */
const DURATION_MS_MAX = 2 ** 31 - 1;

/** `4096`, `64K`, `64M`, `1GiB`, `1.5g`: bytes, powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text);
  const bytes = Number(match?.[1]) * (SIZE_UNITS[(match?.[2] ?? "").toLowerCase()] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) {
    throw new UsageError(`"${text}" is not a size. Write bytes, or a number with K, M or G`);
  }
  return bytes;
}

/** `250ms`, `30s`, `5m`, `2h`, or seconds without a unit: milliseconds to wait. */
export function parseDuration(text: string): number {
  const ms = parseLifetime(text);
  if (0 < ms && ms <= DURATION_MS_MAX) return ms;
  throw new UsageError(`"${text}" is not a time to wait: above 0, below 25 days`);
}

/** The same for what is kept: also days (`7d`), also 0. */
export function parseLifetime(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(text);
  const ms = Number(match?.[1]) * (DURATION_UNITS_MS[match?.[2] ?? "s"] ?? Number.NaN);
  if (Number.isSafeInteger(Math.ceil(ms))) return Math.ceil(ms);
  throw new UsageError(`"${text}" is not a duration. Write a number with ms, s, m, h or d`);
}

/** How files are kept: `4+2`, `4+2/256KiB`, `auto`, `auto:6+3`, or `replicated`. */
export function parseLayout(text: string): string {
  if (text === "none" || text === "replicated" || text === "auto") return text;
  const code = parseCode(text.startsWith("auto:") ? text.slice("auto:".length) : text);
  if (code !== undefined) return text;
  throw new UsageError(
    `"${text}" is not a code. Write data+parity such as 4+2, at most ${UNITS_MAX} together, ` +
      "auto, auto:4+2, or replicated",
  );
}

/** What becomes of files for whose code there are too few chunkservers. */
export function parseFallback(text: string): "refuse" | "replicate" {
  if (text === "refuse" || text === "replicate") return text;
  throw new UsageError(`"${text}" is not a fallback. Write refuse or replicate`);
}

/** `key=value` each; the value may be empty and may hold "=". */
export function parsePairs(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text) => {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`"${text}" is not key=value`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return Object.fromEntries(pairs);
}

/** A whole number within bounds. */
export function parseCount(text: string, min: number, max: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (min <= count && count <= max) return count;
  const range = max < Number.MAX_SAFE_INTEGER ? `from ${min} to ${max}` : `of at least ${min}`;
  throw new UsageError(`"${text}" is not a whole number ${range}`);
}

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/** `A-B` (both included, as in HTTP), `A-` (to the end). Sizes may have units. */
export function parseRange(text: string): ByteRange {
  const [from, to, ...more] = text.split("-");
  if (from === undefined || from === "" || to === undefined || 0 < more.length) {
    throw new UsageError(`"${text}" is not a range. Write "first-last" or "first-", in bytes`);
  }
  const start = parseSize(from);
  if (to === "") return { start };
  const end = parseSize(to) + 1;
  if (start < end) return { start, end };
  throw new UsageError(`"${text}" is not a range: it ends before it begins`);
}

/** `host:port` addresses from repeated flags or one comma-separated text. */
export function parseEndpoints(texts: readonly string[]): readonly string[] {
  const endpoints = texts.flatMap((text) => text.split(",")).map((text) => text.trim());
  return endpoints.filter((text) => text !== "").map(parseEndpoint);
}

function parseEndpoint(text: string): string {
  const match = /^(?:lumeo:\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})\/?$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || !(1 <= port && port <= 65_535)) {
    throw new UsageError(`"${text}" is not the address of a master. Write host:port`);
  }
  return `${match[1]}:${port}`;
}
