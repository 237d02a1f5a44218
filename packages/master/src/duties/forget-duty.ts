// Chunks of removed files are deleted when their grace is over. First the log forgets them, then
// their servers are told; a server that misses it hears it in the answer to its next inventory.

import {
  asLumeoError,
  type ChunkHandle,
  type Clock,
  type Logger,
  type ServerId,
  wallMs,
} from "@lumeofs/base";
import type { Fleet } from "../fleet/servers.js";
import { getChunk } from "../metadata/chunk-table.js";
import { releasedChunks } from "../metadata/queries.js";
import { getServer } from "../metadata/servers.js";
import type { StateReader } from "../metadata/state.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";
import type { Orders, ReplicaName } from "./orders.js";

const PAGE = 512;

export interface ForgetParts {
  readonly log: MetadataLog;
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly orders: Orders;
  readonly logger: Logger;
}

export function forgetDuty(
  parts: ForgetParts,
  limits: { readonly intervalMs: number; readonly graceMs: number },
): Duty {
  const { log, clock } = parts;
  return {
    name: "forgetting",
    intervalMs: limits.intervalMs,
    async work() {
      // While masters may have lost what they knew, what looks useless may be needed (rule 22).
      if (parts.fleet.contradictions.isAny) return "done";
      const state = await log.read();
      const at = wallMs(Math.max(0, clock.wallMs() - limits.graceMs));
      const handles = await releasedChunks(state, at, PAGE);
      if (handles.length === 0) return "done";
      const copies = copiesOf(state, handles);
      await log.change({ kind: "forgetChunks", handles });
      await Promise.all([...copies].map((copy) => deleteCopies(parts, ...copy)));
      return handles.length < PAGE ? "done" : "more";
    },
  };
}

function copiesOf(
  state: StateReader,
  handles: readonly ChunkHandle[],
): ReadonlyMap<ServerId, readonly ReplicaName[]> {
  const copies = new Map<ServerId, ReplicaName[]>();
  for (const handle of handles) {
    const chunk = getChunk(state, handle);
    if (chunk === undefined) continue;
    for (const server of chunk.members) {
      const list = copies.get(server) ?? [];
      list.push({ handle, epoch: chunk.epoch });
      copies.set(server, list);
    }
  }
  return copies;
}

async function deleteCopies(
  parts: ForgetParts,
  id: ServerId,
  replicas: readonly ReplicaName[],
): Promise<void> {
  const server = getServer(parts.log.local, id);
  if (server === undefined || server.isRetired) return;
  if (parts.fleet.liveness(id, parts.clock.monotonicMs()) !== "alive") return;
  try {
    await parts.orders.deleteReplicas(server, replicas);
  } catch (error) {
    const { code } = asLumeoError(error);
    parts.logger.debug("delete order failed", { server: id, count: replicas.length, code });
  }
}
