// Orders of the leading master and questions of operators, over gRPC.

import { Budget, type ChunkHandle, type DiskReport, type GrantId, LumeoError } from "@lumeofs/base";
import type { ProcessFacts } from "@lumeofs/node";
import { type RpcMethod, serveUnary } from "@lumeofs/node/rpc";
import { ControlService, type lumeo } from "@lumeofs/proto";
import type { ClosedGrants } from "../access/closed-grants.js";
import type { Transcoder } from "../coding/transcode.js";
import { encodeDisk } from "../master-link/disk-wire.js";
import type { InventoryStatus } from "../master-link/inventory-round.js";
import { encodeScrub } from "../master-link/scrub-wire.js";
import type { ScrubStatus } from "../scrub/scrub.js";
import type { ChunkStore, ListedReplica } from "../store/chunk-store.js";
import type { CopyService } from "../transfer/copy-service.js";
import { settleAll } from "../transfer/settle-all.js";
import type { StoppedChunks } from "../transfer/stopped-chunks.js";
import {
  decodeAudit,
  decodeBatch,
  decodeCopy,
  decodeEpoch,
  decodeGrants,
  decodeHandle,
  decodeNamed,
  decodeVerifications,
  decodeWindow,
  encodeAudited,
  encodeAudits,
  encodeCopied,
  encodeCopies,
  encodeReplica,
  encodeRounds,
  encodeVerifications,
} from "./replica-orders.js";
import { decodeTranscode, encodeTranscoded } from "./transcode-orders.js";

/** Handles in one order to delete. */
const DELETE_MAX = 10_000;
/** Orders to read many small chunks that are obeyed at once; others wait. */
const VERIFY_BATCHES = 4;

export interface ControlContext {
  readonly store: ChunkStore;
  readonly storeUuid: string;
  readonly grants: Pick<ClosedGrants, "close">;
  readonly copies: CopyService;
  readonly transcoder: Pick<Transcoder, "run">;
  readonly stopped: StoppedChunks;
  readonly scrub: () => ScrubStatus;
  readonly disks: () => readonly DiskReport[];
  /** How far the masters have been told what is here. */
  readonly inventory: () => InventoryStatus;
  /** The store's number, once the masters have given it one. */
  readonly serverId: () => number | undefined;
  /** Bytes resident in memory. */
  readonly memoryBytes: () => number;
  /** Of this process and its machine. */
  readonly processFacts: () => Promise<ProcessFacts>;
}

export function controlService(context: ControlContext): readonly RpcMethod[] {
  const { store, storeUuid, copies } = context;
  const verifying = new Budget(VERIFY_BATCHES);
  return [
    serveUnary(ControlService.deleteReplicas, async (request) => {
      checkStore(context, request.storeUuid, "delete replicas");
      const replicas = request.replicas ?? [];
      if (DELETE_MAX < replicas.length) {
        throw new LumeoError(
          "INVALID_ARGUMENT",
          `Cannot delete ${replicas.length} replicas in one order: at most ${DELETE_MAX}`,
        );
      }
      const names = replicas.map(({ handle, epoch }) => {
        return { handle: decodeHandle(handle ?? 0), epoch: decodeEpoch(epoch ?? 0) };
      });
      const { removedCount, refused } = await copies.remove(names);
      return { deletedCount: removedCount, refusedHandles: [...refused] };
    }),
    serveUnary(ControlService.verifyReplica, (request) =>
      verify(context, decodeHandle(request.handle ?? 0)),
    ),
    serveUnary(ControlService.verifyReplicas, async (request, { signal }) => {
      const handles = decodeVerifications(request);
      const place = await verifying.take(1, signal);
      try {
        return encodeVerifications(await settleAll(handles, (one) => verify(context, one)));
      } finally {
        place.release();
      }
    }),
    serveUnary(ControlService.copyReplica, async (request, { signal }) => {
      checkStore(context, request.storeUuid, "copy a replica");
      return encodeCopied(await copies.copy(decodeCopy(request), signal));
    }),
    serveUnary(ControlService.auditReplica, async (request, { signal }) => {
      return encodeAudited(await copies.audit(decodeAudit(request), signal));
    }),
    serveUnary(ControlService.copyReplicas, async (request, { signal }) => {
      for (const { storeUuid: meant } of request.copies ?? []) {
        checkStore(context, meant, "copy replicas");
      }
      return encodeCopies(await copies.copyAll(decodeBatch(request.copies, decodeCopy), signal));
    }),
    serveUnary(ControlService.auditReplicas, async (request, { signal }) => {
      const audits = decodeBatch(request.audits, decodeAudit);
      return encodeAudits(await copies.auditAll(audits, signal));
    }),
    serveUnary(ControlService.transcode, async (request, { signal }) => {
      return encodeTranscoded(await context.transcoder.run(decodeTranscode(request), signal));
    }),
    serveUnary(ControlService.listReplicas, async (request) => {
      const replicas = (await listed(store, request)).map(encodeReplica);
      return { replicas, storeUuid, rounds: encodeRounds(context.inventory()) };
    }),
    serveUnary(ControlService.closeGrants, async (request) => {
      checkStore(context, request.storeUuid, "close grants");
      return { usedHandles: [...closeGrants(context, decodeGrants(request.grants))] };
    }),
    serveUnary(ControlService.getStatus, (request) => status(context, request)),
  ];
}

async function verify(
  { store }: ControlContext,
  handle: ChunkHandle,
): Promise<lumeo.chunkserver.v1.IVerifyReplicaResponse> {
  const verdict = await store.verify(handle);
  if (verdict.kind === "missing") {
    throw new LumeoError("REPLICA_MISSING", `Cannot verify chunk ${handle}: it is not here`);
  }
  if (verdict.kind === "damaged") return { intact: false, damage: verdict.why };
  return { intact: true, lengthBytes: verdict.length, crc32c: verdict.crc32c };
}

/** A page of the replicas, or those of the chunks that are named. */
async function listed(
  store: ChunkStore,
  request: lumeo.chunkserver.v1.IListReplicasRequest,
): Promise<readonly ListedReplica[]> {
  const named = decodeNamed(request.handles);
  if (named.length === 0) {
    const { after, limit } = decodeWindow(request);
    return store.page(after, limit);
  }
  return named.flatMap((handle) => {
    const known = store.find(handle);
    return known === undefined ? [] : [{ handle, epoch: known.version.epoch, ...known }];
  });
}

/** The handles of these grants under which a chunk is here, or may be soon. */
function closeGrants(
  { store, grants }: ControlContext,
  closed: readonly GrantId[],
): readonly ChunkHandle[] {
  const isHere = (handle: ChunkHandle) => store.find(handle) !== undefined;
  return closed.flatMap((grant) => grants.close(grant, isHere));
}

async function status(
  context: ControlContext,
  request: lumeo.chunkserver.v1.IGetStatusRequest,
): Promise<lumeo.chunkserver.v1.IGetStatusResponse> {
  const { store, storeUuid, copies } = context;
  const { state, chunkCount, usedBytes, freeBytes } = store.status();
  return {
    serverId: context.serverId() ?? 0,
    storeUuid,
    chunkCount,
    usedBytes,
    freeBytes,
    memoryBytes: context.memoryBytes(),
    state,
    scrub: encodeScrub(context.scrub()),
    disks: context.disks().map(encodeDisk),
    damagedCount: store.damaged().length,
    copiesInFlight: copies.inFlight,
    stoppedHandles: [...context.stopped.list()],
    ...(request.process ? { process: await context.processFacts() } : {}),
  };
}

/** A store that was wiped and set up anew at the same address is not meant. */
function checkStore(context: ControlContext, meant: string | null | undefined, what: string): void {
  const { storeUuid } = context;
  if (meant === storeUuid) return;
  const who = `the order is for store "${meant}", this is "${storeUuid}"`;
  throw new LumeoError("CONFLICT", `Cannot ${what}: ${who}`);
}
