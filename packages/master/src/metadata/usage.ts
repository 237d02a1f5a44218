// How much lies below each directory, and the quotas that limit it.
//
// Every directory's record carries the sum of what lies below it, so that `du` is one look-up and a
// quota one comparison. The price is paid by writers: a change walks up to the root, one look-up
// and one patched record for each directory above.
//
// U1. A directory's usage is the sum over its entries: 1 file and its size, or 1 directory and the
//     usage of it.
// U2. No change makes a directory's usage grow beyond its quota. It may be above it already, when
//     the quota was set later: then it can only shrink.
// U3. A directory without a parent is the root or detached: nothing above it counts what it holds.

import { type InodeId, invariant } from "@lumeofs/base";
import { quoted, type Refused, refuse } from "./command.js";
import {
  type DirectoryInode,
  isUnlimited,
  recordParent,
  recordQuota,
  recordUsage,
  type Usage,
  withMoreUsage,
  withUsage,
} from "./directory-record.js";
import type { Inode } from "./inode-record.js";
import { mustGetInode } from "./inodes.js";
import { inodeKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** What comes in and goes out below a directory; each number may be negative. */
export type UsageChange = Usage;

/** More cannot be counted: the numbers of a record are safe integers. */
export const USAGE_MAX = Number.MAX_SAFE_INTEGER;

/** A change that a directory has no room for. */
export interface Excess {
  readonly kind: "excess";
  readonly directory: InodeId;
  readonly what: keyof Usage;
  readonly limit: number;
  readonly holds: number;
  readonly more: number;
}

const COUNTED = ["sizeBytes", "files", "directories"] as const;
const SHOWN = { sizeBytes: "bytes", files: "files", directories: "directories" } as const;

/** What a name that leads to this inode adds to the directories above. */
export function usageOf(inode: Inode): Usage {
  if (inode.kind === "file") return { sizeBytes: inode.sizeBytes, files: 1, directories: 0 };
  return { ...inode.usage, directories: inode.usage.directories + 1 };
}

export function minus(a: Usage, b: Usage): UsageChange {
  return {
    sizeBytes: a.sizeBytes - b.sizeBytes,
    files: a.files - b.files,
    directories: a.directories - b.directories,
  };
}

/** Adds to a directory and to all above it; some of it is done where there is an excess. */
export function addUsage(state: State, directory: InodeId, more: UsageChange): Excess | undefined {
  return addUpTo(state, directory, more, undefined);
}

/** Adds bytes that nobody can refuse any more, whatever the quotas say. */
export function addRegardless(state: State, directory: InodeId, sizeBytes: number): void {
  let id: InodeId | undefined = directory;
  while (id !== undefined) {
    const record = mustGetRecord(state, id, inodeKey(id));
    state.put(inodeKey(id), withMoreUsage(record, { sizeBytes, files: 0, directories: 0 }));
    id = recordParent(record);
  }
}

/** QUOTA if a directory has no room for a single byte more, or one above it. */
export function fullQuotaOf(
  view: StateView,
  what: () => string,
  directory: InodeId,
): Refused | undefined {
  for (const id of upwards(view, directory)) {
    const record = mustGetRecord(view, id, inodeKey(id));
    const limit = recordQuota(record).sizeBytes;
    const holds = recordUsage(record).sizeBytes;
    if (limit === undefined || holds < limit) continue;
    const excess = { directory: id, what: "sizeBytes", limit, holds, more: 1 } as const;
    return refuseExcess(view, what(), { kind: "excess", ...excess });
  }
  return undefined;
}

/**
 * Moves what `moved` counts from one directory to another. The directories above both hold no more
 * than before, so their quotas do not matter.
 *
 * @param replaced What it takes the place of, below `to`.
 */
export function moveUsage(
  state: State,
  places: { readonly from: InodeId; readonly to: InodeId },
  moved: Usage,
  replaced: Usage,
): Excess | undefined {
  const shared = lowestShared(state, places.from, places.to);
  const nothing = minus(moved, moved);
  const taken = addUpTo(state, places.from, minus(nothing, moved), shared);
  invariant(taken === undefined, "taking away fits always");
  const excess = addUpTo(state, places.to, minus(moved, replaced), shared);
  if (excess !== undefined || shared === undefined) return excess;
  return addUpTo(state, shared, minus(nothing, replaced), undefined);
}

/** QUOTA, or NO_SPACE where no quota but the counting itself ends. */
export function refuseExcess(view: StateView, what: string, excess: Excess): Refused {
  const { limit, holds, more } = excess;
  const directory = quoted(pathOf(view, excess.directory));
  const reason = `${what}: directory ${directory} holds ${holds} ${SHOWN[excess.what]}`;
  if (limit === USAGE_MAX) {
    return refuse("NO_SPACE", `${reason}, and ${more} more are too many to count`);
  }
  const way = "remove something there or raise its quota";
  return refuse("QUOTA", `${reason} of at most ${limit}, and ${more} more would be added; ${way}`);
}

/** The path of a directory, from the names on its way up; relative to where it is detached. */
export function pathOf(view: StateView, id: InodeId): string {
  const names: string[] = [];
  let directory = mustGetInode(view, id) as DirectoryInode;
  while (directory.parent !== undefined) {
    names.push(directory.name);
    directory = mustGetInode(view, directory.parent) as DirectoryInode;
  }
  return `/${names.toReversed().join("/")}`;
}

/** Adds to a directory and those above it, below `end`. */
function addUpTo(
  state: State,
  directory: InodeId,
  more: UsageChange,
  end: InodeId | undefined,
): Excess | undefined {
  if (more.sizeBytes === 0 && more.files === 0 && more.directories === 0) return undefined;
  let id: InodeId | undefined = directory;
  while (id !== undefined && id !== end) {
    const key = inodeKey(id);
    const record = mustGetRecord(state, id, key);
    if (isUnlimited(record, more)) {
      state.put(key, withMoreUsage(record, more));
      id = recordParent(record);
      continue;
    }
    const holds = recordUsage(record);
    const next: Usage = {
      sizeBytes: holds.sizeBytes + more.sizeBytes,
      files: holds.files + more.files,
      directories: holds.directories + more.directories,
    };
    const excess = excessOf({ directory: id, record, holds, next });
    if (excess !== undefined) return excess;
    state.put(key, withUsage(record, next));
    id = recordParent(record);
  }
  return undefined;
}

function excessOf(change: {
  readonly directory: InodeId;
  readonly record: Uint8Array;
  readonly holds: Usage;
  readonly next: Usage;
}): Excess | undefined {
  const { directory, record, holds, next } = change;
  const quota = recordQuota(record);
  for (const what of COUNTED) {
    const limit = (what === "directories" ? undefined : quota[what]) ?? USAGE_MAX;
    if (next[what] <= limit || next[what] <= holds[what]) continue;
    const more = next[what] - holds[what];
    return { kind: "excess", directory, what, limit, holds: holds[what], more };
  }
  return undefined;
}

/** The lowest directory that is above both, or one of them; undefined if there is none. */
function lowestShared(view: StateView, a: InodeId, b: InodeId): InodeId | undefined {
  if (a === b) return a;
  const aboveA = new Set(upwards(view, a));
  for (const id of upwards(view, b)) if (aboveA.has(id)) return id;
  return undefined;
}

function* upwards(view: StateView, directory: InodeId): Generator<InodeId> {
  let id: InodeId | undefined = directory;
  while (id !== undefined) {
    yield id;
    id = recordParent(mustGetRecord(view, id, inodeKey(id)));
  }
}

function mustGetRecord(view: StateView, id: InodeId, key: Uint8Array): Uint8Array {
  const record = view.get(key);
  invariant(record !== undefined, "a directory above is in the table", { id });
  return record;
}
