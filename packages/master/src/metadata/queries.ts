// What is read from the state: files, pages of directories and of chunk lists, and what the duties
// of the leader look for. Every query costs what its answer holds, never what the state holds.
//
// A page is read key by key while commands go on being applied; an entry that vanishes meanwhile is
// left out, so every entry of an answer was there at some time after the query began.

import {
  type ChunkHandle,
  chunkHandle,
  type GrantId,
  grantId,
  type InodeId,
  inodeId,
  KiB,
  ROOT_INODE,
  type ServerId,
  type SessionId,
  serverId,
  sessionId,
  type WallMs,
} from "@lumeofs/base";
import type { Labels } from "./attributes.js";
import { type ChunkRecord, getPage, listedChunk, PAGE_CHUNKS } from "./chunk-table.js";
import { quoted, type Refused, refuse } from "./command.js";
import { decodeGrant } from "./grants.js";
import { contentOf, decodeEntry, type FileInode, type Inode } from "./inode-record.js";
import { decodeOrphan, getEntered, type Orphan } from "./inodes.js";
import {
  entriesAfter,
  grantsAfter,
  type KeyRange,
  nameOf,
  numberOf,
  orphansAfter,
  releasedHandleOf,
  releasedUpTo,
  serversAfter,
  sessionsAfter,
  uploadsAfter,
} from "./keys.js";
import { parsePath } from "./path.js";
import { decodeServer, type Server } from "./servers.js";
import { decodeSession } from "./sessions.js";
import type { StateReader, StateView } from "./state.js";
import { decodeUpload } from "./uploads.js";
import { refuseUnreached, walk } from "./walk.js";

type Pair = readonly [key: Uint8Array, value: Uint8Array];

export interface NamedInode {
  readonly kind: "found";
  readonly path: string;
  readonly id: InodeId;
  readonly inode: Inode;
}

export interface FileChunk {
  /** In the file's list. */
  readonly listed: ChunkHandle;
  /** On the servers: another one if the chunk was converted. */
  readonly handle: ChunkHandle;
  readonly chunk: ChunkRecord;
}

/** Something in a directory. */
export interface ListedInode extends NamedInode {
  /** The end of its path. */
  readonly name: string;
}

export interface DirectoryPage {
  readonly kind: "page";
  readonly entries: readonly ListedInode[];
  /** More names follow the last entry. */
  readonly hasMore: boolean;
  /** Where the next page begins: the last name looked at, though its entry may have vanished. */
  readonly last: string;
}

/** A page has fewer entries than it may where users have said much about these. */
export const PAGE_BYTES_MAX = 512 * KiB;
/** Of an entry besides. */
const ENTRY_BYTES = 128;
/** Around a label. */
const LABEL_BYTES = 8;

/** Roughly what an entry has in an answer: texts that are not ASCII have up to three times that. */
export function bytesOfListed({ path, inode }: Omit<NamedInode, "kind" | "id">): number {
  const { metadata, tags } = inode;
  return ENTRY_BYTES + path.length + bytesOfLabels(metadata) + bytesOfLabels(tags);
}

/** As `bytesOfListed`, of what users have said. */
export function bytesOfLabels(labels: Labels): number {
  let bytes = 0;
  for (const key in labels) bytes += LABEL_BYTES + key.length + (labels[key]?.length ?? 0);
  return bytes;
}

/** What is at a path; NOT_FOUND, NOT_DIRECTORY or INVALID_ARGUMENT if there is nothing. */
export function stat(view: StateView, text: string): NamedInode | Refused {
  const path = parsePath(text);
  if (path.kind === "refused") return path;
  const walked = walk(view, path);
  switch (walked.kind) {
    case "missing":
    case "blocked":
      return refuseUnreached("find", path, walked);
    case "root":
      return { kind: "found", path: text, id: ROOT_INODE, inode: walked.inode };
    default:
      return { kind: "found", path: text, id: walked.id, inode: walked.inode };
  }
}

/** Entries of a directory as the state has them, still to be read. */
export interface EntryPage {
  readonly kind: "entries";
  readonly path: string;
  readonly pairs: readonly Pair[];
  /** More names follow the last entry. */
  readonly hasMore: boolean;
}

export interface PageRequest {
  /** Of a directory. */
  readonly path: string;
  /** Names behind this one; "" for all. */
  readonly after: string;
  readonly countMax: number;
}

/** Entries of a directory behind the name `after`, in the byte order of their names. */
export async function entryPage(
  reader: StateReader,
  { path, after, countMax }: PageRequest,
): Promise<EntryPage | Refused> {
  const directory = stat(reader, path);
  if (directory.kind === "refused") return directory;
  if (directory.inode.kind === "file") {
    return refuse("NOT_DIRECTORY", `Cannot list ${quoted(path)}: it is a file`);
  }
  const { from, to } = entriesAfter(directory.id, after);
  const pairs = await reader.range(from, to, countMax + 1);
  const hasMore = countMax < pairs.length;
  return { kind: "entries", path, pairs: hasMore ? pairs.slice(0, countMax) : pairs, hasMore };
}

/** The same, read. */
export async function listPage(
  reader: StateReader,
  request: PageRequest,
): Promise<DirectoryPage | Refused> {
  const page = await entryPage(reader, request);
  if (page.kind === "refused") return page;
  const entries: ListedInode[] = [];
  let last = request.after;
  let bytes = 0;
  for (const pair of page.pairs) {
    if (PAGE_BYTES_MAX <= bytes) return { kind: "page", entries, hasMore: true, last };
    last = nameOf(pair[0]);
    const listed = listedInode(reader, page.path, pair);
    if (listed === undefined) continue;
    entries.push(listed);
    bytes += bytesOfListed(listed);
  }
  return { kind: "page", entries, hasMore: page.hasMore, last };
}

/** What an entry leads to; undefined if that has vanished since the entry was read. */
export function listedInode(
  view: StateView,
  directory: string,
  [key, value]: Pair,
): ListedInode | undefined {
  const name = nameOf(key);
  const entry = decodeEntry(value);
  const inode = getEntered(view, entry);
  if (inode === undefined) return undefined;
  const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
  return { kind: "found", path, name, id: entry.inode, inode };
}

/** Chunks of a file from position `first` on, at most `countMax`. */
export function fileChunks(
  view: StateView,
  file: { readonly id: InodeId; readonly inode: FileInode },
  window: { readonly first: number; readonly countMax: number },
): readonly FileChunk[] {
  const { inode } = file;
  const content = contentOf(file.id, inode);
  const end = Math.min(inode.chunkCount, window.first + window.countMax);
  const chunks: FileChunk[] = [];
  let page: readonly ChunkHandle[] = inode.inline;
  let pageNumber = 0 < inode.inline.length ? 0 : -1;
  for (let position = window.first; position < end; position++) {
    const wanted = Math.floor(position / PAGE_CHUNKS);
    if (wanted !== pageNumber) {
      page = getPage(view, content, wanted);
      pageNumber = wanted;
    }
    const listed = page[position % PAGE_CHUNKS];
    const found = listed === undefined ? undefined : listedChunk(view, listed);
    if (listed === undefined || found === undefined) break;
    chunks.push({ listed, ...found });
  }
  return chunks;
}

/** All servers, a page at a time, by number. */
export async function serversPage(
  reader: StateReader,
  after: number,
  countMax: number,
): Promise<readonly { readonly id: ServerId; readonly server: Server }[]> {
  const pairs = await readRange(reader, serversAfter(after), countMax);
  return pairs.map(([key, value]) => ({
    id: serverId(numberOf(key)),
    server: decodeServer(value),
  }));
}

/** What lies in a page of a table, and where the next page begins; undefined at the table's end. */
export interface Sweep<T> {
  readonly found: readonly T[];
  readonly next: number | undefined;
}

/** Grants made at or before `unusedSince`, oldest first: stops at the first younger one. */
export async function oldGrants(
  reader: StateReader,
  unusedSince: WallMs,
  countMax: number,
): Promise<readonly GrantId[]> {
  const pairs = await readRange(reader, grantsAfter(0), countMax);
  return pairs
    .filter(([, value]) => decodeGrant(value).at <= unusedSince)
    .map(([key]) => grantId(numberOf(key)));
}

/** Uploads of one page that were not used since `unusedSince`. */
export async function idleUploads(
  reader: StateReader,
  unusedSince: WallMs,
  page: { readonly after: number; readonly countMax: number },
): Promise<Sweep<InodeId>> {
  const pairs = await readRange(reader, uploadsAfter(page.after), page.countMax);
  const idle = pairs.filter(([, value]) => decodeUpload(value).at <= unusedSince);
  return sweepOf(
    pairs,
    page.countMax,
    idle.map(([key]) => inodeId(numberOf(key))),
  );
}

/** Sessions of one page that were not used since `unusedSince`. */
export async function idleSessions(
  reader: StateReader,
  unusedSince: WallMs,
  page: { readonly after: number; readonly countMax: number },
): Promise<Sweep<SessionId>> {
  const pairs = await readRange(reader, sessionsAfter(page.after), page.countMax);
  const idle = pairs.filter(([, value]) => decodeSession(value).at <= unusedSince);
  return sweepOf(
    pairs,
    page.countMax,
    idle.map(([key]) => sessionId(numberOf(key))),
  );
}

/** Chunks released at or before `at`, oldest first. */
export async function releasedChunks(
  reader: StateReader,
  at: WallMs,
  countMax: number,
): Promise<readonly ChunkHandle[]> {
  const pairs = await readRange(reader, releasedUpTo(at), countMax);
  return pairs.map(([key]) => chunkHandle(releasedHandleOf(key)));
}

/** What is still to be freed. */
export async function orphans(
  reader: StateReader,
  countMax: number,
): Promise<readonly { readonly id: InodeId; readonly kind: Orphan["kind"] }[]> {
  const pairs = await readRange(reader, orphansAfter(0), countMax);
  return pairs.map(([key, value]) => ({
    id: inodeId(numberOf(key)),
    kind: decodeOrphan(value).kind,
  }));
}

/** The first names of a directory, by its number. */
export async function firstNames(
  reader: StateReader,
  directory: InodeId,
  countMax: number,
): Promise<readonly string[]> {
  const pairs = await readRange(reader, entriesAfter(directory, ""), countMax);
  return pairs.map(([key]) => nameOf(key));
}

function readRange(
  reader: StateReader,
  { from, to }: KeyRange,
  countMax: number,
): Promise<readonly Pair[]> {
  return reader.range(from, to, countMax);
}

function sweepOf<T>(pairs: readonly Pair[], countMax: number, found: readonly T[]): Sweep<T> {
  const last = pairs.at(-1);
  const isEnd = pairs.length < countMax || last === undefined;
  return { found, next: isEnd ? undefined : numberOf(last[0]) };
}
