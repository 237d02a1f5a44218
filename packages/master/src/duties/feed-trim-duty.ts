// The change feed keeps the newest changes only, by age and by distance in revisions.

import type { Clock } from "@lumeofs/base";
import { changesPage, FEED_START } from "../metadata/changes.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

/** Changes in one command: twelve bytes each. */
const PAGE = 2_000;
/**
 * The feed grows by this part beyond its length before it is cut: a cut is itself an entry of the
 * log, and must not be the reason for the next one.
 */
const SLACK = 0.1;

export interface FeedTrimLimits {
  readonly intervalMs: number;
  /** Changes older than this go. */
  readonly changeKeepMs: number;
  /** Changes further behind the newest revision than this go, a tenth later. */
  readonly changeKeepRevisions: number;
}

/** @param applied  The newest revision that this master has. */
export function feedTrimDuty(
  parts: { readonly log: MetadataLog; readonly clock: Clock; readonly applied: () => number },
  limits: FeedTrimLimits,
): Duty {
  const { log, clock, applied } = parts;
  return {
    name: "feed trimming",
    intervalMs: limits.intervalMs,
    async work() {
      const state = await log.read();
      const oldest = clock.wallMs() - limits.changeKeepMs;
      const page = await changesPage(state, FEED_START, PAGE);
      const lowest = lowestKept(page[0]?.revision, applied(), limits.changeKeepRevisions);
      const kept = page.findIndex(({ at, revision }) => oldest < at && lowest < revision);
      const old = kept === -1 ? page : page.slice(0, kept);
      const last = old.at(-1);
      if (last === undefined) return "done";
      const changes = old.map(({ revision, sequence }) => ({ revision, sequence }));
      await log.change({ kind: "trimChanges", changes, floor: last.revision });
      return old.length < PAGE ? "done" : "more";
    },
  };
}

/** Changes at or below this revision are too far behind. */
function lowestKept(first: number | undefined, applied: number, length: number): number {
  if (first === undefined || applied - first < length * (1 + SLACK)) return 0;
  return applied - length;
}
