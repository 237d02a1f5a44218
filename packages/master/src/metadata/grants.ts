// Grants: the right to write up to 64 fresh chunks on given servers. A grant is in the log before
// anybody learns of it, so its handles and their epoch are never given twice.
//
// G1. A handle is used up at most once ever, by a chunk or because its writer has abandoned it: its
//     bit is set, and a grant that is gone gives none.
// G2. A handle is live (may become a chunk) exactly while its grant is here and its bit is not set.

import {
  type ByteReader,
  type ChunkHandle,
  type Epoch,
  epoch,
  GRANT_SLOTS,
  type GrantId,
  grantId,
  grantOf,
  invariant,
  type ServerId,
  serverId,
  slotOf,
  UNITS_MAX,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { type Refused, type Reply, refuse } from "./command.js";
import { lastNumber, takeNumber } from "./counters.js";
import { encodeWhole, readIds, readWhole, writeList, writeNumber } from "./fields.js";
import { chunkKey, grantKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** Every fresh chunk has this epoch: nobody wrote it before. */
export const FRESH_EPOCH: Epoch = epoch(1);
/** Grants in one command. */
export const GRANTS_MAX = 64;
/** Copies of a chunk. */
export const REPLICAS_MAX = 8;

export interface Grant {
  readonly at: WallMs;
  /** Slots from 0 to here are granted. */
  readonly handles: number;
  /** One bit for each slot: 0 to 31, and 32 to 63. */
  readonly consumed: readonly [number, number];
  /** The primary first; for a coded chunk one for each unit. */
  readonly members: readonly ServerId[];
}

/** Makes one grant for each placement. */
export function allocate(
  state: State,
  request: {
    readonly placements: readonly (readonly ServerId[])[];
    readonly handles: number;
    readonly at: WallMs;
  },
): Reply {
  const { placements, handles, at } = request;
  if (placements.length < 1 || GRANTS_MAX < placements.length) {
    return refuse("INVALID_ARGUMENT", `Cannot allocate ${placements.length} grants: 1 to 64 do`);
  }
  if (handles < 1 || GRANT_SLOTS < handles) {
    return refuse("INVALID_ARGUMENT", `Cannot grant ${handles} handles: 1 to ${GRANT_SLOTS} do`);
  }
  const wide = placements.find((members) => UNITS_MAX < members.length);
  if (wide !== undefined) {
    const why = `at most ${UNITS_MAX} hold a chunk`;
    return refuse("INVALID_ARGUMENT", `Cannot grant chunks to ${wide.length} servers: ${why}`);
  }
  const grants = placements.map((members) => {
    const id = grantId(takeNumber(state, "grant"));
    putGrant(state, id, { at, handles, consumed: [0, 0], members });
    return id;
  });
  return { kind: "allocated", grants };
}

/**
 * Uses a handle up.
 *
 * @returns The servers that hold its chunk; CONFLICT if the handle is a chunk already,
 *          GRANT_EXPIRED if it is not granted any more.
 */
export function consume(
  state: State,
  handle: ChunkHandle,
): { readonly kind: "consumed"; readonly members: readonly ServerId[] } | Refused {
  const grant = liveGrant(state, handle);
  if (grant === undefined) return refuseHandle(state, handle);
  useUp(state, handle, grant);
  return { kind: "consumed", members: grant.members };
}

/**
 * Uses handles up without a chunk: their writer will not commit them. Those that are not live stay
 * as they are. What was written under them becomes garbage.
 */
export function abandon(state: State, handles: readonly ChunkHandle[]): void {
  for (const handle of handles) {
    const grant = liveGrant(state, handle);
    if (grant !== undefined) useUp(state, handle, grant);
  }
}

/** Whether somebody may still turn this handle into a chunk. */
export function isLive(view: StateView, handle: ChunkHandle): boolean {
  return liveGrant(view, handle) !== undefined;
}

/** Ends grants made at or before `unusedSince`; what was written under them becomes garbage. */
export function expireGrants(state: State, grants: readonly GrantId[], unusedSince: WallMs): void {
  for (const id of grants) {
    const grant = getGrant(state, id);
    if (grant !== undefined && grant.at <= unusedSince) state.delete(grantKey(id));
  }
}

export function getGrant(view: StateView, id: GrantId): Grant | undefined {
  const bytes = view.get(grantKey(id));
  return bytes === undefined ? undefined : decodeGrant(bytes);
}

export function encodeGrant(grant: Grant): Uint8Array {
  return encodeWhole((writer) => {
    writer.u53(grant.at).u8(grant.handles).u32(grant.consumed[0]).u32(grant.consumed[1]);
    writeList(writer, grant.members, writeNumber);
  });
}

export function decodeGrant(bytes: Uint8Array): Grant {
  return readWhole("grant record", bytes, (r: ByteReader) => ({
    at: wallMs(r.u53()),
    handles: r.u8(),
    consumed: [r.u32(), r.u32()] as const,
    members: readIds(r, serverId),
  }));
}

/** The grant of a live handle (G2); those below the first grant's are nobody's. */
function liveGrant(view: StateView, handle: ChunkHandle): Grant | undefined {
  const grant = handle < GRANT_SLOTS ? undefined : getGrant(view, grantOf(handle));
  const slot = slotOf(handle);
  if (grant === undefined || grant.handles <= slot || isConsumed(grant, slot)) return undefined;
  return grant;
}

/** @param handle  Live, and of this grant. */
function useUp(state: State, handle: ChunkHandle, grant: Grant): void {
  const id = grantOf(handle);
  const consumed = withSlot(grant.consumed, slotOf(handle));
  if (countBits(consumed) === grant.handles) state.delete(grantKey(id));
  else putGrant(state, id, { ...grant, consumed });
}

function refuseHandle(state: State, handle: ChunkHandle): Refused {
  return state.get(chunkKey(handle)) === undefined
    ? refuse("GRANT_EXPIRED", `Cannot use chunk ${handle}: its grant has expired; write it again`)
    : refuse("CONFLICT", `Cannot use chunk ${handle}: it belongs to a file already`);
}

function putGrant(state: State, id: GrantId, grant: Grant): void {
  state.put(grantKey(id), encodeGrant(grant));
}

function isConsumed(grant: Grant, slot: number): boolean {
  const word = slot < 32 ? grant.consumed[0] : grant.consumed[1];
  return ((word >>> (slot % 32)) & 1) === 1;
}

function withSlot(consumed: readonly [number, number], slot: number): readonly [number, number] {
  invariant(slot < GRANT_SLOTS, "a slot is in its grant", { slot });
  const bit = 1 << (slot % 32);
  const [low, high] = consumed;
  return slot < 32 ? [(low | bit) >>> 0, high] : [low, (high | bit) >>> 0];
}

function countBits(words: readonly [number, number]): number {
  let count = 0;
  for (const word of words) {
    for (let rest = word; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  }
  return count;
}

/** Up to this handle, all were granted: chunks come under higher ones only later. */
export function lastGranted(view: StateView): number {
  return (lastNumber(view, "grant") + 1) * GRANT_SLOTS - 1;
}
