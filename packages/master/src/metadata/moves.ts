// Moves: copies of sealed chunks that are being made. A move is in the log before anybody is told
// to copy, so it survives the leader, and the inventory does not take the new copy for garbage.
//
// M1. A chunk has at most one move. Its chunk is in the table and its job too.
// M2. `leaving`, if there is one, is a member. `target` is none, unless it is `leaving`: then the
//     copy is replaced where it is.
// M3. Members change here and nowhere else, and only from what they were when the move began:
//     nothing else changes them meanwhile (M1), and a chunk that was forgotten took its move along.

import { type ChunkHandle, invariant, type ServerId, serverId } from "@lumeofs/base";
import { type ChunkRecord, forgetChunks, getChunk, putMembers } from "./chunk-table.js";
import type { Reply } from "./command.js";
import { encodeWhole, readId, readWhole } from "./fields.js";
import { countMove, getJob, type JobId, jobId } from "./jobs.js";
import { moveKey } from "./keys.js";
import { memberLength } from "./member-content.js";
import { getServer } from "./servers.js";
import type { State, StateView } from "./state.js";

export interface Move {
  readonly job: JobId;
  readonly target: ServerId;
  /** The member whose copy goes; undefined if the chunk gets one more: never a coded one. */
  readonly leaving: ServerId | undefined;
}

export interface NewMove extends Move {
  readonly handle: ChunkHandle;
}

/** The target has the copy durably and another server has read it again; or nothing came of it. */
export type MoveOutcome = "moved" | "failed" | "dropped";

export interface MoveEnd {
  readonly handle: ChunkHandle;
  readonly outcome: MoveOutcome;
}

/** Begins those of the moves that still make sense, and says which. */
export function beginMoves(state: State, moves: readonly NewMove[]): Reply {
  const handles: ChunkHandle[] = [];
  for (const { handle, ...move } of moves) {
    const chunk = getChunk(state, handle);
    if (chunk === undefined || !mayBegin(state, chunk, handle, move)) continue;
    state.put(moveKey(handle), encodeMove(move));
    countMove(state, move.job, { moves: 1 });
    handles.push(handle);
  }
  return { kind: "movesBegun", handles };
}

/** Ends moves. Repeating is harmless: one that has ended is passed over. */
export function endMoves(state: State, ends: readonly MoveEnd[]): void {
  for (const { handle, outcome } of ends) {
    const move = getMove(state, handle);
    if (move === undefined) continue;
    state.delete(moveKey(handle));
    if (outcome !== "moved") {
      countMove(state, move.job, { moves: -1, failures: outcome === "failed" ? 1 : 0 });
      continue;
    }
    const chunk = getChunk(state, handle);
    invariant(chunk !== undefined, "a move's chunk is in the table", { handle });
    putMembers(state, handle, membersAfter(chunk, move));
    const bytes =
      move.leaving === undefined ? chunk.lengthBytes : memberLength(chunk, move.leaving);
    countMove(state, move.job, { moves: -1, done: { chunks: 1, bytes } });
  }
}

/** Forgets those of the chunks that are released, and their moves: nobody needs the copies. */
export function forgetMovedChunks(state: State, handles: readonly ChunkHandle[]): void {
  const released = handles.filter((handle) => getChunk(state, handle)?.releasedAt !== undefined);
  endMoves(
    state,
    released.map((handle) => ({ handle, outcome: "dropped" })),
  );
  forgetChunks(state, released);
}

/**
 * Members when a move has ended well. Of copies, who stays comes before the new one: a primary that
 * stays is first as before. Of units, the new one takes the place of the one that leaves (C5).
 */
export function membersAfter(
  { members, coding }: Pick<ChunkRecord, "members" | "coding">,
  move: Move,
): readonly ServerId[] {
  const { target, leaving } = move;
  if (target === leaving) return members;
  if (coding !== undefined) {
    return members.map((member) => (member === leaving ? target : member));
  }
  return [...members.filter((member) => member !== leaving), target];
}

export function getMove(view: StateView, handle: ChunkHandle): Move | undefined {
  const bytes = view.get(moveKey(handle));
  return bytes === undefined ? undefined : decodeMove(bytes);
}

export function encodeMove({ job, target, leaving }: Move): Uint8Array {
  return encodeWhole((writer) =>
    writer
      .u53(job)
      .u53(target)
      .u53(leaving ?? 0),
  );
}

export function decodeMove(bytes: Uint8Array): Move {
  return readWhole("move record", bytes, (r) => {
    const job = readId(r, jobId);
    const target = readId(r, serverId);
    const leaving = r.u53();
    return { job, target, leaving: leaving === 0 ? undefined : serverId(leaving) };
  });
}

function mayBegin(state: State, chunk: ChunkRecord, handle: ChunkHandle, move: Move): boolean {
  const { members, releasedAt, isInline } = chunk;
  const { job, target, leaving } = move;
  if (isInline || releasedAt !== undefined || getMove(state, handle) !== undefined) return false;
  if (getJob(state, job)?.state !== "running" || getServer(state, target) === undefined)
    return false;
  if (leaving === undefined && chunk.coding !== undefined) return false;
  if (leaving !== undefined && !members.includes(leaving)) return false;
  return target === leaving || !members.includes(target);
}
