import { LumeoError } from "@lumeofs/base";
import { getClusterId } from "../metadata/cluster.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

const INTERVAL_MS = 1_000;
const LONG_MS = 60_000;

/** The first leader gives the cluster its id and its root directory. */
export function foundingDuty(log: MetadataLog, clusterId: string): Duty {
  let isFounded = false;
  return {
    name: "founding",
    get intervalMs() {
      return isFounded ? LONG_MS : INTERVAL_MS;
    },
    async work() {
      if (getClusterId(await log.read()) === undefined) {
        const reply = await log.change({ kind: "initCluster", clusterId });
        if (reply.kind === "refused") throw new LumeoError(reply.code, reply.message);
      }
      isFounded = true;
      return "done";
    },
  };
}
