// Changes of the tree, each with all that belongs to it: the entry, the counts and the usage of the
// directories above, what snapshots and policies keep of what was there, when a file expires, and
// what the feed is told. Commands check and call these; nobody else links and unlinks.
//
// Where something is refused half way through, the draft that all is written to is thrown away.

import { type InodeId, inodeId, invariant, ROOT_INODE } from "@lumeofs/base";
import { emit } from "./changes.js";
import type { Refused } from "./command.js";
import { takeNumber } from "./counters.js";
import { NO_USAGE } from "./directory-record.js";
import { cancelExpiry, scheduleExpiry } from "./expiry.js";
import { capturedUpTo, putHistory } from "./history.js";
import { contentOf, type DirectoryEntry, type FileInode } from "./inode-record.js";
import {
  emptyDirectory,
  entryOf,
  getInode,
  link,
  type Moment,
  type Place,
  putGone,
  putInode,
  relink,
  rewriteEntry,
  unlink,
} from "./inodes.js";
import { ancestor, type Path } from "./path.js";
import { effectivePolicy } from "./policy.js";
import { addReference, isShared, releaseInode, shareContent } from "./references.js";
import type { State, StateView } from "./state.js";
import { moveTail, releaseTail } from "./tail-table.js";
import { addUsage, minus, moveUsage, refuseExcess, type UsageChange, usageOf } from "./usage.js";
import type { Found, Walk } from "./walk.js";

type FoundFile = Extract<Found, { kind: "file" }>;
type Missing = Extract<Walk, { kind: "missing" }>;

/** Where a file goes: in the place of another one, or where nothing is. */
export interface Target {
  /** For messages: "Cannot write "/a"". */
  readonly what: () => string;
  readonly path: Path;
  readonly walked: FoundFile | Missing;
}

/** The directory that a file is in, or the last one on the way to it that is there. */
export function directoryOf({ walked }: Pick<Target, "walked">): InodeId {
  return walked.kind === "file" ? walked.place.parent : walked.parent;
}

/** Lets a path lead to a new file, with directories on the way as they are needed. */
export function placeFile(
  state: State,
  target: Target,
  made: { readonly id: InodeId; readonly file: FileInode },
  now: Moment,
): Refused | undefined {
  const { path, walked } = target;
  const { id, file } = made;
  const record = putInode(state, id, file);
  const entry: DirectoryEntry = { inode: id, kind: "file", since: now.index, record };
  const old = walked.kind === "file" ? walked : undefined;
  const place = old?.place ?? makeParents(state, path, walked as Missing, now);
  if (old === undefined) {
    link(state, place, entry, now);
  } else {
    keepOrRelease(state, withoutTail(state, old, now), now);
    relink(state, place, entry, now);
    cancelExpiry(state, place, old.inode.expiresAt);
  }
  scheduleExpiry(state, place, id, file.expiresAt);
  const before = old === undefined ? NO_USAGE : usageOf(old.inode);
  const excess = addUsage(state, place.parent, minus(usageOf(file), before));
  if (excess !== undefined) return refuseExcess(state, target.what(), excess);
  const kind = old === undefined ? "create" : "write";
  emit(state, now, { kind, file: "file", path: path.text, sizeBytes: file.sizeBytes });
  return undefined;
}

/** Makes an empty directory at the end of a path, with those on the way. */
export function placeDirectory(state: State, path: Path, missing: Missing, now: Moment): void {
  addDirectory(state, makeParents(state, path, missing, now), path.text, now);
}

/** Makes the directories between what is there and the last name; where that name will be. */
export function makeParents(state: State, path: Path, from: Missing, now: Moment): Place {
  let { parent } = from;
  for (const [i, name] of path.names.slice(from.known, -1).entries()) {
    parent = addDirectory(state, { parent, name }, ancestor(path, from.known + i + 1), now);
  }
  return { parent, name: lastName(path) };
}

/** Changes all but the content of a file; under which number it is found then. */
export function editFile(state: State, found: FoundFile, edited: FileInode, now: Moment): InodeId {
  const { id, inode, place } = found;
  const isCaptured = found.since <= capturedUpTo(state, place.parent);
  cancelExpiry(state, place, inode.expiresAt);
  if (!isCaptured && !isShared(state, id)) {
    const record = putInode(state, id, edited);
    rewriteEntry(state, place, { inode: id, kind: "file", since: found.since, record });
    scheduleExpiry(state, place, id, edited.expiresAt);
    return id;
  }
  const copy = inodeId(takeNumber(state, "inode"));
  const content = contentOf(id, inode);
  shareContent(state, content);
  const record = putInode(state, copy, { ...edited, content });
  moveTail(state, inode.tail, { inode: copy });
  if (inode.tail !== undefined) putInode(state, id, { ...inode, tail: undefined });
  if (isCaptured) putHistory(state, place, { ...pastOf(found), version: 0 }, now);
  else releaseInode(state, id, now);
  relink(state, place, { inode: copy, kind: "file", since: now.index, record }, now);
  scheduleExpiry(state, place, copy, edited.expiresAt);
  return copy;
}

/** Takes a name away. What it led to is freed, unless it is kept. */
export function removeFound(state: State, named: Found, path: string, now: Moment): void {
  const found = withoutTail(state, named, now);
  if (found.kind === "directory") putGone(state, found.id, found.inode);
  keepOrRelease(state, found, now);
  takeName(state, found, path, now);
}

/** Takes a name away and leaves its reference to the caller. */
export function takeFound(state: State, named: Found, path: string, now: Moment): void {
  const found = withoutTail(state, named, now);
  detach(state, found);
  keepForSnapshots(state, found, now);
  takeName(state, found, path, now);
}

/**
 * Moves something from its place to another one.
 *
 * @param to The place, and what it takes the place of there.
 */
export function moveFound(
  state: State,
  found: Found,
  to: { readonly what: string; readonly place: Place; readonly replaced: Found | undefined },
  now: Moment,
): Refused | undefined {
  const { place } = to;
  const replaced = to.replaced === undefined ? undefined : withoutTail(state, to.replaced, now);
  detach(state, found);
  if (found.kind === "file") moveTail(state, found.inode.tail, { place });
  keepForSnapshots(state, found, now);
  unlink(state, found.place, now);
  const entry = entryOf(found.id, found.inode, now.index);
  if (replaced === undefined) {
    link(state, place, entry, now);
  } else {
    if (replaced.kind === "directory") putGone(state, replaced.id, replaced.inode);
    keepOrRelease(state, replaced, now);
    relink(state, place, entry, now);
    if (replaced.kind === "file") cancelExpiry(state, place, replaced.inode.expiresAt);
  }
  if (found.kind === "file") cancelExpiry(state, found.place, found.inode.expiresAt);
  attach(state, found.id, place, now);
  const before = replaced === undefined ? NO_USAGE : usageOf(replaced.inode);
  const places = { from: found.place.parent, to: place.parent };
  const excess = moveUsage(state, places, usageOf(found.inode), before);
  return excess === undefined ? undefined : refuseExcess(state, to.what, excess);
}

/** Gives a name to something that has none: it comes out of the trash. */
export function linkAgain(
  state: State,
  id: InodeId,
  to: { readonly what: string; readonly place: Place; readonly path: string },
  now: Moment,
): Refused | undefined {
  const inode = getInode(state, id);
  invariant(inode !== undefined, "what is in the trash is in the table", { id });
  link(state, to.place, entryOf(id, inode, now.index), now);
  attach(state, id, to.place, now);
  const excess = addUsage(state, to.place.parent, usageOf(inode));
  if (excess !== undefined) return refuseExcess(state, to.what, excess);
  const sizeBytes = inode.kind === "file" ? inode.sizeBytes : 0;
  emit(state, now, { kind: "create", file: inode.kind, path: to.path, sizeBytes });
  return undefined;
}

/** The path of a directory; undefined if no path leads there, because it was removed. */
export function livePath(view: StateView, directory: InodeId): string | undefined {
  const names: string[] = [];
  for (let id = directory; id !== ROOT_INODE; ) {
    const inode = getInode(view, id);
    if (inode?.kind !== "directory" || inode.parent === undefined) return undefined;
    names.push(inode.name);
    id = inode.parent;
  }
  return `/${names.toReversed().join("/")}`;
}

export function lastName(path: Path): string {
  const name = path.names.at(-1);
  invariant(name !== undefined, "only the root has no name");
  return name;
}

/** What loses its name loses what is being appended: it is no part of its content yet. */
function withoutTail<F extends Found>(state: State, found: F, now: Moment): F {
  if (found.kind === "directory" || found.inode.tail === undefined) return found;
  releaseTail(state, found.inode.tail, now.at);
  const inode: FileInode = { ...found.inode, tail: undefined };
  putInode(state, found.id, inode);
  return { ...found, inode };
}

function addDirectory(state: State, place: Place, path: string, now: Moment): InodeId {
  const id = inodeId(takeNumber(state, "inode"));
  const directory = emptyDirectory(now, place);
  putInode(state, id, directory);
  link(state, place, entryOf(id, directory, now.index), now);
  addFitting(state, place.parent, { ...NO_USAGE, directories: 1 });
  emit(state, now, { kind: "create", file: "directory", path, sizeBytes: 0 });
  return id;
}

function takeName(state: State, found: Found, path: string, now: Moment): void {
  unlink(state, found.place, now);
  if (found.kind === "file") cancelExpiry(state, found.place, found.inode.expiresAt);
  addFitting(state, found.place.parent, minus(NO_USAGE, usageOf(found.inode)));
  emit(state, now, { kind: "delete", file: found.kind, path, sizeBytes: 0 });
}

/** The entry's reference goes to history, as a version or for snapshots, or is released. */
function keepOrRelease(state: State, found: Found, now: Moment): void {
  const { parent } = found.place;
  const isVersion = found.kind === "file" && 0 < effectivePolicy(state, parent).versions;
  const version = isVersion ? found.inode.revision : 0;
  if (isVersion || found.since <= capturedUpTo(state, parent)) {
    putHistory(state, found.place, { ...pastOf(found), version }, now);
  } else {
    releaseInode(state, found.id, now);
  }
}

/** The entry's reference goes elsewhere; history gets one of its own, if a snapshot needs it. */
function keepForSnapshots(state: State, found: Found, now: Moment): void {
  if (capturedUpTo(state, found.place.parent) < found.since) return;
  putHistory(state, found.place, { ...pastOf(found), version: 0 }, now);
  addReference(state, found.id);
}

/**
 * A directory that leaves its place takes along what it owes to the snapshots of those above, and
 * has no parent until it is attached again.
 */
function detach(state: State, found: Found): void {
  if (found.kind === "file") return;
  const capturedAt = capturedUpTo(state, found.id);
  putInode(state, found.id, { ...found.inode, capturedAt, parent: undefined });
}

function attach(state: State, id: InodeId, place: Place, now: Moment): void {
  const inode = getInode(state, id);
  invariant(inode !== undefined, "what gets a name is in the table", { id });
  if (inode.kind === "file") scheduleExpiry(state, place, id, inode.expiresAt);
  else putInode(state, id, { ...inode, ...place, since: now.index });
}

function addFitting(state: State, directory: InodeId, more: UsageChange): void {
  const excess = addUsage(state, directory, more);
  invariant(excess === undefined, "directories have no quota, and less fits always", { ...excess });
}

function pastOf(found: Found): {
  readonly inode: InodeId;
  readonly kind: Found["kind"];
  readonly since: number;
} {
  return { inode: found.id, kind: found.kind, since: found.since };
}
