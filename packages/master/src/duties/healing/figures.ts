// What healing has seen and done while this master leads, for those who show it.

import type { MonotonicMs } from "@lumeofs/base";
import type { Round } from "../../healing/round.js";
import type { EndedMove } from "./move-runner.js";

/** Who asks is told what was seen so long ago at most, or the next one who asks is. */
const FRESH_MS = 5_000;
/** On a large table looks for those who ask take one part in so many of the time. */
const LOOK_PART = 50;

export class HealingFigures {
  /** The last complete look at all chunks; undefined before the first one of this term. */
  round: Round | undefined;
  /** How long that look took. */
  roundTookMs = 0;
  /**
   * The last look did not see what there is now: a chunk has come of which a copy may be missing,
   * or somebody asks and it was long ago.
   */
  isLookWanted = false;
  /** Since this process started. */
  readonly moves = { moved: 0, failed: 0, dropped: 0 };
  movedBytes = 0;

  /** See `isLookWanted`. */
  lookAgain(): void {
    this.isLookWanted = true;
  }

  /** Somebody asks how the chunks are. */
  asked(now: MonotonicMs): void {
    if (this.round === undefined) return;
    const ageMs = now - this.round.startedAt;
    if (Math.max(FRESH_MS, LOOK_PART * this.roundTookMs) <= ageMs) this.lookAgain();
  }

  count({ outcome, bytes }: EndedMove): void {
    this.moves[outcome]++;
    if (outcome === "moved") this.movedBytes += bytes;
  }
}
