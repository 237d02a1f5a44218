// What is kept of the past, and locks: proto → the SDK's own words.

import type { lumeo } from "@lumeofs/proto";
import type { LockEntry, SnapshotEntry, TrashEntry } from "../operations.js";
import { decodeKind, decodeUsage } from "./inode-wire.js";
import { positive } from "./wire-fields.js";

/** Something in the trash. */
export function decodeTrashEntry(item: lumeo.master.v1.TrashItem.$Properties): TrashEntry {
  return {
    id: positive(item.id, "trash id"),
    path: item.path ?? "",
    kind: decodeKind(item.kind),
    removedAtMs: item.removedAtMs ?? 0,
    expiresAtMs: item.expiresAtMs ?? 0,
    usage: decodeUsage(item.usage ?? {}),
  };
}

/** A snapshot of a directory. */
export function decodeSnapshot(snapshot: lumeo.master.v1.Snapshot.$Properties): SnapshotEntry {
  return {
    path: snapshot.path ?? "",
    name: snapshot.name ?? "",
    revision: positive(snapshot.revision, "snapshot revision"),
    createdAtMs: snapshot.createdAtMs ?? 0,
  };
}

/** A lock that somebody holds. */
export function decodeLock(lock: lumeo.master.v1.Lock.$Properties): LockEntry {
  return {
    name: lock.name ?? "",
    holder: lock.holder ?? "",
    token: positive(lock.token, "lock token"),
    expiresAtMs: lock.expiresAtMs ?? 0,
    remainingMs: lock.remainingMs ?? 0,
  };
}
