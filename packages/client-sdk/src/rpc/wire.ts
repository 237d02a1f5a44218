// The SDK's operations ⇄ protobuf. Generated types do not leave this folder; what arrives is
// checked here and trusted inside. A server that breaks the contract is answered with PROTOCOL.

import { LumeoError, serverId } from "@lumeofs/base";
import { decodeErrorDetail } from "@lumeofs/node/rpc";
import { lumeo } from "@lumeofs/proto";
import type { Replica } from "../grant-book.js";
import type {
  Answer,
  Ask,
  ChunkRef,
  GrantAnswer,
  InodeInfo,
  LocatedChunk,
  OperationKind,
  Precondition,
  ReplicaState,
  RequestId,
} from "../operations.js";

const { FileKind } = lumeo.master.v1;
const { ReplicaRole, ServerState } = lumeo.common.v1;

type Operation = lumeo.master.v1.Operation.$Properties;
type Result = lumeo.master.v1.OperationResult;

const ENCODERS: { readonly [K in OperationKind]: (ask: Ask<K>) => Operation } = {
  stat: (ask) => ({ stat: ask }),
  list: (ask) => ({ list: ask }),
  openSession: () => ({ openSession: {} }),
  commit: (ask) => ({
    commit: {
      path: ask.path,
      chunks: ask.chunks.map((chunk) => ({ ...chunk })),
      upload: ask.upload ?? 0,
      chunkSizeBytes: ask.chunkBytes,
      replicas: ask.replicas,
      crc32c: ask.crc32c,
      precondition: encodePrecondition(ask.precondition),
      makeParents: ask.makeParents,
    },
  }),
  beginUpload: (ask) => ({ beginUpload: ask }),
  addChunks: ({ upload, first, chunks }) => ({
    addChunks: { upload, first, chunks: chunks.map((chunk) => ({ ...chunk })) },
  }),
  abortUpload: (ask) => ({ abortUpload: ask }),
  makeDirectory: (ask) => ({ makeDirectory: ask }),
  rename: (ask) => ({ rename: ask }),
  remove: ({ path, recursive, precondition }) => ({
    remove: { path, recursive, precondition: encodePrecondition(precondition) },
  }),
  allocate: ({ grants, handles, replicas, avoid }) => ({
    allocate: { grants, handles, replicas, avoidServerIds: [...avoid] },
  }),
};

const DECODERS: { readonly [K in OperationKind]: (result: Result) => Answer<K> } = {
  stat: ({ stat }) => {
    const { info, chunks } = expected(stat, "stat");
    return { info: decodeInfo(expected(info, "info")), chunks: (chunks ?? []).map(decodeLocated) };
  },
  list: ({ listing }) => {
    const { entries, more } = expected(listing, "listing");
    return { entries: (entries ?? []).map(decodeInfo), more: more ?? false };
  },
  openSession: ({ sessionOpened }) => ({
    session: positive(expected(sessionOpened, "sessionOpened").session, "session"),
  }),
  commit: ({ file }) => decodeInfo(expected(file, "file")),
  beginUpload: ({ uploadBegun }) => ({
    upload: positive(expected(uploadBegun, "uploadBegun").upload, "upload"),
  }),
  addChunks: decodeDone,
  abortUpload: decodeDone,
  makeDirectory: decodeDone,
  rename: decodeDone,
  remove: decodeDone,
  allocate: ({ allocated }) => ({
    grants: (expected(allocated, "allocated").grants ?? []).map(decodeGrant),
  }),
};

/** One operation as it goes into a batch. */
export function encodeOperation<K extends OperationKind>(
  kind: K,
  ask: Ask<K>,
  request: RequestId | undefined,
): Operation {
  const operation = ENCODERS[kind](ask);
  return request === undefined ? operation : { ...operation, request };
}

/**
 * The answer to an operation of this kind.
 *
 * @throws LumeoError as the master refused it, or PROTOCOL if it is no answer to such an operation.
 */
export function decodeResult<K extends OperationKind>(kind: K, result: Result): Answer<K> {
  if (result.error != null) throw decodeErrorDetail(result.error);
  return DECODERS[kind](result);
}

/** A chunk with its copies. */
export function decodeLocated(located: lumeo.common.v1.LocatedChunk.$Properties): LocatedChunk {
  const chunk = expected(located.chunk, "chunk");
  return { ...decodeChunk(chunk), replicas: (located.replicas ?? []).map(decodeReplicaState) };
}

function decodeDone({ done }: Result): undefined {
  expected(done, "done");
}

function encodePrecondition(
  precondition: Precondition,
): lumeo.master.v1.Precondition.$Properties | null {
  switch (precondition.kind) {
    case "none":
      return null;
    case "absent":
      return { absent: true };
    case "revision":
      return { revision: precondition.revision };
  }
}

function decodeInfo(info: lumeo.master.v1.FileInfo.$Properties): InodeInfo {
  return {
    path: expected(info.path, "path"),
    kind: decodeKind(info.kind),
    sizeBytes: info.sizeBytes ?? 0,
    revision: info.revision ?? 0,
    createdAtMs: info.createdAtMs ?? 0,
    modifiedAtMs: info.modifiedAtMs ?? 0,
    crc32c: info.crc32c ?? 0,
    chunkBytes: info.chunkSizeBytes ?? 0,
    replicas: info.replicas ?? 0,
    chunkCount: info.chunkCount ?? 0,
  };
}

function decodeKind(kind: lumeo.master.v1.FileKind | null | undefined): InodeInfo["kind"] {
  if (kind === FileKind.FILE_KIND_FILE) return "file";
  if (kind === FileKind.FILE_KIND_DIRECTORY) return "dir";
  throw broken(`file kind ${kind}`);
}

function decodeChunk(chunk: lumeo.common.v1.ChunkRef.$Properties): ChunkRef {
  return {
    handle: positive(chunk.handle, "chunk handle"),
    epoch: positive(chunk.epoch, "epoch"),
    lengthBytes: positive(chunk.lengthBytes, "chunk length"),
    crc32c: chunk.crc32c ?? 0,
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
  };
}

function expected<T>(part: T | null | undefined, name: string): T {
  if (part === null || part === undefined) throw broken(`no ${name}`);
  return part;
}

function positive(n: number | null | undefined, what: string): number {
  if (typeof n === "number" && Number.isSafeInteger(n) && 0 < n) return n;
  throw broken(`${what} ${n}`);
}

function broken(what: string): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot understand the master's answer: it has ${what}`);
}
