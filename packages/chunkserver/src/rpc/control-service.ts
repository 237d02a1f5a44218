// Orders of the leading master and questions of operators, over gRPC.

import { type ChunkHandle, chunkHandle, type Epoch, epoch, LumeoError } from "@lumeofs/base";
import { type RpcMethod, serveUnary } from "@lumeofs/node/rpc";
import { ControlService } from "@lumeofs/proto";
import type { ChunkStore } from "../store/chunk-store.js";

/** Handles in one order to delete. */
const DELETE_MAX = 10_000;

export interface ControlContext {
  readonly store: ChunkStore;
  readonly storeUuid: string;
  /** The store's number, once the masters have given it one. */
  readonly serverId: () => number | undefined;
  /** Bytes resident in memory. */
  readonly memoryBytes: () => number;
}

export function controlService(context: ControlContext): readonly RpcMethod[] {
  const { store, storeUuid } = context;
  return [
    serveUnary(ControlService.deleteReplicas, async (request) => {
      if (request.storeUuid !== storeUuid) {
        throw new LumeoError(
          "CONFLICT",
          `Cannot delete replicas: the order is for store "${request.storeUuid}", ` +
            `this is "${storeUuid}"`,
        );
      }
      const replicas = request.replicas ?? [];
      if (DELETE_MAX < replicas.length) {
        throw new LumeoError(
          "INVALID_ARGUMENT",
          `Cannot delete ${replicas.length} replicas in one order: at most ${DELETE_MAX}`,
        );
      }
      const names = replicas.map(({ handle, epoch: of }) => {
        return { handle: checkedHandle(handle ?? 0), epoch: checkedEpoch(of ?? 0) };
      });
      const { removedCount, refused } = await store.remove(names);
      return { deletedCount: removedCount, refusedHandles: [...refused] };
    }),
    serveUnary(ControlService.verifyReplica, async (request) => {
      const handle = checkedHandle(request.handle ?? 0);
      const verdict = await store.verify(handle);
      if (verdict.kind === "missing") {
        throw new LumeoError("REPLICA_MISSING", `Cannot verify chunk ${handle}: it is not here`);
      }
      if (verdict.kind === "damaged") return { intact: false, damage: verdict.why };
      return { intact: true, lengthBytes: verdict.length, crc32c: verdict.crc32c };
    }),
    serveUnary(ControlService.getStatus, async () => {
      const { state, chunkCount, usedBytes, freeBytes } = store.status();
      return {
        serverId: context.serverId() ?? 0,
        storeUuid,
        chunkCount,
        usedBytes,
        freeBytes,
        memoryBytes: context.memoryBytes(),
        state,
      };
    }),
  ];
}

function checkedEpoch(number: number): Epoch {
  if (Number.isSafeInteger(number) && 0 < number) return epoch(number);
  throw new LumeoError("INVALID_ARGUMENT", `Cannot use epoch ${number}: out of range`);
}

function checkedHandle(handle: number): ChunkHandle {
  if (Number.isSafeInteger(handle) && 0 < handle) return chunkHandle(handle);
  throw new LumeoError("INVALID_ARGUMENT", `Cannot use chunk handle ${handle}: out of range`);
}
