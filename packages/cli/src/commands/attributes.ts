// What files and directories carry, and what holds for directories: meta, tag, policy, quota, du.

import type { FileInfo, Policy } from "@lumeofs/client";
import {
  parseCount,
  parseFallback,
  parseLayout,
  parseLifetime,
  parsePairs,
  parseSize,
  UsageError,
} from "../args.js";
import type { Context } from "../context.js";
import { forEach } from "../each.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, formatCount, formatLifetime, printable } from "../format.js";
import { parseRemotePath } from "../remote-path.js";

/** Which of the two kinds of pairs. */
export type PairKind = "metadata" | "tags";

const NONE = "none";
const INHERITED = "  (not set here)";
const VERSIONS_MAX = 1_000;
const REPLICAS_MAX = 8;

/** Shows pairs; with keys only those, and exit code 3 if one is missing. */
export async function getPairs(
  context: Context,
  kind: PairKind,
  text: string,
  keys: readonly string[],
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const client = await context.client();
  const all = (await client.stat(path, context.call))[kind];
  const missing = keys.filter((key) => !Object.hasOwn(all, key));
  const shown = keys.length === 0 ? Object.keys(all).sort() : keys;
  for (const key of shown.filter((one) => !missing.includes(one))) {
    const value = all[key] ?? "";
    await context.output.line(printable(`${key}=${value}`), { key, value });
  }
  for (const key of missing) {
    context.output.error(new Error(`Cannot find "${key}" in the ${kind} of "${path}"`));
  }
  return missing.length === 0 ? EXIT.ok : EXIT.notFound;
}

/** Sets pairs; others stay. */
export async function setPairs(
  context: Context,
  kind: PairKind,
  text: string,
  pairs: readonly string[],
): Promise<ExitStatus> {
  return changePairs(context, kind, text, parsePairs(pairs));
}

/** Takes pairs away; fine if they are not there. */
export async function removePairs(
  context: Context,
  kind: PairKind,
  text: string,
  keys: readonly string[],
): Promise<ExitStatus> {
  return changePairs(context, kind, text, Object.fromEntries(keys.map((key) => [key, null])));
}

async function changePairs(
  context: Context,
  kind: PairKind,
  text: string,
  changes: Readonly<Record<string, string | null>>,
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const { output, call } = context;
  const client = await context.client();
  const info = await client.setAttributes(path, { ...call, [kind]: changes });
  if (output.json) output.result("", { path, [kind]: info[kind], version: info.version });
  return EXIT.ok;
}

export interface PolicyOptions {
  readonly replicas?: string;
  readonly versions?: string;
  readonly trash?: string;
  readonly ttl?: string;
  readonly ec?: string;
  readonly ecAfter?: string;
  readonly ecFallback?: string;
}

/** Shows what a directory itself sets, and what holds there. */
export async function getPolicy(context: Context, text: string): Promise<ExitStatus> {
  const { path, policy = {} } = await directory(context, text, "policy");
  const client = await context.client();
  const effective = await client.effectivePolicy(path, context.call);
  await context.output.line(describePolicy(policy, effective), { path, policy, effective });
  return EXIT.ok;
}

/** Changes what is named; `none` lets it be inherited again. */
export async function setPolicy(
  context: Context,
  text: string,
  options: PolicyOptions,
): Promise<ExitStatus> {
  const { replicas, versions, trash, ttl, ec, ecAfter, ecFallback } = options;
  const changes = {
    replicas: optional(replicas, (given) => parseCount(given, 1, REPLICAS_MAX)),
    versions: optional(versions, (given) => parseCount(given, 0, VERSIONS_MAX)),
    trashMs: optional(trash, parseLifetime),
    ttlMs: optional(ttl, parseLifetime),
    code: optional(ec, parseLayout),
    codeAfterMs: optional(ecAfter, parseLifetime),
    codeFallback: optional(ecFallback, parseFallback),
  };
  if (Object.values(changes).every((change) => change === undefined)) {
    throw new UsageError("Nothing to set: give --replicas, --versions, --trash, --ttl or --ec");
  }
  const { path } = parseRemotePath(text);
  const client = await context.client();
  const policy = await client.setPolicy(path, named(changes), context.call);
  if (context.output.json) context.output.result("", { path, policy });
  if (typeof changes.replicas === "number") {
    const command = `lumeo ec-convert -r ${path} --to replicated:${changes.replicas}`;
    context.output.note(`files that are there keep their copies; for them too: ${command}`);
  }
  return EXIT.ok;
}

export interface QuotaOptions {
  readonly bytes?: string;
  readonly files?: string;
}

/** Shows the limits of a directory and what they count. */
export async function getQuota(context: Context, text: string): Promise<ExitStatus> {
  const { path, quota = {}, usage } = await directory(context, text, "quota");
  const { bytes = 0, files = 0 } = usage ?? {};
  const of = (used: string, limit: string | undefined) =>
    limit === undefined ? `${used}, no limit` : `${used} of ${limit}`;
  const most = {
    bytes: quota.bytes === undefined ? undefined : formatBytes(quota.bytes),
    files: quota.files === undefined ? undefined : formatCount(quota.files),
  };
  const lines = [
    `Bytes  ${of(formatBytes(bytes), most.bytes)}`,
    `Files  ${of(formatCount(files), most.files)}`,
  ];
  await context.output.line(lines.join("\n"), { path, quota, usage });
  return EXIT.ok;
}

/** Changes the limits that are named; `none` takes one away. */
export async function setQuota(
  context: Context,
  text: string,
  options: QuotaOptions,
): Promise<ExitStatus> {
  const count = (given: string): number => parseCount(given, 0, Number.MAX_SAFE_INTEGER);
  const changes = {
    bytes: optional(options.bytes, parseSize),
    files: optional(options.files, count),
  };
  if (changes.bytes === undefined && changes.files === undefined) {
    throw new UsageError("Nothing to set: give --bytes or --files");
  }
  const { path } = parseRemotePath(text);
  const client = await context.client();
  const quota = await client.setQuota(path, named(changes), context.call);
  if (context.output.json) context.output.result("", { path, quota });
  return EXIT.ok;
}

export interface DuOptions {
  readonly human?: boolean;
}

/** What lies below directories; the masters keep count, so it takes no longer for large ones. */
export async function du(
  context: Context,
  paths: readonly string[],
  options: DuOptions,
): Promise<ExitStatus> {
  const client = await context.client();
  const parsed = (paths.length === 0 ? ["/"] : paths).map(parseRemotePath);
  return forEach(context, parsed, async ({ path }) => {
    const entry = await client.stat(path, context.call);
    const usage = entry.usage ?? { bytes: entry.size, files: 1, directories: 0 };
    const { bytes, files, directories } = usage;
    const size = options.human === true ? formatBytes(bytes) : String(bytes);
    const counts = `${formatCount(files).padStart(10)} ${formatCount(directories).padStart(8)}`;
    const text = `${size.padStart(14)} ${counts}  ${printable(path)}`;
    await context.output.line(text, { path, ...usage });
  });
}

async function directory(
  context: Context,
  text: string,
  what: "policy" | "quota",
): Promise<FileInfo> {
  const { path } = parseRemotePath(text);
  const client = await context.client();
  const entry = await client.stat(path, context.call);
  if (entry.kind === "dir") return entry;
  throw new UsageError(`"${path}" has no ${what}: it is a file; name the directory it lies in`);
}

/** Undefined: not named. Null: taken away. */
function optional<T>(text: string | undefined, parse: (text: string) => T): T | null | undefined {
  if (text === undefined) return undefined;
  return text === NONE ? null : parse(text);
}

/** Without what was not named: that stays as it is. */
function named<T extends object>(changes: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(changes).filter(([, change]) => change !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Every field with what holds; marked where it comes from above. */
function describePolicy(own: Policy, effective: Policy): string {
  const lasting = (ms: number, zero: string) => (ms === 0 ? zero : formatLifetime(ms));
  const { replicas, versions = 0, trashMs = 0, ttlMs = 0 } = effective;
  const { code = "replicated", codeAfterMs = 0, codeFallback = "refuse" } = effective;
  const facts = [
    ["Replicas", replicas?.toString() ?? "as the writer says", own.replicas],
    ["Versions", versions.toString(), own.versions],
    ["Trash", lasting(trashMs, "off"), own.trashMs],
    ["TTL", lasting(ttlMs, "never"), own.ttlMs],
    ["Layout", code, own.code],
    [
      "Coded",
      codeAfterMs === 0 ? "when written" : `after ${lasting(codeAfterMs, "")}`,
      own.codeAfterMs,
    ],
    ["Fallback", codeFallback, own.codeFallback],
  ] as const;
  return facts
    .map(([name, value, set]) => `${name.padEnd(10)}${value}${set === undefined ? INHERITED : ""}`)
    .join("\n");
}
