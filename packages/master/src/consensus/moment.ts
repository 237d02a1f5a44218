import type { Clock, MonotonicMs, WallMs } from "@lumeofs/base";

/** An instant by both clocks of this machine: where they disagree later, one of them has jumped. */
export interface Moment {
  readonly monotonic: MonotonicMs;
  readonly wall: WallMs;
}

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonicMs(), wall: clock.wallMs() };
}
