// Brings a store back after its process has ended, however it ended.
//
// 1. The log is read from the index's mark on and taken into the catalog; a torn tail is dropped.
// 2. Every entry is looked at: a chunk whose record lies in damage, or whose file or segment is
//    missing, is damaged and not served. Entries that are not as many as the index says mean that
//    the index has lost some: it is built again.
// 3. Chunk files that no entry names were never acknowledged, or are deleted: they are removed.

import {
  type ChunkHandle,
  type Disk,
  type Logger,
  LumeoError,
  type ReplayItem,
  type Wal,
  type WalMark,
  type WalPlace,
} from "@lumeofs/base";
import { compareVersions } from "../mutation/version.js";
import { Catalog } from "./catalog.js";
import { chunkPath, listChunkFiles } from "./chunk-files.js";
import type { ChunkIndex } from "./chunk-index.js";
import type { IndexFloor } from "./index-floor.js";
import { type ChunkEntry, decodeRecord, entryDigest, isSameFile } from "./record.js";

/** Replayed changes that may wait for the index. */
const PENDING_MAX = 4_096;

export interface Recovered {
  readonly catalog: Catalog;
  readonly damaged: ReadonlySet<ChunkHandle>;
  /** Higher than that of any file that is or was here. */
  readonly nextFileId: number;
  /** Of the chunks that are here; 0 for none. */
  readonly highestHandle: number;
}

interface DamagedRange {
  readonly segment: number;
  readonly position: number;
  readonly end: number;
}

interface Parts {
  readonly disk: Disk;
  readonly wal: Wal;
  readonly index: ChunkIndex;
  readonly floor: IndexFloor;
  readonly logger: Logger;
}

/** @throws LumeoError CORRUPT if the index is damaged: `clear` it and recover again. */
export async function recover(parts: Parts): Promise<Recovered> {
  const catalog = await Catalog.open(parts.index);
  const isNew = catalog.mark.segment === 0;
  if (!isNew && !(await parts.floor.admits(catalog.mark))) {
    throw new LumeoError("CORRUPT", "Cannot use index: it is older than what the log still tells");
  }
  const ranges = await replay(parts, catalog);
  await catalog.flush();
  const found = await inspect(parts, catalog, ranges);
  await catalog.flush();
  return { catalog, ...found };
}

async function replay(parts: Parts, catalog: Catalog): Promise<readonly DamagedRange[]> {
  const ranges: DamagedRange[] = [];
  const from = catalog.mark.segment === 0 ? undefined : catalog.mark;
  for await (const item of parts.wal.replay(from)) {
    if (item.kind === "record") replayRecord(catalog, item);
    else report(item, ranges, catalog, parts.logger);
    if (PENDING_MAX <= catalog.pendingCount) await catalog.flush();
  }
  return ranges;
}

function replayRecord(
  catalog: Catalog,
  item: Extract<ReplayItem, { readonly kind: "record" }>,
): void {
  const record = decodeRecord(item.body);
  const previous = catalog.find(record.handle);
  if (record.kind === "tombstone") return replayTombstone(catalog, previous, item);
  if (previous !== undefined && compareVersions(record.version, previous.version) < 0) {
    return catalog.advance(item.after);
  }
  const { handle, version, length, crc32c, home } = record;
  const { place } = item;
  // A record that was moved still stands for the same file; one that heals names another.
  const isDamaged = previous?.isDamaged === true && isSameFile(previous.home, home);
  const entry = { handle, version, length, crc32c, home, place, isDamaged };
  catalog.apply({ kind: "put", entry, previous }, item.after);
}

function replayTombstone(
  catalog: Catalog,
  previous: ChunkEntry | undefined,
  item: { readonly place: WalPlace; readonly after: WalMark },
): void {
  if (previous === undefined) catalog.advance(item.after);
  else catalog.apply({ kind: "remove", previous, place: item.place }, item.after);
}

function report(
  item: Exclude<ReplayItem, { readonly kind: "record" }>,
  ranges: DamagedRange[],
  catalog: Catalog,
  logger: Logger,
): void {
  if (item.kind === "tornTail") {
    logger.info("torn log tail dropped", { index: item.segment, bytes: item.position });
    return;
  }
  const { segment, position, end } = item;
  logger.error("log damaged", {
    code: "CORRUPT",
    index: segment,
    error: `bytes ${position} to ${end} of segment ${segment} are not what was written`,
  });
  ranges.push({ segment, position, end });
  catalog.advance(item.after);
}

/** Steps 2 and 3. */
async function inspect(
  { disk, wal, logger }: Parts,
  catalog: Catalog,
  ranges: readonly DamagedRange[],
): Promise<Omit<Recovered, "catalog">> {
  const files = await findFiles(disk, catalog);
  let { nextFileId } = files;
  let highestHandle = 0;
  const segments = new Set(wal.segments);
  const damaged = new Set<ChunkHandle>();
  const total = { count: 0, fileBytes: 0, digest: 0 };
  for await (const entry of catalog.entries()) {
    const { handle, home, place } = entry;
    total.count++;
    highestHandle = Math.max(highestHandle, handle);
    total.digest = (total.digest ^ entryDigest(entry)) >>> 0;
    if (home.kind === "file") {
      total.fileBytes += entry.length;
      nextFileId = Math.max(nextFileId, home.fileId + 1);
    }
    const isMissing =
      !segments.has(place.segment) ||
      (home.kind === "file" && !files.named.has(chunkPath({ handle, fileId: home.fileId })));
    if (entry.isDamaged || isMissing || ranges.some((range) => overlaps(range, place))) {
      damaged.add(handle);
      if (!entry.isDamaged) catalog.setDamaged(entry);
      logger.error("chunk damaged", { chunk: handle, code: "CORRUPT" });
    }
  }
  const isWhole =
    total.count === catalog.chunkCount &&
    total.fileBytes === catalog.fileBytes &&
    total.digest === catalog.digest;
  if (!isWhole) {
    const found = `${total.count} chunks, which are not the ${catalog.chunkCount} of its summary`;
    throw new LumeoError("CORRUPT", `Cannot use index: it has ${found}`);
  }
  // Only now is it sure that a file without an entry is nobody's.
  for (const path of files.orphans) await disk.remove(path);
  return { damaged, nextFileId, highestHandle };
}

async function findFiles(
  disk: Disk,
  catalog: Catalog,
): Promise<{
  readonly named: ReadonlySet<string>;
  readonly orphans: readonly string[];
  readonly nextFileId: number;
}> {
  let nextFileId = 1;
  const named = new Set<string>();
  const orphans: string[] = [];
  for await (const name of listChunkFiles(disk)) {
    nextFileId = Math.max(nextFileId, name.fileId + 1);
    const entry = catalog.find(name.handle);
    const isNamed = entry?.home.kind === "file" && entry.home.fileId === name.fileId;
    if (isNamed) named.add(chunkPath(name));
    else orphans.push(chunkPath(name));
  }
  return { named, orphans, nextFileId };
}

function overlaps(range: DamagedRange, place: WalPlace): boolean {
  return (
    range.segment === place.segment &&
    place.position < range.end &&
    range.position < place.position + place.bodyBytes
  );
}

/** Whether recovery failed because the index is not to be trusted. */
export function isIndexDamage(error: unknown): boolean {
  return error instanceof LumeoError && error.code === "CORRUPT";
}
