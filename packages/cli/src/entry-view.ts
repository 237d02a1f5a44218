// A file or directory of the cluster as `ls` and `stat` show it.

import type { ChunkInfo, FileInfo } from "@lumeofs/client";
import { formatBytes, printable } from "./format.js";

/** For `--json`. */
export function entryJson(entry: FileInfo): object {
  const { path, kind, size, version, etag, createdAt, modifiedAt } = entry;
  const { chunkSize, chunkCount } = entry;
  const crc32c = entry.checksum?.value;
  const replicas = entry.redundancy?.replicas;
  return {
    ...{ path, kind, size, version, etag },
    createdAt: createdAt.toISOString(),
    modifiedAt: modifiedAt.toISOString(),
    ...(kind === "file" ? { crc32c, replicas, chunkSize, chunkCount } : {}),
  };
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
      ["Replicas", entry.redundancy?.replicas.toString()],
      ["Chunks", `${entry.chunkCount ?? "?"} of at most ${chunkSizeText ?? "?"}`],
    );
  }
  return facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.padEnd(10)}${value}`],
  );
}

/** One chunk with its replicas, for people. */
export function describeChunk(chunk: ChunkInfo): string {
  const replicas = chunk.replicas
    .map(({ id, role, state, damaged }) => `${id} ${role} ${damaged ? "damaged" : state}`)
    .join(", ");
  const { index, handle, epoch, length, crc32c } = chunk;
  const facts = [`handle ${handle}`, `epoch ${epoch}`, `${length} bytes`, `crc32c ${crc32c}`];
  return ["", index, ...facts, replicas].join("  ");
}
