import type { Duty } from "../duty.js";
import { Healer, type HealerParts, type HealingLimits } from "./healer.js";

/** How late a loss or a damage may be noticed, on a cluster with nothing to heal. */
const INTERVAL_MS = 500;

/** Keeps all chunks whole. Each term of office begins with the jobs and moves of the state. */
export function healingDuty(parts: HealerParts, limits: HealingLimits): Duty {
  let current: { readonly healer: Healer; readonly mandate: number } | undefined;
  return {
    name: "healing",
    intervalMs: INTERVAL_MS,
    async work() {
      const mandate = await parts.log.mandate();
      if (current?.mandate !== mandate) {
        current?.healer.stop();
        parts.seen.round = undefined;
        current = { healer: new Healer(parts, limits, mandate), mandate };
      }
      return current.healer.work();
    },
    stop: () => current?.healer.stop(),
  };
}
