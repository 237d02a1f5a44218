// Copies that readers complained about are checked by their own servers. Only the server's own
// finding marks a copy as damaged, for a reader may be wrong, or lie: that it is not as it was
// written, or that it is, but of other bytes than the metadata says. Where the order does not get
// through, the server hears of it with its next heartbeat.

import {
  asLumeoError,
  type ChunkHandle,
  type Clock,
  type Logger,
  type ServerId,
} from "@lumeofs/base";
import type { Fleet, Suspicion } from "../fleet/servers.js";
import { type ChunkRecord, getChunk } from "../metadata/chunk-table.js";
import { holdsNothing, memberContent } from "../metadata/member-content.js";
import { getServer, type Server } from "../metadata/servers.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";
import type { Orders, Verdict } from "./orders.js";

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
  const chunk = getChunk(parts.log.local, handle);
  try {
    const verdict = await verifyMember(parts.orders, { id, server }, { handle, chunk });
    if (verdict.kind === "intact") return;
    fleet.markDamaged(id, handle);
    logger.warn("replica damaged", { server: id, chunk: handle, error: verdict.why });
  } catch (error) {
    const { code } = asLumeoError(error);
    fleet.defer(suspicion);
    logger.debug("verify order failed", { server: id, chunk: handle, code });
  }
}

/**
 * Has a copy, or a unit, read by its server, and compares it with what it has to be.
 *
 * @throws As Orders.verifyReplica.
 */
export async function verifyMember(
  orders: Pick<Orders, "verifyReplica">,
  { id, server }: { readonly id: ServerId; readonly server: Server },
  { handle, chunk }: { readonly handle: ChunkHandle; readonly chunk: ChunkRecord | undefined },
): Promise<Verdict> {
  const isMember = chunk?.members.includes(id) === true;
  if (isMember && holdsNothing(chunk, id)) return { kind: "intact", lengthBytes: 0, crc32c: 0 };
  if (!isMember) return orders.verifyReplica(server, { handle, lengthBytes: undefined });
  const { lengthBytes, crc32c } = memberContent(chunk, id);
  const verdict = await orders.verifyReplica(server, { handle, lengthBytes });
  if (verdict.kind === "bad") return verdict;
  if (verdict.lengthBytes === lengthBytes && verdict.crc32c === crc32c) return verdict;
  const found = `${verdict.lengthBytes} bytes with checksum ${verdict.crc32c}`;
  return { kind: "bad", why: `it is ${found}, expected ${lengthBytes} with ${crc32c}` };
}
