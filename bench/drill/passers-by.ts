// Readers that own nothing: they read what others are changing at that moment, and list folders.

import type { Caller } from "./caller.js";

export interface PassersByPlan {
  readonly restMsMax: number;
}

/** Paths that were changed last; older ones are read by the audit. */
const RECENT = 400;

/** Works until the drill ends. */
export async function passBy(caller: Caller, plan: PassersByPlan): Promise<void> {
  while (!caller.isOver) {
    const path = caller.pick(caller.model.paths.slice(-RECENT));
    const isSmall = path !== undefined && !path.includes("/large");
    if (path !== undefined && isSmall) await caller.read("read of another's", path);
    await caller.rest(plan.restMsMax);
  }
}
