// What the masters say this server should have, and the comparison of it with what its disks have:
// for those that look for losses (loss-search.ts after that of a disk, roll-call.ts all the time).

import type { ChunkHandle, Logger, Timers } from "@lumeofs/base";
import type { ChunkDisks } from "./chunk-disks.js";
import type { DiskSet } from "./disk-set.js";

/** Lost chunks that are told at a time: the masters remember a bounded number for each server. */
export const LOST_MAX = 50_000;

export interface AssignedPage {
  readonly handles: readonly ChunkHandle[];
  /** All up to this handle were looked at. */
  readonly upto: number;
  readonly isLast: boolean;
  /** No higher handle had been granted. */
  readonly grantedUpto: number;
  /** So long what was written before may become a chunk of a file. */
  readonly grantMs: number;
}

/** Port. Rejects with LumeoError while no leader answers. */
export interface AssignedChunks {
  listAssigned(after: number): Promise<AssignedPage>;
}

/** What those need that look for losses. */
export interface AssignedPorts {
  readonly disks: DiskSet;
  readonly chunks: ChunkDisks;
  readonly masters: AssignedChunks;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Something is lost that the masters do not know yet. */
  readonly onFound: () => void;
}

export interface Comparison {
  /** How many no disk has, whether or not they are remembered. */
  readonly missing: number;
  /** More are known to be lost than before: `onFound` has been called. */
  readonly isNews: boolean;
}

/**
 * Takes what no disk has for lost, and nothing else of that page.
 *
 * @param after  Where the page begins.
 */
export function compareWithDisks(
  { chunks, onFound }: AssignedPorts,
  after: number,
  { handles, upto }: Pick<AssignedPage, "handles" | "upto">,
): Comparison {
  const known = chunks.lostCount;
  const missing = chunks.compare({ after, upto }, handles, LOST_MAX);
  const isNews = known < chunks.lostCount;
  if (isNews) onFound();
  return { missing, isNews };
}
