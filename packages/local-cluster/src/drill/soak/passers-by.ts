// Readers that own nothing: they read what others are changing at that moment.

import type { Caller } from "./caller.js";

export interface PassersByPlan {
  readonly restMsMax: number;
}

/** Paths that were changed last; older ones are read by the audit. */
const RECENT = 400;
/** Of the reads of large files that come to hand; the others are left to their owner. */
const LARGE_PART = 0.1;

/** Works until the soak ends. */
export async function passBy(caller: Caller, plan: PassersByPlan): Promise<void> {
  while (!caller.isOver) {
    const path = caller.pick(caller.model.paths.slice(-RECENT));
    // What a snapshot has may be given up while it is read: its keeper reads it.
    const isKept = path?.includes("/.snapshot/") === true;
    const isLarge = path?.includes("/large") === true;
    const isChosen = !isKept && (!isLarge || caller.random.fraction() < LARGE_PART);
    if (path !== undefined && isChosen) await caller.read("read of another's", path);
    await caller.rest(plan.restMsMax);
  }
}
