import type { Brand } from "./brand.js";
import { invariant } from "./invariant.js";

/** A master, by the name given at its start, such as "m1". Never used again for another store. */
export type NodeId = Brand<string, "NodeId">;
/** A chunkserver's store: assigned by the masters when the store registers, never used again. */
export type ServerId = Brand<number, "ServerId">;
/** A chunk: 53 bits, never used again. `grantOf` and `slotOf` take it apart. */
export type ChunkHandle = Brand<number, "ChunkHandle">;
/** The master-granted write term of a chunk; 1 for a fresh chunk. */
export type Epoch = Brand<number, "Epoch">;
/** A file or folder. The root is 1. */
export type InodeId = Brand<number, "InodeId">;
/** A batch of chunk handles granted together. */
export type GrantId = Brand<number, "GrantId">;
/** A client's exactly-once session. */
export type SessionId = Brand<number, "SessionId">;

/** A grant covers at most this many handles; a handle is `grant * GRANT_SLOTS + slot`. */
export const GRANT_SLOTS = 64;

export const ROOT_INODE = 1 as InodeId;

export function nodeId(name: string): NodeId {
  invariant(/^[a-z0-9][a-z0-9-]{0,62}$/.test(name), "node id is not a short lower-case name", {
    name,
  });
  return name as NodeId;
}

export function serverId(n: number): ServerId {
  return positive(n, "server id") as ServerId;
}

export function chunkHandle(n: number): ChunkHandle {
  return positive(n, "chunk handle") as ChunkHandle;
}

export function epoch(n: number): Epoch {
  return positive(n, "epoch") as Epoch;
}

export function inodeId(n: number): InodeId {
  return positive(n, "inode") as InodeId;
}

export function grantId(n: number): GrantId {
  return positive(n, "grant") as GrantId;
}

export function sessionId(n: number): SessionId {
  return positive(n, "session") as SessionId;
}

/** The handle in one slot of a grant. Slots count from 0. */
export function handleIn(grant: GrantId, slot: number): ChunkHandle {
  invariant(Number.isInteger(slot) && 0 <= slot && slot < GRANT_SLOTS, "slot out of range", {
    slot,
  });
  return chunkHandle(grant * GRANT_SLOTS + slot);
}

export function grantOf(handle: ChunkHandle): GrantId {
  return grantId(Math.floor(handle / GRANT_SLOTS));
}

export function slotOf(handle: ChunkHandle): number {
  return handle % GRANT_SLOTS;
}

function positive(n: number, what: string): number {
  invariant(Number.isSafeInteger(n) && 0 < n, `${what} out of range`, { n });
  return n;
}
