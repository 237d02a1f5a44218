import { type Disk, formatCode, LumeoError } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { Backup } from "./backup.js";
import { newestOf, readCatalogue } from "./catalogue.js";
import { chainOf, stateOf } from "./chain.js";
import { damaged } from "./format.js";

/** One file or directory as it was. */
export interface IndexEntry {
  readonly path: string;
  readonly kind: "file" | "dir";
  readonly size: number;
  readonly version: string;
  readonly createdAt: Date;
  readonly modifiedAt: Date;
  /** Files only. */
  readonly crc32c?: string;
  readonly chunkCount?: number;
  readonly replicas?: number;
  /** "replicated", or the code that the file was meant to have, such as "4+2". */
  readonly layout?: string;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

/** What was where, directory by directory, out of the newest index, or that of a revision. */
export async function* indexEntries(
  disk: Disk,
  revision: number | undefined,
): AsyncGenerator<IndexEntry, void, undefined> {
  const { backups } = await readCatalogue(disk);
  const backup = newestOf(backups, { mode: "index", revision });
  if (backup === undefined) {
    const which = revision === undefined ? "no backup" : `no backup of revision ${revision}`;
    const way = 'make one with "lumeo backup create --mode index"';
    throw new LumeoError("NOT_FOUND", `Cannot show: ${which} in index mode is there; ${way}`);
  }
  for await (const [, value] of stateOf(disk, chainOf(backup, backups))) {
    yield decodeEntry(backup, value);
  }
}

function decodeEntry({ name }: Backup, value: Uint8Array): IndexEntry {
  const info = decodeInfo(name, value);
  const isFile = info.kind === lumeo.master.v1.FileKind.FILE_KIND_FILE;
  const content = {
    crc32c: (info.crc32c ?? 0).toString(16).padStart(8, "0"),
    chunkCount: info.chunkCount ?? 0,
    replicas: info.replicas ?? 0,
    layout: layoutOf(info.code),
    ...(info.contentType ? { contentType: info.contentType } : {}),
  };
  return {
    path: info.path ?? "",
    kind: isFile ? "file" : "dir",
    size: info.sizeBytes ?? 0,
    version: String(info.revision ?? 0),
    createdAt: new Date(info.createdAtMs ?? 0),
    modifiedAt: new Date(info.modifiedAtMs ?? 0),
    ...(isFile ? content : {}),
    metadata: info.metadata ?? {},
    tags: info.tags ?? {},
  };
}

function layoutOf(code: lumeo.common.v1.ICode | null | undefined): string {
  if (!code) return "replicated";
  const { data, parity, cellBytes } = code;
  return formatCode({ data: data ?? 0, parity: parity ?? 0, cellBytes: cellBytes ?? 0 });
}

function decodeInfo(name: string, value: Uint8Array): lumeo.master.v1.IFileInfo {
  try {
    return lumeo.master.v1.FileInfo.decode(value);
  } catch {
    throw damaged(name, "an entry of the index is unreadable");
  }
}
