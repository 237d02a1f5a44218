import type { Clock } from "@lumeofs/base";
import { lastCheckAt } from "../metadata/counters.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

/** How often the leader looks whether a check is due. */
const LOOK_MS_MAX = 30_000;

/**
 * Lets all masters compare their states, every `everyMs` counted over changes of the leader; 0 for
 * never.
 */
export function stateCheckDuty(log: MetadataLog, clock: Clock, everyMs: number): Duty {
  return {
    name: "state check",
    intervalMs: everyMs === 0 ? LOOK_MS_MAX : Math.min(everyMs, LOOK_MS_MAX),
    async work() {
      if (everyMs === 0) return "done";
      const last = lastCheckAt(await log.read());
      if (everyMs <= clock.wallMs() - last) await log.change({ kind: "checkState" });
      return "done";
    },
  };
}
