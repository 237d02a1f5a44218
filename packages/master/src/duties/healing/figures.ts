// What healing has seen and done while this master leads, for those who show it.

import type { Round } from "../../healing/round.js";
import type { EndedMove } from "./move-runner.js";

export class HealingFigures {
  /** The last complete look at all chunks; undefined before the first one of this term. */
  round: Round | undefined;
  /** A chunk has come of which a copy may be missing: the last look did not see it. */
  isLookWanted = false;
  /** Since this process started. */
  readonly moves = { moved: 0, failed: 0, dropped: 0 };
  movedBytes = 0;

  /** See `isLookWanted`. */
  lookAgain(): void {
    this.isLookWanted = true;
  }

  count({ outcome, bytes }: EndedMove): void {
    this.moves[outcome]++;
    if (outcome === "moved") this.movedBytes += bytes;
  }
}
