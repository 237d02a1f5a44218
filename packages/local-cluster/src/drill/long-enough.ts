// How long things go wrong in a drill: for a time, and until there were so many faults as the drill
// is about. A slow machine takes longer for each of them.

import { rest } from "./rest.js";

export interface Stretch {
  readonly seconds: number;
  /** It goes on until so many faults have begun, but not for long. */
  readonly faultsMin?: number | undefined;
}

/** What is still missing so long after the time was up does not come. */
const EXTRA_MS_MAX = 60_000;
const POLL_MS = 40;

/** Returns when the stretch is over, or at its end if that comes before. */
export async function longEnough(
  { seconds, faultsMin = 0 }: Stretch,
  faults: () => number,
  end: AbortSignal,
): Promise<void> {
  await rest(seconds * 1_000, end);
  for (let leftMs = EXTRA_MS_MAX; 0 < leftMs && faults() < faultsMin; leftMs -= POLL_MS) {
    if (end.aborted) return;
    await rest(POLL_MS, end);
  }
}
