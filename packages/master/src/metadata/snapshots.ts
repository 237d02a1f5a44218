// Snapshots of directories: a name for a log index. Making one writes two records, whatever is in
// the directory; what changes afterwards pays by keeping what was there: history.ts.
//
// N1. A directory's snapshot count is the number of its snapshots.
// N2. The cluster's count is the number of all snapshots, those of removed directories included
//     until they are reaped. While it is 0, nothing is captured.

import { type InodeId, ROOT_INODE, type WallMs, wallMs } from "@lumeofs/base";
import { DONE, quoted, type Refused, type Reply, refuse } from "./command.js";
import { addToCount, getCount } from "./counters.js";
import { encodeWhole, readWhole } from "./fields.js";
import { type Moment, mustGetDirectory, putInode } from "./inodes.js";
import { snapshotKey } from "./keys.js";
import { parsePath } from "./path.js";
import type { State, StateView } from "./state.js";
import { refuseUnreached, walk } from "./walk.js";

/** In the whole cluster: the sweep knows all of them. */
export const SNAPSHOTS_MAX = 10_000;

export interface Snapshot {
  /** The log index that it shows. */
  readonly revision: number;
  readonly at: WallMs;
}

interface SnapshotOf {
  readonly path: string;
  readonly name: string;
}

/** Keeps a directory with all in it as it is now. */
export function createSnapshot(state: State, command: SnapshotOf, now: Moment): Reply {
  const what = `Cannot make snapshot ${quoted(command.name)} of ${quoted(command.path)}`;
  const place = placeOf(state, what, command);
  if (place.kind === "refused") return place;
  const { directory, name } = place;
  if (getSnapshot(state, directory, name) !== undefined) {
    return refuse("EXISTS", `${what}: there is one of this name; remove it or use another`);
  }
  if (SNAPSHOTS_MAX <= getCount(state, "snapshots")) {
    return refuse("NO_SPACE", `${what}: there are ${SNAPSHOTS_MAX}, and no more can be`);
  }
  const snapshot: Snapshot = { revision: now.index, at: now.at };
  state.put(snapshotKey(directory, name), encodeSnapshot(snapshot));
  addToCount(state, "snapshots", 1);
  const inode = mustGetDirectory(state, directory);
  const snapshotCount = inode.snapshotCount + 1;
  putInode(state, directory, { ...inode, snapshotCount, capturedAt: now.index });
  return { kind: "snapshotCreated", ...snapshot };
}

/** Forgets a snapshot. What was kept for it alone is dropped by the leader's sweep. */
export function removeSnapshot(state: State, command: SnapshotOf): Reply {
  const what = `Cannot remove snapshot ${quoted(command.name)} of ${quoted(command.path)}`;
  const place = placeOf(state, what, command);
  if (place.kind === "refused") return place;
  if (!dropSnapshot(state, place.directory, place.name)) {
    return refuse("NOT_FOUND", `${what}: it does not exist`);
  }
  return DONE;
}

/** Whether there was such a snapshot of a directory. */
export function dropSnapshot(state: State, directory: InodeId, name: string): boolean {
  if (getSnapshot(state, directory, name) === undefined) return false;
  state.delete(snapshotKey(directory, name));
  addToCount(state, "snapshots", -1);
  const inode = mustGetDirectory(state, directory);
  putInode(state, directory, { ...inode, snapshotCount: inode.snapshotCount - 1 });
  return true;
}

export function getSnapshot(
  view: StateView,
  directory: InodeId,
  name: string,
): Snapshot | undefined {
  const bytes = view.get(snapshotKey(directory, name));
  return bytes === undefined ? undefined : decodeSnapshot(bytes);
}

export function encodeSnapshot({ revision, at }: Snapshot): Uint8Array {
  return encodeWhole((writer) => writer.u53(revision).u53(at));
}

export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  return readWhole("snapshot record", bytes, (r) => ({ revision: r.u53(), at: wallMs(r.u53()) }));
}

/** A snapshot's name is like any other name. */
function placeOf(
  view: StateView,
  what: string,
  command: SnapshotOf,
): { readonly kind: "place"; readonly directory: InodeId; readonly name: string } | Refused {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const named = parsePath(`/${command.name}`);
  if (named.kind === "refused" || named.names.length !== 1) {
    return refuse("INVALID_ARGUMENT", `${what}: use a name as a file may have, without "/"`);
  }
  const { name } = command;
  const walked = walk(view, path);
  switch (walked.kind) {
    case "missing":
    case "blocked":
      return refuseUnreached("find", path, walked);
    case "file":
      return refuse("NOT_DIRECTORY", `${what}: it is a file; its versions are kept by policy`);
    case "root":
      return { kind: "place", directory: ROOT_INODE, name };
    case "directory":
      return { kind: "place", directory: walked.id, name };
  }
}
