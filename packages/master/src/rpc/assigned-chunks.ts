// What a chunkserver should have, for one that has lost a disk and cannot know what was on it. It
// looks each chunk up: what it lacks it reports as damaged.

import type { ChunkHandle, ServerId } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import { lastGranted } from "../metadata/grants.js";
import { chunksPage } from "../metadata/healing-queries.js";
import { holdsNothing } from "../metadata/member-content.js";
import type { StateReader } from "../metadata/state.js";

/** Chunks that are looked at for one answer: some 20 ms of the leader. */
const PAGE = 2_000;

export interface AssignedQuery {
  readonly server: ServerId;
  readonly after: number;
  /** Life of a grant. */
  readonly grantMs: number;
}

/**
 * A page of the sealed chunks that a server is a member of, by the state of now; not those of which
 * its unit has no bytes.
 */
export async function assignedChunks(
  state: StateReader,
  { server, after, grantMs }: AssignedQuery,
): Promise<lumeo.master.v1.IListAssignedResponse> {
  // First, so that it is not later than what the page says.
  const grantedUpto = lastGranted(state);
  const page = await chunksPage(state, after, PAGE);
  const handles: ChunkHandle[] = page
    .filter(({ chunk }) => chunk.releasedAt === undefined && chunk.members.includes(server))
    .filter(({ chunk }) => !holdsNothing(chunk, server))
    .map(({ handle }) => handle);
  const upto = page.at(-1)?.handle ?? after;
  return { handles, upto, last: page.length < PAGE, grantedUpto, grantMs };
}
