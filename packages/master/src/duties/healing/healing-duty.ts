import type { Duty } from "../duty.js";
import { Healer, type HealerParts, type HealingLimits } from "./healer.js";

/** How late a loss or a damage may be noticed, on a cluster with nothing to heal. */
const INTERVAL_MS = 500;

/** Keeps all chunks whole. Each term of office begins with the jobs and moves of the state. */
export function healingDuty(parts: HealerParts, limits: HealingLimits): Duty {
  let healer: Healer | undefined;
  let term: number | undefined;
  return {
    name: "healing",
    intervalMs: INTERVAL_MS,
    async work() {
      if (healer === undefined || term !== parts.log.term) {
        healer?.stop();
        term = parts.log.term;
        parts.seen.round = undefined;
        healer = new Healer(parts, limits);
      }
      return healer.work();
    },
  };
}
