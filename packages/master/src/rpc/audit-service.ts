// For whoever checks that names, chunks and replicas fit together. What is told of names is of one
// revision, out of a frozen state; what is told of replicas is the word of their servers, judged by
// the state of this moment. Nothing is changed here.
//
// U1. A caller that takes nothing for STALL_MS_MAX is left: a frozen state keeps space on the disk.

import { Budget, type Clock, LumeoError, type ReplicaStanding, type Timers } from "@lumeofs/base";
import { type RpcMethod, serveDownload, serveUnary } from "@lumeofs/node/rpc";
import { AuditService, lumeo } from "@lumeofs/proto";
import type { TokenMint } from "../access/token-mint.js";
import { findContents } from "../audit/find-contents.js";
import type { AuditStep, NameFault, NameFinding } from "../audit/finding.js";
import { auditNames } from "../audit/names-audit.js";
import { PAGE } from "../audit/records.js";
import type { Replication } from "../consensus/replication.js";
import { SnapshotPace } from "../consensus/snapshot-pace.js";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { TailKeeper } from "../duties/tails/tail-keeper.js";
import type { Fleet } from "../fleet/servers.js";
import { standingOfReplica } from "../metadata/replica-standing.js";
import { getServer } from "../metadata/servers.js";
import { tailsPage } from "../metadata/tail-table.js";
import { atLeader } from "./at-leader.js";
import type { FrozenView } from "./backup-service.js";
import type { ChannelPool } from "./channel-pool.js";
import type { ChunkserverClient } from "./chunkserver-client.js";
import { decodeNumber, invalid } from "./field-wire.js";
import { describeTail, growingAsChunk } from "./tail-operations.js";
import {
  decodeEpoch,
  decodeHandle,
  decodeInodeId,
  decodeServerId,
  encodeLocatedChunk,
} from "./wire.js";

const Wire = lumeo.master.v1;

/** Audits of one master at once. */
const AUDITS_MAX = 2;
const STALL_MS_MAX = 60_000;
/** What a record is taken to have: audits share the speed of backups. */
const RECORD_BYTES = 256;
/** Pages of records after which a message leaves, though nothing was found. */
const QUIET_PAGES = 20;
const CONTENTS_MAX = 1_000;
const REPLICAS_MAX = 10_000;
const TAILS_MAX = 1_000;

const FAULTS: Readonly<Record<NameFault, lumeo.master.v1.NameFault>> = {
  dangling: Wire.NameFault.NAME_FAULT_DANGLING,
  referenceCount: Wire.NameFault.NAME_FAULT_REFERENCE_COUNT,
  chunkList: Wire.NameFault.NAME_FAULT_CHUNK_LIST,
  chunkRecord: Wire.NameFault.NAME_FAULT_CHUNK_RECORD,
  unreferenced: Wire.NameFault.NAME_FAULT_UNREFERENCED,
  directory: Wire.NameFault.NAME_FAULT_DIRECTORY,
  inlineBytes: Wire.NameFault.NAME_FAULT_INLINE_BYTES,
};

const STANDINGS: Readonly<Record<ReplicaStanding, lumeo.master.v1.ReplicaStanding>> = {
  member: Wire.ReplicaStanding.REPLICA_STANDING_MEMBER,
  moveTarget: Wire.ReplicaStanding.REPLICA_STANDING_MOVE_TARGET,
  released: Wire.ReplicaStanding.REPLICA_STANDING_RELEASED,
  granted: Wire.ReplicaStanding.REPLICA_STANDING_GRANTED,
  kept: Wire.ReplicaStanding.REPLICA_STANDING_KEPT,
  ofLostTime: Wire.ReplicaStanding.REPLICA_STANDING_OF_LOST_TIME,
  garbage: Wire.ReplicaStanding.REPLICA_STANDING_GARBAGE,
  newer: Wire.ReplicaStanding.REPLICA_STANDING_NEWER,
  stale: Wire.ReplicaStanding.REPLICA_STANDING_STALE,
};

export interface AuditServiceParts {
  readonly replication: Replication;
  readonly channels: ChannelPool;
  readonly log: MetadataLog;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly orders: Pick<ChunkserverClient, "listReplicas">;
  readonly mint: TokenMint;
  readonly keeper: TailKeeper;
  /** The state with everything that was acknowledged before. To be closed. */
  readonly freeze: () => Promise<FrozenView>;
  readonly bytesPerSecondMax: number;
}

export function auditMethods(parts: AuditServiceParts): readonly RpcMethod[] {
  const places = new Budget(AUDITS_MAX);
  const what = "say what servers have";
  return [
    serveDownload(AuditService.auditNames, (_request, { signal }) =>
      frozen(parts, { places, signal }, (state) => nameMessages(parts, state)),
    ),
    serveDownload(AuditService.findContents, (request, { signal }) =>
      frozen(parts, { places, signal }, (state) => placeMessages(parts, state, request)),
    ),
    serveUnary(AuditService.listReplicas, (request) => {
      const { listReplicas: method } = AuditService;
      return atLeader(parts, { what, method, request, serve: (one) => listReplicas(parts, one) });
    }),
    serveUnary(AuditService.listTails, (request) => {
      const { listTails: method } = AuditService;
      return atLeader(parts, { what, method, request, serve: (one) => listTails(parts, one) });
    }),
    serveUnary(AuditService.judgeReplicas, (request) => {
      const { judgeReplicas: method } = AuditService;
      return atLeader(parts, { what, method, request, serve: (one) => judgeReplicas(parts, one) });
    }),
  ];
}

/** Messages out of a frozen state, for as long as somebody takes them (U1). */
async function* frozen<T>(
  { freeze, timers }: AuditServiceParts,
  bounds: { readonly places: Budget; readonly signal: AbortSignal },
  messages: (state: FrozenView) => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  const place = bounds.places.tryTake(1);
  if (place === undefined) throw tooMany();
  let state: FrozenView | undefined;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= state?.close() ?? Promise.resolve();
    return closing;
  };
  try {
    state = await freeze();
    for await (const message of messages(state)) {
      bounds.signal.throwIfAborted();
      const alarm = timers.after(STALL_MS_MAX, () => void close());
      yield message;
      alarm.cancel();
      if (closing !== undefined) throw stalled();
    }
  } finally {
    await close();
    place.release();
  }
}

async function* nameMessages(
  { timers, bytesPerSecondMax }: AuditServiceParts,
  state: FrozenView,
): AsyncGenerator<lumeo.master.v1.IAuditNamesResponse, void, undefined> {
  const pace = new SnapshotPace(bytesPerSecondMax, timers);
  let counts: AuditStep["counts"] = { records: 0, files: 0, chunks: 0, inlineBytes: 0 };
  let quiet = 0;
  yield { revision: state.index };
  for await (const step of auditNames(state)) {
    const records = step.counts.records - counts.records;
    const bytes = RECORD_BYTES * records + step.counts.inlineBytes - counts.inlineBytes;
    counts = step.counts;
    quiet++;
    if (0 < step.findings.length || QUIET_PAGES <= quiet) {
      quiet = 0;
      yield { ...counts, findings: step.findings.map(encodeFinding) };
    }
    if (0 < bytes) await pace.pay(bytes);
  }
  yield { ...counts, done: true };
}

async function* placeMessages(
  { timers, bytesPerSecondMax }: AuditServiceParts,
  state: FrozenView,
  request: lumeo.master.v1.IFindContentsRequest,
): AsyncGenerator<lumeo.master.v1.IFindContentsResponse, void, undefined> {
  const contents = (request.contents ?? []).map((id) => decodeInodeId(id, "content"));
  if (CONTENTS_MAX < contents.length) throw invalid(`it names more than ${CONTENTS_MAX} contents`);
  const pace = new SnapshotPace(bytesPerSecondMax, timers);
  for await (const places of findContents(state, contents)) {
    if (0 < places.length) yield { places: [...places] };
    await pace.pay(PAGE * RECORD_BYTES);
  }
}

async function listReplicas(
  { log, orders }: AuditServiceParts,
  request: lumeo.master.v1.IListReplicasRequest,
): Promise<lumeo.master.v1.IListReplicasResponse> {
  const id = decodeServerId(request.serverId);
  const server = getServer(await log.read(), id);
  if (server === undefined || server.isRetired) {
    throw new LumeoError("NOT_FOUND", `Cannot list what server ${id} has: there is none`);
  }
  const after = decodeNumber(request.after, "handle");
  const limit = decodeNumber(request.limit, "limit");
  const window = { after, limit, handles: request.handles ?? [] };
  const { replicas, rounds } = await orders.listReplicas(server, window);
  return { replicas: replicas ?? [], ...(rounds == null ? {} : { rounds }) };
}

async function judgeReplicas(
  { log, fleet, clock }: AuditServiceParts,
  request: lumeo.master.v1.IJudgeReplicasRequest,
): Promise<lumeo.master.v1.IJudgeReplicasResponse> {
  const server = decodeServerId(request.serverId);
  const replicas = request.replicas ?? [];
  if (REPLICAS_MAX < replicas.length) throw invalid(`it names more than ${REPLICAS_MAX} replicas`);
  const reported = replicas.map(({ handle, epoch }) => {
    return { handle: decodeHandle(handle), epoch: decodeEpoch(epoch) };
  });
  const state = await log.read();
  const now = clock.monotonicMs();
  const standings = reported.map((replica) => {
    const isGood = (member: typeof server): boolean =>
      fleet.liveness(member, now) === "alive" && !fleet.isDamaged(member, replica.handle);
    return STANDINGS[standingOfReplica(state, replica, { server, isGood })];
  });
  return { standings };
}

async function listTails(
  { log, fleet, clock, mint, keeper }: AuditServiceParts,
  request: lumeo.master.v1.IListTailsRequest,
): Promise<lumeo.master.v1.IListTailsResponse> {
  const after = decodeNumber(request.after, "handle");
  const limit = decodeNumber(request.limit, "limit");
  if (limit < 1 || TAILS_MAX < limit) throw invalid(`a page has 1 to ${TAILS_MAX} tails`);
  const state = await log.read();
  const view = { state, fleet, now: clock.monotonicMs() };
  const tails = await tailsPage(state, after, limit);
  return {
    tails: tails.map((numbered) => {
      const { handle, tail } = numbered;
      const chunk = encodeLocatedChunk(view, handle, growingAsChunk(keeper, numbered));
      const token = mint.forChunk(state, ["read"], { handle, epoch: undefined });
      const told = describeTail({ clock, keeper }, state, { handle, tail });
      return { chunk: { ...chunk, token }, tail: told };
    }),
  };
}

function encodeFinding({ fault, ...more }: NameFinding): lumeo.master.v1.INameFinding {
  return { fault: FAULTS[fault], ...more };
}

function stalled(): LumeoError {
  const why = `nothing was taken within ${STALL_MS_MAX} ms`;
  return new LumeoError("TIMEOUT", `Cannot go on with the audit: ${why}`);
}

function tooMany(): LumeoError {
  const why = `${AUDITS_MAX} audits run at this master already`;
  return new LumeoError("OVERLOADED", `Cannot audit: ${why}; ask another one`);
}
