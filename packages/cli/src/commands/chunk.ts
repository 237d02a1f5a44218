// Single chunks: which are not as they should be, where their copies are, what the disks say.

import { type ChunkCoding, formatCode, unitLength } from "@lumeofs/base";
import type { ChunkFilter, ChunkState, CopyCheck, GrowingChunk } from "@lumeofs/client";
import { parseCount, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, formatDuration, printable } from "../format.js";
import { table } from "../table.js";

export interface ChunkListOptions {
  readonly underReplicated?: boolean;
  readonly corrupt?: boolean;
  readonly orphan?: boolean;
  readonly limit?: string;
}

const LIMIT_DEFAULT = "1000";
const LIMIT_MAX = 10_000_000;

/** Lists chunks, one a line. */
export async function chunkList(context: Context, options: ChunkListOptions): Promise<ExitStatus> {
  const filter = filterOf(options);
  const limit = parseCount(options.limit ?? LIMIT_DEFAULT, 1, LIMIT_MAX);
  const client = await context.client();
  let count = 0;
  for await (const chunk of client.healing.chunks(filter, context.call)) {
    await context.output.line(lineOf(chunk), chunk);
    count++;
    if (limit <= count) break;
  }
  return EXIT.ok;
}

/** Shows one chunk with its copies. */
export async function chunkShow(context: Context, text: string): Promise<ExitStatus> {
  const client = await context.client();
  const handle = parseHandle(text);
  const growing = await client.healing.tail(handle, context.call);
  if (growing !== undefined) {
    await context.output.line(await growingText(growing), { ...growing, sealed: false });
    return EXIT.ok;
  }
  const chunk = await client.healing.chunk(handle, context.call);
  const { move, coding } = chunk;
  const what = coding === undefined ? "copy" : "unit";
  const shown = [
    `Chunk ${chunk.handle}, sealed, epoch ${chunk.epoch}, ${formatBytes(chunk.lengthBytes)}, ` +
      `crc32c ${hex(chunk.crc32c)}${chunk.orphan ? ", no file has it" : ""}`,
    ...(coding === undefined ? [] : [codingText(coding)]),
    ...(chunk.isInline ? [inlineText(chunk)] : []),
    ...(move === undefined
      ? []
      : [`A ${what} is under way to ${move.target}, for job ${move.job}`]),
    ...(chunk.isInline ? [] : ["", await holdersTable(chunk, context.clock.wallMs())]),
  ].join("\n");
  await context.output.line(shown, chunk);
  return EXIT.ok;
}

function codingText(coding: ChunkCoding): string {
  const { data, parity } = coding;
  return `Coded ${formatCode(coding)}: any ${data} of its ${data + parity} units give it back`;
}

function inlineText({ inlineFault }: ChunkState): string {
  const state =
    inlineFault === "" ? "whole at the leader" : `DAMAGED at the leader: ${inlineFault}`;
  return `Inline: every master keeps its bytes, and no chunkserver; ${state}`;
}

/** A row for each server that has, or should have, some of the chunk. */
function holdersTable(chunk: ChunkState, nowMs: number): Promise<string> {
  const { coding, replicas, checks, lengthBytes } = chunk;
  if (coding === undefined) {
    const rows = replicas.map((one, i) => [
      ...[one.name, one.address, one.role, one.state, one.damaged ? "damaged" : "good"],
      checkedText(checks[i], nowMs),
    ]);
    return table(["NODE", "ADDRESS", "ROLE", "STATE", "COPY", "SCRUBBED"], rows);
  }
  const rows = replicas.map((one, unit) => {
    const bytes = unitLength(coding, lengthBytes, unit);
    return [
      ...[String(unit), unit < coding.data ? "data" : "parity", one.name, one.address, one.state],
      bytes === 0 ? "empty" : one.damaged ? "damaged" : "good",
      ...[formatBytes(bytes), hex(coding.unitCrcs[unit] ?? 0)],
      bytes === 0 ? "-" : checkedText(checks[unit], nowMs),
    ];
  });
  const titles = [
    "UNIT",
    "KIND",
    "NODE",
    "ADDRESS",
    "STATE",
    "COPY",
    "BYTES",
    "CRC32C",
    "SCRUBBED",
  ];
  return table(titles, rows);
}

async function growingText(chunk: GrowingChunk): Promise<string> {
  const { leaseAgeMs, activeEpoch, replicas } = chunk;
  const rows = replicas.map(({ name, address, role, state }) => [name, address, role, state]);
  const lease =
    leaseAgeMs === undefined ? "none runs" : `renewed ${formatDuration(leaseAgeMs)} ago`;
  return [
    `Chunk ${chunk.handle}, ${chunk.state}, epoch ${chunk.epoch}: records are appended to it`,
    `File         ${chunk.path === "" ? "none any more" : printable(chunk.path)}`,
    `Committed    ${formatBytes(chunk.committedBytes)}, as its primary said last`,
    `Last active  epoch ${activeEpoch}`,
    `Read lease   ${lease}`,
    ...(chunk.obstacle === "" ? [] : [chunk.obstacle]),
    "",
    await table(["NODE", "ADDRESS", "ROLE", "STATE"], rows),
  ].join("\n");
}

function checkedText(check: CopyCheck | undefined, nowMs: number): string {
  if (check?.stopped === true) return "stopped: two histories";
  if (check?.readSince === undefined) return "not yet";
  return `within ${formatDuration(Math.max(0, nowMs - check.readSince.getTime()))}`;
}

/** Has all copies of chunks read from their disks; exit code 7 if one is bad. */
export async function chunkVerify(context: Context, texts: readonly string[]): Promise<ExitStatus> {
  const client = await context.client();
  let status: ExitStatus = EXIT.ok;
  for (const handle of texts.map(parseHandle)) {
    const copies = await client.healing.verify(handle, context.call);
    const words = copies.map(({ node, finding, why }) =>
      finding === "intact" ? `${node} intact` : `${node} ${finding}: ${why}`,
    );
    await context.output.line(`${handle}  ${words.join("; ")}`, { handle, copies });
    if (copies.some(({ finding }) => finding === "bad")) status = EXIT.integrity;
    else if (status === EXIT.ok && copies.some(({ finding }) => finding === "unknown")) {
      status = EXIT.unavailable;
    }
  }
  return status;
}

/** Keeps what is left of a growing chunk that cannot go on; without `yes` it only says so. */
export async function chunkSalvage(
  context: Context,
  text: string,
  options: { readonly yes?: boolean },
): Promise<ExitStatus> {
  const client = await context.client();
  const handle = parseHandle(text);
  const isSure = options.yes === true;
  const found = await client.healing.salvage(handle, isSure, context.call);
  const { path, survivors, lost } = found;
  const file = path === "" ? "a file that has lost its name" : printable(path);
  const kept =
    survivors.length === 0
      ? `nothing is left of what was appended to ${file} and not sealed`
      : `what ${survivors.join(" and ")} ${survivors.length === 1 ? "has" : "have"} is kept`;
  const shown = [
    `Chunk ${handle} of ${file}: ${kept}`,
    `Given up: records of which only ${lost.join(" and ")} had a copy, acknowledged or not`,
    ...(isSure
      ? []
      : ["Nothing was changed: do it with --yes, when those disks are lost for good"]),
  ];
  await context.output.line(shown.join("\n"), { handle, ...found, done: isSure });
  return EXIT.ok;
}

function filterOf({ underReplicated, corrupt, orphan }: ChunkListOptions): ChunkFilter {
  const chosen: readonly (readonly [boolean | undefined, ChunkFilter])[] = [
    [underReplicated, "underReplicated"],
    [corrupt, "corrupt"],
    [orphan, "orphan"],
  ];
  const filters = chosen.filter(([isChosen]) => isChosen === true).map(([, filter]) => filter);
  if (1 < filters.length) {
    throw new UsageError("Choose one of --under-replicated, --corrupt and --orphan");
  }
  return filters[0] ?? "all";
}

function lineOf(chunk: ChunkState): string {
  const copies = chunk.replicas.map(({ name, state, damaged }) => {
    const fault = damaged ? "damaged" : state;
    return fault === "alive" ? name : `${name}(${fault})`;
  });
  const going = chunk.move === undefined ? "" : `  → ${chunk.move.target}`;
  const length = formatBytes(chunk.lengthBytes).padStart(10);
  const code = chunk.coding === undefined ? "" : `${formatCode(chunk.coding)}: `;
  const inline = chunk.inlineFault === "" ? "inline" : `inline(damaged: ${chunk.inlineFault})`;
  const where = chunk.isInline ? inline : `${code}${copies.join(" ")}${going}`;
  return `${String(chunk.handle).padStart(12)}  ${length}  ${where}`;
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}

function parseHandle(text: string): number {
  return parseCount(text, 1, Number.MAX_SAFE_INTEGER);
}
