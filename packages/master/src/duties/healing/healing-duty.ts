import type { Duty } from "../duty.js";
import { termDuty } from "../term-duty.js";
import { Healer, type HealerParts, type HealingLimits } from "./healer.js";

/** Keeps all chunks whole. Each term of office begins with the jobs and moves of the state. */
export function healingDuty(parts: HealerParts, limits: HealingLimits): Duty {
  const { log, seen } = parts;
  return termDuty(
    "healing",
    () => log.mandate(),
    (mandate) => {
      seen.round = undefined;
      return new Healer(parts, limits, mandate);
    },
  );
}
