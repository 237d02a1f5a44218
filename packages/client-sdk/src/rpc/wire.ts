// The SDK's operations ⇄ protobuf. Generated types do not leave this folder; what arrives is
// checked here and trusted inside. A server that breaks the contract is answered with PROTOCOL.

import { serverId } from "@lumeofs/base";
import { decodeErrorDetail } from "@lumeofs/node/rpc";
import { lumeo } from "@lumeofs/proto";
import type { Replica } from "../grant-book.js";
import type {
  Answer,
  Ask,
  ChunkRef,
  GrantAnswer,
  LocatedChunk,
  OperationKind,
  ReplicaState,
  RequestId,
  TailLocation,
} from "../operations.js";
import { decodeCoding, encodeChunk, encodeCode } from "./coding-wire.js";
import { decodeLock, decodeSnapshot, decodeTrashEntry } from "./history-wire.js";
import {
  decodeInfo,
  decodePolicy,
  encodeAttributes,
  encodeChanges,
  encodeFence,
  encodePolicy,
  encodePrecondition,
  encodeQuota,
} from "./inode-wire.js";
import { decodeListing } from "./listing-wire.js";
import { broken, expected, positive } from "./wire-fields.js";

const { ReplicaRole, ServerState } = lumeo.common.v1;

type Operation = lumeo.master.v1.Operation.$Properties;
type Result = lumeo.master.v1.OperationResult;

const ENCODERS: { readonly [K in OperationKind]: (ask: Ask<K>) => Operation } = {
  stat: (ask) => ({ stat: ask }),
  list: (ask) => ({ list: { ...ask, packed: true } }),
  openTail: (ask) => ({ openTail: ask }),
  reportTail: (ask) => ({ reportTail: ask }),
  effectivePolicy: (ask) => ({ effectivePolicy: ask }),
  openSession: () => ({ openSession: {} }),
  commit: (ask) => ({
    commit: {
      path: ask.path,
      chunks: ask.chunks.map(encodeChunk),
      upload: ask.upload ?? 0,
      chunkSizeBytes: ask.chunkBytes,
      replicas: ask.replicas,
      code: ask.code === undefined ? null : encodeCode(ask.code),
      crc32c: ask.crc32c,
      inlineBytes: ask.inlineBytes ?? null,
      precondition: encodePrecondition(ask.precondition),
      makeParents: ask.makeParents,
      ...encodeAttributes(ask.attributes),
      fence: encodeFence(ask.fence),
    },
  }),
  editFile: ({ replaced, appended, ...ask }) => ({
    editFile: {
      ...ask,
      replaced: replaced.map(({ position, chunk }) => ({ position, chunk: encodeChunk(chunk) })),
      appended: appended.map(encodeChunk),
    },
  }),
  beginUpload: (ask) => ({ beginUpload: ask }),
  addChunks: ({ upload, first, chunks }) => ({
    addChunks: { upload, first, chunks: chunks.map(encodeChunk) },
  }),
  abortUpload: (ask) => ({ abortUpload: ask }),
  abandonChunks: ({ handles }) => ({ abandonChunks: { handles: [...handles] } }),
  makeDirectory: (ask) => ({ makeDirectory: ask }),
  rename: ({ fence, ...ask }) => ({ rename: { ...ask, fence: encodeFence(fence) } }),
  remove: ({ precondition, fence, ...ask }) => ({
    remove: { ...ask, precondition: encodePrecondition(precondition), fence: encodeFence(fence) },
  }),
  copy: ({ precondition, fence, ...ask }) => ({
    copy: { ...ask, precondition: encodePrecondition(precondition), fence: encodeFence(fence) },
  }),
  setAttributes: ({ path, changes, precondition }) => ({
    setAttributes: {
      path,
      ...encodeChanges(changes),
      precondition: encodePrecondition(precondition),
    },
  }),
  setPolicy: ({ path, changes }) => ({ setPolicy: { path, ...encodePolicy(changes) } }),
  setQuota: ({ path, changes }) => ({ setQuota: { path, ...encodeQuota(changes) } }),
  listTrash: (ask) => ({ listTrash: ask }),
  restoreTrash: (ask) => ({ restoreTrash: ask }),
  purgeTrash: ({ ids }) => ({ purgeTrash: { ids: [...ids] } }),
  listVersions: (ask) => ({ listVersions: ask }),
  removeVersion: (ask) => ({ removeVersion: ask }),
  createSnapshot: (ask) => ({ createSnapshot: ask }),
  removeSnapshot: (ask) => ({ removeSnapshot: ask }),
  listSnapshots: (ask) => ({ listSnapshots: ask }),
  acquireLock: (ask) => ({ acquireLock: ask }),
  renewLock: (ask) => ({ renewLock: ask }),
  releaseLock: (ask) => ({ releaseLock: ask }),
  listLocks: (ask) => ({ listLocks: ask }),
  allocate: ({ grants, handles, replicas, areUnits, avoid }) => ({
    allocate: { grants, handles, replicas, units: areUnits, avoidServerIds: [...avoid] },
  }),
};

const DECODERS: {
  readonly [K in OperationKind]: (result: Result, ask: Ask<K>) => Answer<K>;
} = {
  stat: ({ stat }) => {
    const { info, chunks, firstChunk, firstChunkOffset, tail } = expected(stat, "stat");
    return {
      info: decodeInfo(expected(info, "info")),
      chunks: (chunks ?? []).map(decodeLocated),
      firstChunk: firstChunk ?? 0,
      firstChunkOffset: firstChunkOffset ?? 0,
      tail: tail == null ? undefined : decodeTail(tail),
    };
  },
  openTail: ({ tailOpened }) => {
    const { tail, info } = expected(tailOpened, "tailOpened");
    return { tail: decodeTail(expected(tail, "tail")), info: decodeInfo(expected(info, "info")) };
  },
  reportTail: decodeDone,
  list: ({ listing }, ask) => decodeListing(ask.path, expected(listing, "listing")),
  openSession: ({ sessionOpened }) => {
    const { session, inlineBytesMax } = expected(sessionOpened, "sessionOpened");
    return { session: positive(session, "session"), inlineBytesMax: inlineBytesMax ?? 0 };
  },
  commit: ({ file }) => decodeInfo(expected(file, "file")),
  editFile: ({ file }) => decodeInfo(expected(file, "file")),
  beginUpload: ({ uploadBegun }) => ({
    upload: positive(expected(uploadBegun, "uploadBegun").upload, "upload"),
  }),
  addChunks: decodeDone,
  abortUpload: decodeDone,
  abandonChunks: decodeDone,
  makeDirectory: decodeDone,
  rename: decodeDone,
  remove: decodeDone,
  copy: ({ file }) => decodeInfo(expected(file, "file")),
  setAttributes: ({ file }) => decodeInfo(expected(file, "file")),
  setPolicy: ({ file }) => decodeInfo(expected(file, "file")),
  setQuota: ({ file }) => decodeInfo(expected(file, "file")),
  listTrash: ({ trash }) => {
    const { items, more } = expected(trash, "trash");
    return { items: (items ?? []).map(decodeTrashEntry), more: more ?? false };
  },
  restoreTrash: decodeDone,
  purgeTrash: decodeDone,
  listVersions: ({ versions }) => {
    const { versions: entries, more } = expected(versions, "versions");
    return { entries: (entries ?? []).map(decodeInfo), more: more ?? false };
  },
  removeVersion: decodeDone,
  createSnapshot: ({ snapshot }) => decodeSnapshot(expected(snapshot, "snapshot")),
  removeSnapshot: decodeDone,
  listSnapshots: ({ snapshots }) => {
    const { snapshots: entries, more } = expected(snapshots, "snapshots");
    return { snapshots: (entries ?? []).map(decodeSnapshot), more: more ?? false };
  },
  acquireLock: ({ lock }) => decodeLock(expected(lock, "lock")),
  renewLock: ({ lock }) => decodeLock(expected(lock, "lock")),
  releaseLock: decodeDone,
  listLocks: ({ locks }) => {
    const { locks: entries, more } = expected(locks, "locks");
    return { locks: (entries ?? []).map(decodeLock), more: more ?? false };
  },
  effectivePolicy: ({ policy }) => decodePolicy(expected(policy, "policy")),
  allocate: ({ allocated }) => ({
    grants: (expected(allocated, "allocated").grants ?? []).map(decodeGrant),
  }),
};

/** One operation as it goes into a batch, but for its id and timeout. */
export function encodeOperation<K extends OperationKind>(
  kind: K,
  ask: Ask<K>,
  request: RequestId | undefined,
): Operation {
  const operation = ENCODERS[kind](ask); // made for this call: it may be added to
  if (request !== undefined) operation.request = request;
  return operation;
}

/**
 * The answer to an operation of this kind.
 *
 * @throws LumeoError as the master refused it, or PROTOCOL if it is no answer to such an operation.
 */
export function decodeResult<K extends OperationKind>(
  kind: K,
  ask: Ask<K>,
  result: Result,
): Answer<K> {
  if (result.error != null) throw decodeErrorDetail(result.error);
  return DECODERS[kind](result, ask);
}

/** A chunk with its copies. */
export function decodeLocated(located: lumeo.common.v1.LocatedChunk.$Properties): LocatedChunk {
  const chunk = expected(located.chunk, "chunk");
  const replicas = (located.replicas ?? []).map(decodeReplicaState);
  const isInline = located.inline ?? false;
  const inlineBytes = isInline ? (located.inlineBytes ?? undefined) : undefined;
  const token = decodeToken(located.token);
  return { ...decodeChunk(chunk), replicas, token, isInline, inlineBytes };
}

/** A growing chunk with its replicas. */
function decodeTail(tail: lumeo.master.v1.TailLocation.$Properties): TailLocation {
  const replicas = (tail.replicas ?? []).map(decodeReplicaState);
  if (replicas.length === 0) throw broken("a tail without replicas");
  return {
    handle: positive(tail.handle, "chunk handle"),
    epoch: positive(tail.epoch, "epoch"),
    replicas,
    offset: tail.offset ?? 0,
    committedBytes: tail.committedBytes ?? 0,
    token: decodeToken(tail.token),
  };
}

function decodeDone({ done }: Result): undefined {
  expected(done, "done");
}

function decodeChunk(chunk: lumeo.common.v1.ChunkRef.$Properties): ChunkRef {
  return {
    handle: positive(chunk.handle, "chunk handle"),
    epoch: positive(chunk.epoch, "epoch"),
    lengthBytes: chunk.lengthBytes ?? 0, // 0 of a tail to which nothing was appended yet
    crc32c: chunk.crc32c ?? 0,
    coding: chunk.coding == null ? undefined : decodeCoding(chunk.coding),
  };
}

function decodeReplica(replica: lumeo.common.v1.ReplicaLocation.$Properties): Replica {
  const { name, address } = replica;
  return {
    server: serverId(positive(replica.serverId, "server id")),
    name: name ?? "",
    address: address ?? "",
  };
}

function decodeReplicaState(replica: lumeo.common.v1.ReplicaLocation.$Properties): ReplicaState {
  return {
    ...decodeReplica(replica),
    role: replica.role === ReplicaRole.REPLICA_ROLE_PRIMARY ? "primary" : "secondary",
    state: decodeServerState(replica.state),
    damaged: replica.damaged ?? false,
    labels: replica.labels ?? {},
  };
}

/** A state that this version does not know is taken as dead: such a server is asked last. */
export function decodeServerState(
  state: lumeo.common.v1.ServerState | null | undefined,
): ReplicaState["state"] {
  if (state === ServerState.SERVER_STATE_ALIVE) return "alive";
  return state === ServerState.SERVER_STATE_SUSPECT ? "suspect" : "dead";
}

function decodeGrant(grant: lumeo.master.v1.Grant.$Properties): GrantAnswer {
  const replicas = (grant.replicas ?? []).map(decodeReplica);
  if (replicas.length === 0) throw broken("a grant without replicas");
  return {
    firstHandle: positive(grant.firstHandle, "chunk handle"),
    handleCount: positive(grant.handleCount, "handle count"),
    epoch: positive(grant.epoch, "epoch"),
    replicas,
    usableMs: grant.usableMs ?? 0,
    token: decodeToken(grant.token),
  };
}

/** Shown to chunkservers as it is; empty while the cluster is being set up. */
function decodeToken(token: Uint8Array | null | undefined): Uint8Array | undefined {
  return token == null || token.byteLength === 0 ? undefined : token;
}
