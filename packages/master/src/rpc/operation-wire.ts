// Operations of the namespace stream: proto ⇄ domain.

import { GRANT_SLOTS, type ServerId } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import {
  type ClientCommand,
  COMMAND_CHUNKS_MAX,
  type FileCommitted,
  type Precondition,
  type RequestId,
} from "../metadata/command.js";
import { GRANTS_MAX, REPLICAS_MAX } from "../metadata/grants.js";
import type { Fence } from "../metadata/locks.js";
import type { NamedInode } from "../metadata/queries.js";
import {
  decodeChunks,
  decodeId,
  decodeInodeId,
  decodeNumber,
  decodeServerId,
  decodeSessionId,
  invalid,
} from "./wire.js";

type Wire = lumeo.master.v1.IOperation;

const { FileKind } = lumeo.master.v1;

export const LIST_COUNT_MAX = 1_000;
export const STAT_CHUNKS_MAX = 256;

/** One operation of a client, checked. */
export type Operation =
  | {
      readonly kind: "change";
      readonly command: Exclude<ClientCommand, { kind: "allocate" }>;
      readonly request: RequestId | undefined;
    }
  | {
      readonly kind: "allocate";
      readonly grants: number;
      readonly handles: number;
      readonly replicas: number;
      readonly avoid: ReadonlySet<ServerId>;
      readonly request: RequestId;
    }
  | {
      readonly kind: "stat";
      readonly path: string;
      readonly firstChunk: number;
      readonly chunkCountMax: number;
      /** Undefined for any. */
      readonly revision: number | undefined;
    }
  | {
      readonly kind: "list";
      readonly path: string;
      readonly after: string;
      readonly countMax: number;
    };

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeOperation(wire: Wire): Operation {
  if (wire.openSession) {
    return { kind: "change", command: { kind: "openSession" }, request: undefined };
  }
  if (wire.stat) return decodeStat(wire.stat);
  if (wire.list) return decodeList(wire.list);
  const request = decodeRequest(wire.request);
  if (wire.allocate) return decodeAllocate(wire.allocate, request);
  return { kind: "change", command: decodeChange(wire), request };
}

export function encodeFile(path: string, { id, inode }: NamedInode): lumeo.master.v1.IFileInfo {
  const common = {
    path,
    inode: id,
    revision: inode.revision,
    createdAtMs: inode.createdAt,
    modifiedAtMs: inode.modifiedAt,
  };
  if (inode.kind === "directory") return { ...common, kind: FileKind.FILE_KIND_DIRECTORY };
  return {
    ...common,
    kind: FileKind.FILE_KIND_FILE,
    sizeBytes: inode.sizeBytes,
    crc32c: inode.crc32c,
    chunkSizeBytes: inode.chunkSizeBytes,
    replicas: inode.replicas,
    chunkCount: inode.chunkCount,
  };
}

/** The file that a commit made, as it was then. */
export function encodeCommitted(
  command: Extract<ClientCommand, { kind: "commit" }>,
  file: FileCommitted,
): lumeo.master.v1.IFileInfo {
  return {
    path: command.path,
    kind: FileKind.FILE_KIND_FILE,
    sizeBytes: file.sizeBytes,
    revision: file.revision,
    createdAtMs: file.createdAt,
    modifiedAtMs: file.modifiedAt,
    crc32c: command.crc32c,
    chunkSizeBytes: command.chunkSizeBytes,
    replicas: command.replicas,
    chunkCount: file.chunkCount,
    inode: file.inode,
  };
}

function decodeChange(wire: Wire): Exclude<ClientCommand, { kind: "allocate" }> {
  if (wire.commit) return decodeCommit(wire.commit);
  if (wire.addChunks) {
    const { upload, first, chunks } = wire.addChunks;
    return {
      kind: "addChunks",
      upload: decodeInodeId(upload, "upload"),
      first: decodeNumber(first, "first"),
      chunks: checkCount(decodeChunks(chunks)),
    };
  }
  if (wire.beginUpload) return { kind: "beginUpload", path: wire.beginUpload.path ?? "" };
  if (wire.abortUpload) {
    return { kind: "abortUpload", upload: decodeInodeId(wire.abortUpload.upload, "upload") };
  }
  if (wire.makeDirectory) {
    const { path, parents } = wire.makeDirectory;
    return { kind: "makeDirectory", path: path ?? "", parents: parents ?? false };
  }
  if (wire.rename) {
    const { source, target, overwrite } = wire.rename;
    const names = { source: source ?? "", target: target ?? "" };
    const fence = decodeFence(wire.rename.fence);
    return { kind: "rename", ...names, overwrite: overwrite ?? false, fence };
  }
  if (wire.remove) {
    const { path, recursive, precondition } = wire.remove;
    return {
      kind: "remove",
      path: path ?? "",
      recursive: recursive ?? false,
      precondition: decodePrecondition(precondition),
      skipTrash: wire.remove.skipTrash ?? false,
      fence: decodeFence(wire.remove.fence),
    };
  }
  throw invalid("the operation is of no known kind");
}

function decodeCommit(wire: lumeo.master.v1.ICommit): Extract<ClientCommand, { kind: "commit" }> {
  const upload = decodeNumber(wire.upload, "upload");
  return {
    kind: "commit",
    path: wire.path ?? "",
    upload: upload === 0 ? undefined : decodeInodeId(upload, "upload"),
    chunks: checkCount(decodeChunks(wire.chunks)),
    chunkSizeBytes: decodeNumber(wire.chunkSizeBytes, "chunk size"),
    replicas: decodeCount(wire.replicas, "replicas", REPLICAS_MAX),
    crc32c: decodeNumber(wire.crc32c, "checksum"),
    precondition: decodePrecondition(wire.precondition),
    makeParents: wire.makeParents ?? false,
    contentType: wire.contentType ?? "",
    metadata: { ...wire.metadata },
    tags: { ...wire.tags },
    ttlMs: hasTtl(wire) ? decodeNumber(wire.ttlMs, "time to live") : undefined,
    fence: decodeFence(wire.fence),
  };
}

function decodeAllocate(wire: lumeo.master.v1.IAllocate, request: RequestId): Operation {
  return {
    kind: "allocate",
    grants: decodeCount(wire.grants, "grants", GRANTS_MAX),
    handles: decodeCount(wire.handles, "handles", GRANT_SLOTS),
    replicas: decodeCount(wire.replicas, "replicas", REPLICAS_MAX),
    avoid: new Set((wire.avoidServerIds ?? []).map(decodeServerId)),
    request,
  };
}

function decodeStat(wire: lumeo.master.v1.IStat): Operation {
  const revision = decodeNumber(wire.revision, "revision");
  return {
    kind: "stat",
    path: wire.path ?? "",
    firstChunk: decodeNumber(wire.firstChunk, "first chunk"),
    chunkCountMax: Math.min(decodeNumber(wire.chunkCountMax, "chunk count"), STAT_CHUNKS_MAX),
    revision: revision === 0 ? undefined : revision,
  };
}

/** No count asks for as many as fit. */
function decodeList(wire: lumeo.master.v1.IList): Operation {
  const countMax = decodeNumber(wire.countMax, "count");
  return {
    kind: "list",
    path: wire.path ?? "",
    after: wire.after ?? "",
    countMax: countMax === 0 ? LIST_COUNT_MAX : Math.min(countMax, LIST_COUNT_MAX),
  };
}

function decodeRequest(wire: lumeo.master.v1.IRequestId | null | undefined): RequestId {
  if (!wire) throw invalid("an operation that changes something has no request id");
  return {
    session: decodeSessionId(wire.session),
    sequence: decodeId(wire.sequence, "sequence"),
    answeredBelow: decodeNumber(wire.answeredBelow, "answered below"),
  };
}

function decodePrecondition(wire: lumeo.master.v1.IPrecondition | null | undefined): Precondition {
  const revision = decodeNumber(wire?.revision, "revision");
  if (wire?.absent && revision !== 0) throw invalid("a file cannot be absent and have a revision");
  if (wire?.absent) return { kind: "absent" };
  return revision === 0 ? { kind: "none" } : { kind: "revision", revision };
}

/** Proto tells a time to live of 0, which is never, from none at all. */
function hasTtl(wire: { readonly ttlMs?: unknown }): boolean {
  return wire.ttlMs !== undefined && wire.ttlMs !== null;
}

function decodeFence(wire: lumeo.master.v1.IFence | null | undefined): Fence | undefined {
  if (!wire) return undefined;
  return { lock: wire.lock ?? "", token: decodeId(wire.token, "token") };
}

function decodeCount(value: number | null | undefined, name: string, max: number): number {
  const count = decodeId(value, name);
  if (max < count) throw invalid(`${name} is ${count}, at most ${max}`);
  return count;
}

function checkCount<T>(chunks: readonly T[]): readonly T[] {
  if (chunks.length <= COMMAND_CHUNKS_MAX) return chunks;
  throw invalid(`${chunks.length} chunks come at once, at most ${COMMAND_CHUNKS_MAX} do`);
}
