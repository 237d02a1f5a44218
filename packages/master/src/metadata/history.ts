// What names led to earlier: kept for snapshots, which show a directory as it was, and as versions,
// the earlier contents of a file.
//
// A snapshot copies nothing. It is a log index R: an entry with `since` <= R was there at R. So an
// entry that goes away has to be kept only if some snapshot may show it, and that is so if it is
// not younger than the last snapshot of its directory, or of one above: `capturedUpTo`.
//
// H1. For every living snapshot R of a directory, and everything that was below it at R: the entry
//     is still there with its `since` <= R, or history has it with since <= R < ended.
// H2. `capturedUpTo` is never too low. It may be too high, because it is not lowered when snapshots
//     go; what is kept in vain is dropped by the leader's sweep.
// H3. A record of history is one reference to its inode.
// H4. A directory's history count is the number of its records.

import { type InodeId, inodeId, invariant, type WallMs, wallMs } from "@lumeofs/base";
import { getCount } from "./counters.js";
import { recordCapturedAt, recordParent, recordSince, withHistory } from "./directory-record.js";
import { encodeWhole, readWhole } from "./fields.js";
import { type Inode, readKind, writeKind } from "./inode-record.js";
import type { Moment } from "./inodes.js";
import { type HistoryId, historyKey, inodeKey } from "./keys.js";
import { releaseInode } from "./references.js";
import type { State, StateView } from "./state.js";

/** What a name led to from `since` until its `HistoryId.ended`. */
export interface PastEntry {
  readonly inode: InodeId;
  readonly kind: Inode["kind"];
  readonly since: number;
  /** The file's revision if it is a version; 0 if it is kept for snapshots only. */
  readonly version: number;
  /** When it ended. */
  readonly at: WallMs;
}

/**
 * The last snapshot that may show what is in a directory: entries with `since` up to this log index
 * are captured. 0 for none.
 */
export function capturedUpTo(view: StateView, directory: InodeId): number {
  if (getCount(view, "snapshots") === 0) return 0;
  const records: Uint8Array[] = [];
  let id: InodeId | undefined = directory;
  while (id !== undefined) {
    const record = view.get(inodeKey(id));
    invariant(record !== undefined, "a directory above is in the table", { id });
    records.push(record);
    id = recordParent(record);
  }
  let captured = 0;
  for (const record of records.toReversed()) {
    const inherited = recordSince(record) <= captured ? captured : 0;
    captured = Math.max(recordCapturedAt(record), inherited);
  }
  return captured;
}

export function putHistory(
  state: State,
  place: { readonly parent: InodeId; readonly name: string },
  past: Omit<PastEntry, "at">,
  now: Moment,
): void {
  const key = historyKey({ ...place, ended: now.index });
  invariant(state.get(key) === undefined, "a name changes once in a command", { ...place });
  state.put(key, encodePast({ ...past, at: now.at }));
  countHistory(state, place.parent, 1);
}

export function getHistory(view: StateView, id: HistoryId): PastEntry | undefined {
  const bytes = view.get(historyKey(id));
  return bytes === undefined ? undefined : decodePast(bytes);
}

/** Drops a record and its reference; one that is not there is no error. */
export function dropRecord(state: State, id: HistoryId, now: Moment): void {
  const past = getHistory(state, id);
  if (past === undefined) return;
  state.delete(historyKey(id));
  countHistory(state, id.parent, -1);
  releaseInode(state, past.inode, now);
}

/** Drops records that the leader's sweep has found to be kept in vain. Repeating is harmless. */
export function dropHistory(state: State, records: readonly HistoryId[], now: Moment): void {
  for (const id of records) dropRecord(state, id, now);
}

/** A version that snapshots may still show is a version no more. */
export function unversion(state: State, id: HistoryId, past: PastEntry): void {
  state.put(historyKey(id), encodePast({ ...past, version: 0 }));
}

export function encodePast(past: PastEntry): Uint8Array {
  return encodeWhole((w) => {
    writeKind(w.u53(past.inode), past.kind).u53(past.since).u53(past.version).u53(past.at);
  });
}

export function decodePast(bytes: Uint8Array): PastEntry {
  return readWhole("history record", bytes, (r) => ({
    inode: inodeId(r.u53()),
    kind: readKind(r),
    since: r.u53(),
    version: r.u53(),
    at: wallMs(r.u53()),
  }));
}

function countHistory(state: State, directory: InodeId, more: 1 | -1): void {
  const record = state.get(inodeKey(directory));
  invariant(record !== undefined, "a directory with history is in the table", { directory });
  state.put(inodeKey(directory), withHistory(record, more));
}
