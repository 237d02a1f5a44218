// Files with a time to live. A table ordered by time says where to look for files that may be due;
// the leader's duty names those that it finds there, and apply looks again.
//
// X1. Every file with an expiry that a name leads to has a record at that time, or at a later one
//     when no live path led there then.
// X2. A record decides nothing: a file is removed only if its name still leads to it, a live path
//     leads there, and its own expiry has passed by the state's clock.
// X3. Below a directory in the trash nothing expires. The record comes back every day, so that a
//     restored file does not live for ever.

import { type InodeId, inodeId, type WallMs, wallMs } from "@lumeofs/base";
import { encodeWhole, readId, readWhole } from "./fields.js";
import type { Place } from "./inodes.js";
import { expiriesUpTo, expiryKey, expiryOf } from "./keys.js";
import type { State, StateReader } from "./state.js";

/** When to look again at a file that no live path leads to. */
export const DETACHED_RETRY_MS = 86_400_000;

/** Where a file may be due: what its record says. */
export interface Expiry extends Place {
  readonly at: WallMs;
  readonly inode: InodeId;
}

/** Notes that a name leads to a file that expires; nothing for 0, which is never. */
export function scheduleExpiry(
  state: State,
  place: Place,
  inode: InodeId,
  expiresAt: WallMs,
): void {
  if (expiresAt === 0) return;
  const record = encodeWhole((writer) => writer.u53(inode));
  state.put(expiryKey(expiresAt, place.parent, place.name), record);
}

/** Undoes `scheduleExpiry`. */
export function cancelExpiry(state: State, place: Place, expiresAt: WallMs): void {
  if (expiresAt !== 0) state.delete(expiryKey(expiresAt, place.parent, place.name));
}

/** When a file written at `at` expires: its own wish goes before the policy's; 0 is never. */
export function expiryOfFile(at: WallMs, ttlMs: number): WallMs {
  return wallMs(ttlMs === 0 ? 0 : at + ttlMs);
}

/** Records of files that may be due at `at`, the first ones first; those behind `after`. */
export async function dueExpiries(
  reader: StateReader,
  at: WallMs,
  countMax: number,
  after?: Expiry,
): Promise<readonly Expiry[]> {
  const last = after && expiryKey(after.at, after.parent, after.name);
  const { from, to } = expiriesUpTo(at, last);
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key, value]) => ({ ...expiryOf(key), inode: decodeExpiry(value) }));
}

export function decodeExpiry(bytes: Uint8Array): InodeId {
  return readWhole("expiry record", bytes, (r) => readId(r, inodeId));
}
