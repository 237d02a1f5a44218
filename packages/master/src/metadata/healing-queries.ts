// Pages of chunks, jobs and moves, for healing and for operators.

import { type ChunkHandle, chunkHandle, type GrantId, grantId, type ServerId } from "@lumeofs/base";
import { type ChunkRecord, decodeChunk } from "./chunk-table.js";
import { decodeGrant } from "./grants.js";
import { decodeJob, type Job, type JobId, jobId } from "./jobs.js";
import { chunksAfter, grantsAfter, jobsAfter, movesAfter, numberOf } from "./keys.js";
import { decodeMove, type NewMove } from "./moves.js";
import type { StateReader } from "./state.js";
import { holdersOf, tailsPage } from "./tail-table.js";

export interface NumberedChunk {
  readonly handle: ChunkHandle;
  readonly chunk: ChunkRecord;
}

export interface NumberedJob {
  readonly id: JobId;
  readonly job: Job;
}

/** Chunks behind a handle, in the order of the handles. */
export async function chunksPage(
  reader: StateReader,
  after: number,
  countMax: number,
): Promise<readonly NumberedChunk[]> {
  const { from, to } = chunksAfter(after);
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key, value]) => ({
    handle: chunkHandle(numberOf(key)),
    chunk: decodeChunk(value),
  }));
}

/** Jobs behind one, oldest first. */
export async function jobsPage(
  reader: StateReader,
  after: number,
  countMax: number,
): Promise<readonly NumberedJob[]> {
  const { from, to } = jobsAfter(after);
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key, value]) => ({ id: jobId(numberOf(key)), job: decodeJob(value) }));
}

/** Moves behind a handle, in the order of the handles. */
export async function movesPage(
  reader: StateReader,
  after: number,
  countMax: number,
): Promise<readonly NewMove[]> {
  const { from, to } = movesAfter(after);
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key, value]) => ({
    handle: chunkHandle(numberOf(key)),
    ...decodeMove(value),
  }));
}

/** Grants under which somebody may still write to a server; looks at all grants, in pages. */
export async function grantsNaming(
  reader: StateReader,
  server: ServerId,
  pageCount: number,
): Promise<readonly GrantId[]> {
  const naming: GrantId[] = [];
  for (let after = 0; ; ) {
    const { from, to } = grantsAfter(after);
    const pairs = await reader.range(from, to, pageCount);
    for (const [key, value] of pairs) {
      if (decodeGrant(value).members.includes(server)) naming.push(grantId(numberOf(key)));
    }
    const last = pairs.at(-1);
    if (last === undefined || pairs.length < pageCount) return naming;
    after = numberOf(last[0]);
  }
}

/** How many growing chunks a server may have something of; looks at all of them, in pages. */
export async function tailsNaming(
  reader: StateReader,
  server: ServerId,
  pageCount: number,
): Promise<number> {
  let count = 0;
  for (let after = 0; ; ) {
    const page = await tailsPage(reader, after, pageCount);
    count += page.filter(({ tail }) => holdersOf(tail.authority).includes(server)).length;
    const last = page.at(-1);
    if (last === undefined || page.length < pageCount) return count;
    after = last.handle;
  }
}
