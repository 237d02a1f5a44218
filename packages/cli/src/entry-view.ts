// A file or directory of the cluster as `ls` and `stat` show it.

import { parseCode } from "@lumeofs/base";
import type { ChunkInfo, FileInfo, Policy } from "@lumeofs/client";
import { formatBytes, formatLifetime, plural, printable } from "./format.js";

/** For `--json`. */
export function entryJson(entry: FileInfo): object {
  const { path, kind, size, version, etag, createdAt, modifiedAt } = entry;
  const { chunkSize, chunkCount, layout, bytesOnDisk } = entry;
  const chunkLayouts = entry.chunks === undefined ? {} : { chunkLayouts: layoutsOf(entry.chunks) };
  const crc32c = entry.checksum?.value;
  const replicas = entry.redundancy?.replicas;
  return {
    ...{ path, kind, size, version, etag },
    createdAt: createdAt.toISOString(),
    modifiedAt: modifiedAt.toISOString(),
    ...attributesJson(entry),
    ...(kind === "file"
      ? { crc32c, layout, replicas, ...chunkLayouts, bytesOnDisk, chunkSize, chunkCount }
      : {}),
    ...(entry.tail === undefined ? {} : { tail: entry.tail }),
    ...entry.freshness,
  };
}

/** What an entry carries besides its content, as far as it does. */
function attributesJson(entry: FileInfo): object {
  const { metadata, tags, contentType, expiresAt, usage, quota, policy } = entry;
  return {
    ...(contentType === undefined ? {} : { contentType }),
    ...(isEmpty(metadata) ? {} : { metadata }),
    ...(isEmpty(tags) ? {} : { tags }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
    ...(usage === undefined ? {} : { usage }),
    ...(isEmpty(quota) ? {} : { quota }),
    ...(isEmpty(policy) ? {} : { policy }),
  };
}

function isEmpty(record: object | undefined): boolean {
  return Object.keys(record ?? {}).length === 0;
}

/** A name as lists show it: directories end with "/". */
export function entryName(entry: FileInfo, name: string): string {
  return entry.kind === "dir" ? `${printable(name)}/` : printable(name);
}

/** The line of `ls -l`: kind, size, time of the last change, name. */
export function longLine(entry: FileInfo, name: string, isHuman: boolean): string {
  const size = entry.kind === "dir" ? "-" : isHuman ? formatBytes(entry.size) : String(entry.size);
  const time = entry.modifiedAt.toISOString().replace("T", " ").slice(0, 19);
  return `${entry.kind.padEnd(4)}  ${size.padStart(12)}  ${time}  ${entryName(entry, name)}`;
}

/** What `stat` prints for people. */
export function describeEntry(entry: FileInfo): readonly string[] {
  const facts: (readonly [string, string | undefined])[] = [
    ["Path", printable(entry.path)],
    ["Kind", entry.kind === "dir" ? "directory" : "file"],
    ["Modified", entry.modifiedAt.toISOString()],
    ["Created", entry.createdAt.toISOString()],
  ];
  if (entry.kind === "file") {
    const { chunkSize } = entry;
    const chunkSizeText = chunkSize === undefined ? undefined : formatBytes(chunkSize);
    facts.push(
      ["Size", `${entry.size} bytes (${formatBytes(entry.size)})`],
      ["Etag", entry.etag],
      ["Version", entry.version],
      ["CRC32C", entry.checksum?.value],
      ["Layout", layoutText(entry)],
      ["On disks", diskText(entry)],
      ["Chunks", `${entry.chunkCount ?? "?"} of at most ${chunkSizeText ?? "?"}`],
      ["Appended", tailText(entry)],
    );
  }
  facts.push(...describeAttributes(entry), ["Seen", freshnessText(entry)]);
  return facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.padEnd(10)}${value}`],
  );
}

/** How many chunks are kept in each way. */
function layoutsOf(chunks: readonly ChunkInfo[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { layout } of chunks) counts[layout] = (counts[layout] ?? 0) + 1;
  return counts;
}

/** How it is kept, and what may be lost. */
function layoutText(entry: FileInfo): string | undefined {
  const { layout = "replicated", redundancy, chunks = [] } = entry;
  const { inline = 0, ...kept } = layoutsOf(chunks);
  if (0 < inline && inline === chunks.length) return "inline: every master keeps it";
  const others = Object.entries(kept).filter(([other]) => other !== layout);
  if (0 < others.length) {
    const texts = others.map(([other, count]) => `${count} of ${chunks.length} are ${other}`);
    return `${layout}, not all chunks yet: ${texts.join(", ")}`;
  }
  const meant = meantText(layout, redundancy);
  if (meant === undefined || inline === 0) return meant;
  return `${meant}; ${inline} of ${chunks.length} chunks are inline: every master keeps them`;
}

function meantText(layout: string, redundancy: FileInfo["redundancy"]): string | undefined {
  if (layout === "replicated") {
    return redundancy === undefined ? undefined : plural(redundancy.replicas, "replica");
  }
  const code = parseCode(layout);
  if (code === undefined) return layout;
  const { data, parity } = code;
  return `${layout}: any ${parity} of ${data + parity} servers may be lost`;
}

/** Against what is in it; nothing of a file that only the masters keep. */
function diskText({ size, bytesOnDisk }: FileInfo): string | undefined {
  if (bytesOnDisk === undefined || (bytesOnDisk === 0 && 0 < size)) return undefined;
  const share = size === 0 ? "" : `, ${(bytesOnDisk / size).toFixed(2)} times its size`;
  return `${formatBytes(bytesOnDisk)}${share}`;
}

/** What is being appended to it at present. */
function tailText({ tail }: FileInfo): string | undefined {
  if (tail === undefined) return undefined;
  const { handle, epoch, offset, length, replicas } = tail;
  const [primary, ...others] = replicas.map(({ id }) => id);
  const where = `primary ${primary ?? "?"}, with ${others.join(" ")}`;
  return `${length} bytes from byte ${offset} on, in chunk ${handle}, epoch ${epoch}: ${where}`;
}

function freshnessText({ freshness }: FileInfo): string | undefined {
  if (freshness === undefined) return undefined;
  const { appliedIndex, ageMs } = freshness;
  return `at entry ${appliedIndex} of the masters' log, at most ${ageMs} ms ago`;
}

function describeAttributes(entry: FileInfo): readonly (readonly [string, string | undefined])[] {
  const { usage, quota = {}, policy = {} } = entry;
  const pairs = (record: object): string | undefined => {
    const texts = Object.entries(record).map(([key, value]) => printable(`${key}=${value}`));
    return texts.length === 0 ? undefined : texts.join(" ");
  };
  const { bytes = 0, files = 0, directories = 0 } = usage ?? {};
  const below = `${plural(files, "file")}, ${plural(directories, "directory")}`;
  return [
    ["Type", entry.contentType === undefined ? undefined : printable(entry.contentType)],
    ["Metadata", pairs(entry.metadata)],
    ["Tags", pairs(entry.tags)],
    ["Expires", entry.expiresAt?.toISOString()],
    ["Below", usage === undefined ? undefined : `${below}, ${formatBytes(bytes)}`],
    ["Quota", pairs(quota)],
    ["Policy", pairs(policyTexts(policy))],
  ];
}

/** What a directory sets, named as the flags of `policy set`. */
function policyTexts(policy: Policy): object {
  const { replicas, versions, trashMs, ttlMs, code, codeAfterMs, codeFallback } = policy;
  return {
    ...(replicas === undefined ? {} : { replicas }),
    ...(versions === undefined ? {} : { versions }),
    ...(trashMs === undefined ? {} : { trash: formatLifetime(trashMs) }),
    ...(ttlMs === undefined ? {} : { ttl: formatLifetime(ttlMs) }),
    ...(code === undefined ? {} : { ec: code }),
    ...(codeAfterMs === undefined ? {} : { "ec-after": formatLifetime(codeAfterMs) }),
    ...(codeFallback === undefined ? {} : { "ec-fallback": codeFallback }),
  };
}

/** One chunk with its replicas or units, for people. */
export function describeChunk(chunk: ChunkInfo): string {
  const replicas = chunk.replicas
    .map(({ id, role, state, damaged, unit }) => {
      return `${id} ${unit === undefined ? role : `unit ${unit}`} ${damaged ? "damaged" : state}`;
    })
    .join(", ");
  const { index, handle, epoch, length, crc32c, layout } = chunk;
  const facts = [`handle ${handle}`, `epoch ${epoch}`, `${length} bytes`, `crc32c ${crc32c}`];
  if (layout === "inline") facts.push("inline, every master has it");
  else if (layout !== "replicated") facts.push(layout);
  return ["", index, ...facts, replicas].join("  ").trimEnd();
}
