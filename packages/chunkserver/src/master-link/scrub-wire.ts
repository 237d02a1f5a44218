import type { lumeo } from "@lumeofs/proto";
import type { ScrubStatus } from "../scrub/scrub.js";

/** The progress of the scrub as masters and operators are told. */
export function encodeScrub(status: ScrubStatus): lumeo.common.v1.IScrubStatus {
  const { roundBeganAt, lastRound, isYielding, ...numbers } = status;
  return {
    ...numbers,
    roundBeganAtMs: roundBeganAt ?? 0,
    lastRoundBeganAtMs: lastRound?.beganAt ?? 0,
    lastRoundEndedAtMs: lastRound?.endedAt ?? 0,
    yielding: isYielding,
  };
}
