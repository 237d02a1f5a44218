// Copies that readers complained about are checked by their own servers. Only the server's own
// finding marks a copy as damaged: a reader may be wrong, or lie. Where the order does not get
// through, the server hears of it with its next heartbeat.

import { asLumeoError, type Clock, type Logger } from "@lumeofs/base";
import type { Fleet, Suspicion } from "../fleet/servers.js";
import { getServer } from "../metadata/servers.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";
import type { Orders } from "./orders.js";

const INTERVAL_MS = 500;
/** Checks at once: each reads a whole chunk. */
const CHECKS = 4;

export interface VerifyParts {
  readonly log: MetadataLog;
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly orders: Orders;
  readonly logger: Logger;
}

export function verifyDuty(parts: VerifyParts): Duty {
  return {
    name: "verification",
    intervalMs: INTERVAL_MS,
    async work() {
      const suspicions = parts.fleet.takeSuspicions(CHECKS);
      await Promise.all(suspicions.map((suspicion) => check(parts, suspicion)));
      return suspicions.length < CHECKS ? "done" : "more";
    },
  };
}

async function check(parts: VerifyParts, suspicion: Suspicion): Promise<void> {
  const { server: id, handle } = suspicion;
  const { fleet, logger } = parts;
  const server = getServer(parts.log.local, id);
  if (server === undefined || server.isRetired) return;
  if (fleet.liveness(id, parts.clock.monotonicMs()) !== "alive") return;
  try {
    const verdict = await parts.orders.verifyReplica(server, handle);
    if (verdict.kind === "intact") return;
    fleet.markDamaged(id, handle);
    logger.warn("replica damaged", { server: id, chunk: handle, error: verdict.why });
  } catch (error) {
    const { code } = asLumeoError(error);
    fleet.defer(suspicion);
    logger.debug("verify order failed", { server: id, chunk: handle, code });
  }
}
