// What is read from the past: trash, versions, snapshots, and directories as a snapshot shows them.
//
// A name in a directory at log index R is its entry, if that was there at R already (since <= R);
// or else what history has of it with since <= R < ended. Pages are read while commands go on being
// applied: the entry is looked up first and history after it, so what moves from one to the other
// in between is seen. It may be seen twice, and counts once.

import { type InodeId, invariant, ROOT_INODE } from "@lumeofs/base";
import { quoted, type Refused, refuse } from "./command.js";
import { decodePast, type PastEntry } from "./history.js";
import { decodeEntry, type FileInode, type Inode } from "./inode-record.js";
import { getEntry, getInode, type Place } from "./inodes.js";
import {
  entriesAfter,
  type HistoryId,
  historyAfter,
  historyIdOf,
  historyOf,
  nameOf,
  numberOf,
  snapshotsAfter,
  trashAfter,
} from "./keys.js";
import { type Path, parsePath, parseReadPath, type SnapshotPath } from "./path.js";
import {
  bytesOfListed,
  type DirectoryPage,
  type ListedInode,
  listPage,
  type NamedInode,
  PAGE_BYTES_MAX,
  stat,
} from "./queries.js";
import { decodeSnapshot, getSnapshot, type Snapshot } from "./snapshots.js";
import type { StateReader } from "./state.js";
import { decodeTrashItem, type TrashItem } from "./trash.js";
import { placeOfName } from "./versions.js";
import { refuseUnreached, walk } from "./walk.js";

/** Records of history read at once. */
const PAGE = 256;

export interface Page<T> {
  readonly kind: "page";
  readonly found: readonly T[];
  /** More follows the last one. */
  readonly hasMore: boolean;
}

export interface NamedTrashItem extends TrashItem {
  readonly id: number;
}

export interface NamedSnapshot extends Snapshot {
  readonly name: string;
}

/** An earlier content of a file. */
export interface Version {
  readonly version: number;
  readonly id: InodeId;
  readonly inode: FileInode;
  /** For `removeVersion`. */
  readonly ended: number;
}

/**
 * What is at a path, in a snapshot too; with `version`, the current or an earlier content of the
 * file there, also of one that was removed.
 */
export async function statAt(
  reader: StateReader,
  request: { readonly path: string; readonly version: number | undefined },
): Promise<NamedInode | Refused> {
  const { version } = request;
  const path = parseReadPath(request.path);
  if (path.kind === "refused") return path;
  if (version !== undefined) return statVersion(reader, path, version);
  if (path.kind === "path") return stat(reader, path.text);
  const found = await resolve(reader, path);
  if (found.kind === "refused") return found;
  const inode = getInode(reader, found.id);
  if (inode === undefined) return refuseMissing(path);
  return { kind: "found", path: path.text, id: found.id, inode };
}

/** Entries of a directory behind the name `after`, in a snapshot too. */
export async function listAt(
  reader: StateReader,
  request: { readonly path: string; readonly after: string; readonly countMax: number },
): Promise<DirectoryPage | Refused> {
  const path = parseReadPath(request.path);
  if (path.kind === "refused") return path;
  if (path.kind === "path") return listPage(reader, request);
  if (path.snapshot === undefined) return listSnapshots(reader, path, request);
  const found = await resolve(reader, path);
  if (found.kind === "refused") return found;
  if (found.inodeKind === "file") {
    return refuse("NOT_DIRECTORY", `Cannot list ${quoted(path.text)}: it is a file`);
  }
  const page = await namesAt(reader, { ...request, directory: found.id }, found.revision);
  const entries: ListedInode[] = [];
  let bytes = 0;
  for (const [i, { name, id }] of page.found.entries()) {
    const inode = getInode(reader, id);
    const listed = `${path.text}/${name}`;
    if (inode === undefined) continue;
    entries.push({ kind: "found", path: listed, name, id, inode });
    bytes += bytesOfListed({ path: listed, inode });
    const isCut = PAGE_BYTES_MAX <= bytes && i + 1 < page.found.length;
    if (isCut) return { kind: "page", entries, hasMore: true, last: name };
  }
  const last = page.found.at(-1)?.name ?? request.after;
  return { kind: "page", entries, hasMore: page.hasMore, last };
}

/** What is in the trash, oldest first, behind the item `after`. */
export async function trashPage(
  reader: StateReader,
  page: { readonly after: number; readonly countMax: number },
): Promise<Page<NamedTrashItem>> {
  const { from, to } = trashAfter(page.after);
  const pairs = await reader.range(from, to, page.countMax + 1);
  const found = pairs
    .slice(0, page.countMax)
    .map(([key, value]) => ({ id: numberOf(key), ...decodeTrashItem(value) }));
  return { kind: "page", found, hasMore: page.countMax < pairs.length };
}

/**
 * Earlier contents of the file at a path, newest first, below the version `before` (0: all of
 * them). Costs what history has of the name.
 */
export async function versionsPage(
  reader: StateReader,
  request: { readonly path: string; readonly before: number; readonly countMax: number },
): Promise<Page<Version> | Refused> {
  const path = parsePath(request.path);
  if (path.kind === "refused") return path;
  const walked = walk(reader, path);
  if (walked.kind === "blocked") return refuseUnreached("find versions of", path, walked);
  const place = placeOfName(path, walked);
  const all = place === undefined ? [] : await versionsOf(reader, place);
  if (all.length === 0 && walked.kind === "missing") {
    return refuseUnreached("find versions of", path, walked);
  }
  const wanted = all
    .filter(({ version }) => request.before === 0 || version < request.before)
    .sort((a, b) => b.version - a.version);
  const found = wanted.slice(0, request.countMax);
  return { kind: "page", found, hasMore: found.length < wanted.length };
}

/** Snapshots of a directory whose names come after `after`, in the order of their names. */
export async function snapshotsPage(
  reader: StateReader,
  request: { readonly path: string; readonly after: string; readonly countMax: number },
): Promise<Page<NamedSnapshot> | Refused> {
  const directory = stat(reader, request.path);
  if (directory.kind === "refused") return directory;
  if (directory.inode.kind === "file") {
    const what = `Cannot list snapshots of ${quoted(request.path)}`;
    return refuse("NOT_DIRECTORY", `${what}: it is a file`);
  }
  const { from, to } = snapshotsAfter(directory.id, request.after);
  const pairs = await reader.range(from, to, request.countMax + 1);
  const found = pairs
    .slice(0, request.countMax)
    .map(([key, value]) => ({ name: nameOf(key), ...decodeSnapshot(value) }));
  return { kind: "page", found, hasMore: request.countMax < pairs.length };
}

/** The snapshots of a directory, as the directories that they show. */
async function listSnapshots(
  reader: StateReader,
  path: SnapshotPath,
  request: { readonly after: string; readonly countMax: number },
): Promise<DirectoryPage | Refused> {
  const { text } = path.directory;
  const directory = stat(reader, text);
  if (directory.kind === "refused") return directory;
  const page = await snapshotsPage(reader, { ...request, path: text });
  if (page.kind === "refused") return page;
  const { id, inode } = directory;
  const entries = page.found.map(
    ({ name }): ListedInode => ({ kind: "found", path: `${path.text}/${name}`, name, id, inode }),
  );
  const last = page.found.at(-1)?.name ?? request.after;
  return { kind: "page", entries, hasMore: page.hasMore, last };
}

async function statVersion(
  reader: StateReader,
  path: Path | SnapshotPath,
  version: number,
): Promise<NamedInode | Refused> {
  if (path.kind === "snapshotPath") {
    const what = `Cannot read version ${version} of ${quoted(path.text)}`;
    return refuse("INVALID_ARGUMENT", `${what}: a snapshot has one version of each file`);
  }
  const walked = walk(reader, path);
  if (walked.kind === "file" && walked.inode.revision === version) {
    return { kind: "found", path: path.text, id: walked.id, inode: walked.inode };
  }
  const place = placeOfName(path, walked);
  const all = place === undefined ? [] : await versionsOf(reader, place);
  const found = all.find((one) => one.version === version);
  if (found === undefined) {
    const what = `Cannot find version ${version} of ${quoted(path.text)}`;
    return refuse("NOT_FOUND", `${what}: it does not exist, or is no longer kept`);
  }
  return { kind: "found", path: path.text, id: found.id, inode: found.inode };
}

async function versionsOf(reader: StateReader, place: Place): Promise<readonly Version[]> {
  const versions: Version[] = [];
  for await (const { id, past } of pastOf(reader, place, 0)) {
    if (past.version === 0) continue;
    const inode = getInode(reader, past.inode);
    if (inode?.kind !== "file") continue; // dropped in the meantime
    versions.push({ version: past.version, id: past.inode, inode, ended: id.ended });
  }
  return versions;
}

/** History of a name from behind `ended`, oldest first. */
async function* pastOf(
  reader: StateReader,
  { parent, name }: Place,
  ended: number,
): AsyncGenerator<{ readonly id: HistoryId; readonly past: PastEntry }> {
  for (let behind = ended; ; ) {
    const { from, to } = historyOf(parent, name, behind);
    const pairs = await reader.range(from, to, PAGE);
    for (const [key, value] of pairs) yield { id: historyIdOf(key), past: decodePast(value) };
    const last = pairs.at(-1);
    if (last === undefined || pairs.length < PAGE) return;
    behind = historyIdOf(last[0]).ended;
  }
}

/** Where a path into a snapshot leads: the directory or file, and the log index of the snapshot. */
async function resolve(
  reader: StateReader,
  path: SnapshotPath,
): Promise<
  | {
      readonly kind: "resolved";
      readonly id: InodeId;
      readonly inodeKind: Inode["kind"];
      readonly revision: number;
    }
  | Refused
> {
  const walked = walk(reader, path.directory);
  if (walked.kind === "missing" || walked.kind === "blocked") {
    return refuseUnreached("find", path.directory, walked);
  }
  let id: InodeId = walked.kind === "root" ? ROOT_INODE : walked.id;
  if (walked.kind !== "file" && path.snapshot === undefined) {
    return { kind: "resolved", id, inodeKind: "directory", revision: 0 };
  }
  if (path.snapshot === undefined) return refuseMissing(path);
  const snapshot = getSnapshot(reader, id, path.snapshot);
  if (snapshot === undefined) return refuseMissing(path);
  let inodeKind: Inode["kind"] = "directory";
  for (const name of path.names) {
    if (inodeKind === "file") return refuseMissing(path);
    const found = await lookUp(reader, { parent: id, name }, snapshot.revision);
    if (found === undefined) return refuseMissing(path);
    id = found.inode;
    inodeKind = found.kind;
  }
  return { kind: "resolved", id, inodeKind, revision: snapshot.revision };
}

/** What a name led to at a log index. */
async function lookUp(
  reader: StateReader,
  place: Place,
  revision: number,
): Promise<{ readonly inode: InodeId; readonly kind: Inode["kind"] } | undefined> {
  const entry = getEntry(reader, place.parent, place.name);
  if (entry !== undefined && entry.since <= revision) return entry;
  for await (const { past } of pastOf(reader, place, revision)) {
    return past.since <= revision ? past : undefined;
  }
  return undefined;
}

interface NameAt {
  readonly name: string;
  readonly id: InodeId;
}

/** Names of a directory at a log index: those that are entries still, and those that are past. */
async function namesAt(
  reader: StateReader,
  request: { readonly directory: InodeId; readonly after: string; readonly countMax: number },
  revision: number,
): Promise<Page<NameAt>> {
  const found = await entriesAt(reader, request, revision);
  // Where the entries go on, names behind the last of them belong to the next page.
  const end = found.hasMore ? found.found.at(-1)?.name : undefined;
  const past = await pastAt(reader, { ...request, end }, revision);
  const names = new Map<string, NameAt>();
  for (const one of [...past.found, ...found.found]) names.set(one.name, one);
  const sorted = [...names.values()].sort((a, b) => inByteOrder(a.name, b.name));
  const hasMore = found.hasMore || past.hasMore || request.countMax < sorted.length;
  return { kind: "page", found: sorted.slice(0, request.countMax), hasMore };
}

/** The first entries that were there at a log index: one more than asked for, or all. */
async function entriesAt(
  reader: StateReader,
  request: { readonly directory: InodeId; readonly after: string; readonly countMax: number },
  revision: number,
): Promise<Page<NameAt>> {
  const found: NameAt[] = [];
  for (let { after } = request; ; ) {
    const { from, to } = entriesAfter(request.directory, after);
    const pairs = await reader.range(from, to, PAGE);
    for (const [key, value] of pairs) {
      after = nameOf(key);
      const entry = decodeEntry(value);
      if (entry.since <= revision) found.push({ name: after, id: entry.inode });
      if (request.countMax < found.length) return { kind: "page", found, hasMore: true };
    }
    if (pairs.length < PAGE) return { kind: "page", found, hasMore: false };
  }
}

/** The first names that history has of a log index, up to and including the name `end`. */
async function pastAt(
  reader: StateReader,
  request: {
    readonly directory: InodeId;
    readonly after: string;
    readonly countMax: number;
    readonly end: string | undefined;
  },
  revision: number,
): Promise<Page<NameAt>> {
  const { directory, end } = request;
  const found: NameAt[] = [];
  const { from: start, to } = historyAfter(directory, request.after);
  for (let from = start; ; ) {
    const pairs = await reader.range(from, to, PAGE);
    for (const [key, value] of pairs) {
      const { name, ended } = historyIdOf(key);
      if (end !== undefined && 0 < inByteOrder(name, end)) {
        return { kind: "page", found, hasMore: false };
      }
      const past = decodePast(value);
      if (past.since <= revision && revision < ended) found.push({ name, id: past.inode });
      if (request.countMax < found.length) return { kind: "page", found, hasMore: true };
    }
    const last = pairs.at(-1);
    if (last === undefined || pairs.length < PAGE) return { kind: "page", found, hasMore: false };
    const behind = historyIdOf(last[0]);
    from = historyOf(directory, behind.name, behind.ended).from;
  }
}

/** Names are in the order of their UTF-8 bytes, which is that of their code points. */
function inByteOrder(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const order = codePoint(left[i]) - codePoint(right[i]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function codePoint(character: string | undefined): number {
  const code = character?.codePointAt(0);
  invariant(code !== undefined, "a character has a code point");
  return code;
}

function refuseMissing(path: SnapshotPath): Refused {
  return refuse("NOT_FOUND", `Cannot find ${quoted(path.text)}: it does not exist`);
}
