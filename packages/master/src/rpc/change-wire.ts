// Commands of clients: proto → domain. Everything is checked here that can be checked without the
// state.

import type { lumeo } from "@lumeofs/proto";
import {
  type ClientCommand,
  COMMAND_CHUNKS_MAX,
  COMMAND_ITEMS_MAX,
  type Precondition,
  type SealedChunk,
} from "../metadata/command.js";
import type { Policy, Quota, SettingsChange } from "../metadata/directory-record.js";
import { REPLICAS_MAX } from "../metadata/grants.js";
import type { Fence } from "../metadata/locks.js";
import { decodeCode, decodeCodePolicy, decodeFallback } from "./coding-wire.js";
import { decodeId, decodeNumber, invalid } from "./field-wire.js";
import { decodeChunks, decodeHandle, decodeInodeId } from "./wire.js";

type Wire = lumeo.master.v1.IOperation;
type CommandOf<Kind extends ClientCommand["kind"]> = Extract<ClientCommand, { kind: Kind }>;

/** What the log takes as it came; the others need the leader to look something up first. */
export type PlainChange = Exclude<
  ClientCommand,
  { kind: "allocate" | "copy" | "removeVersion" | "openSession" }
>;

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeChange(wire: Wire): PlainChange {
  const change = decodeWrite(wire) ?? decodeName(wire) ?? decodeDirectory(wire) ?? decodeLock(wire);
  if (change === undefined) throw invalid("the operation is of no known kind");
  return change;
}

/** A copy before its source is looked up. */
export type CopyWish = Omit<CommandOf<"copy">, "sourceInode"> & {
  /** 0 for the current one. */
  readonly version: number;
};

/** A copy, and which version of its source is meant. */
export function decodeCopy(wire: lumeo.master.v1.ICopy): CopyWish {
  return {
    kind: "copy",
    source: wire.source ?? "",
    version: decodeNumber(wire.version, "version"),
    target: wire.target ?? "",
    overwrite: wire.overwrite ?? false,
    makeParents: wire.makeParents ?? false,
    precondition: decodePrecondition(wire.precondition),
    fence: decodeFence(wire.fence),
  };
}

function decodeWrite(wire: Wire): PlainChange | undefined {
  if (wire.commit) return decodeCommit(wire.commit);
  if (wire.editFile) return decodeEdit(wire.editFile);
  if (wire.addChunks) {
    const { upload, first, chunks } = wire.addChunks;
    return {
      kind: "addChunks",
      upload: decodeInodeId(upload, "upload"),
      first: decodeNumber(first, "first"),
      chunks: checkCount(decodeChunks(chunks), COMMAND_CHUNKS_MAX, "chunks"),
    };
  }
  if (wire.beginUpload) return { kind: "beginUpload", path: wire.beginUpload.path ?? "" };
  if (wire.abortUpload) {
    return { kind: "abortUpload", upload: decodeInodeId(wire.abortUpload.upload, "upload") };
  }
  if (wire.abandonChunks) {
    const handles = (wire.abandonChunks.handles ?? []).map((handle) => decodeHandle(handle));
    return { kind: "abandonChunks", handles: checkCount(handles, COMMAND_ITEMS_MAX, "handles") };
  }
  return undefined;
}

function decodeName(wire: Wire): PlainChange | undefined {
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
    const { path, recursive, precondition, skipTrash, fence } = wire.remove;
    return {
      kind: "remove",
      path: path ?? "",
      recursive: recursive ?? false,
      precondition: decodePrecondition(precondition),
      skipTrash: skipTrash ?? false,
      fence: decodeFence(fence),
    };
  }
  if (wire.restoreTrash) {
    const { id, target } = wire.restoreTrash;
    const to = target == null || target === "" ? undefined : target;
    return { kind: "restoreTrash", id: decodeId(id, "trash id"), target: to };
  }
  if (wire.purgeTrash) {
    const ids = (wire.purgeTrash.ids ?? []).map((id) => decodeId(id, "trash id"));
    return { kind: "purgeTrash", ids: checkCount(ids, COMMAND_ITEMS_MAX, "ids") };
  }
  return undefined;
}

function decodeDirectory(wire: Wire): PlainChange | undefined {
  if (wire.setAttributes) return decodeAttributes(wire.setAttributes);
  if (wire.setPolicy) {
    const { path, policy, kept } = wire.setPolicy;
    const change = keeping(decodePolicy(policy), {
      replicas: kept?.replicas,
      versions: kept?.versions,
      trashMs: kept?.trashMs,
      ttlMs: kept?.ttlMs,
      code: kept?.code,
      codeAfterMs: kept?.codeAfterMs,
      codeFallback: kept?.codeFallback,
    });
    return { kind: "setPolicy", path: path ?? "", policy: change };
  }
  if (wire.setQuota) {
    const { path, quota, kept } = wire.setQuota;
    const change = keeping(decodeQuota(quota), { sizeBytes: kept?.bytes, files: kept?.files });
    return { kind: "setQuota", path: path ?? "", quota: change };
  }
  if (wire.createSnapshot) {
    const { path, name } = wire.createSnapshot;
    return { kind: "createSnapshot", path: path ?? "", name: name ?? "" };
  }
  if (wire.removeSnapshot) {
    const { path, name } = wire.removeSnapshot;
    return { kind: "removeSnapshot", path: path ?? "", name: name ?? "" };
  }
  return undefined;
}

function decodeLock(wire: Wire): PlainChange | undefined {
  if (wire.acquireLock) {
    const { name, holder, ttlMs } = wire.acquireLock;
    const lasting = decodeNumber(ttlMs, "time to live");
    return { kind: "acquireLock", name: name ?? "", holder: holder ?? "", ttlMs: lasting };
  }
  if (wire.renewLock) {
    const { name, token, ttlMs } = wire.renewLock;
    const lasting = decodeNumber(ttlMs, "time to live");
    return { kind: "renewLock", name: name ?? "", token: decodeId(token, "token"), ttlMs: lasting };
  }
  if (wire.releaseLock) {
    const { name, token } = wire.releaseLock;
    return { kind: "releaseLock", name: name ?? "", token: decodeId(token, "token") };
  }
  return undefined;
}

function decodeCommit(wire: lumeo.master.v1.ICommit): CommandOf<"commit"> {
  const upload = decodeNumber(wire.upload, "upload");
  return {
    kind: "commit",
    path: wire.path ?? "",
    upload: upload === 0 ? undefined : decodeInodeId(upload, "upload"),
    chunks: checkCount(decodeChunks(wire.chunks), COMMAND_CHUNKS_MAX, "chunks"),
    chunkSizeBytes: decodeNumber(wire.chunkSizeBytes, "chunk size"),
    replicas: decodeReplicas(decodeId(wire.replicas, "replicas")),
    crc32c: decodeNumber(wire.crc32c, "checksum"),
    precondition: decodePrecondition(wire.precondition),
    makeParents: wire.makeParents ?? false,
    contentType: wire.contentType ?? "",
    metadata: { ...wire.metadata },
    tags: { ...wire.tags },
    ttlMs: decodeOptional(wire.ttlMs, "time to live"),
    fence: decodeFence(wire.fence),
    code: wire.code ? decodeCode(wire.code) : undefined,
    inline: undefined, // the leader decides about the bytes: inline-content.ts
  };
}

function decodeEdit(wire: lumeo.master.v1.IEditFile): CommandOf<"editFile"> {
  return {
    kind: "editFile",
    path: wire.path ?? "",
    revision: decodeId(wire.revision, "revision"),
    keep: decodeNumber(wire.keep, "chunks to keep"),
    replaced: checkCount(wire.replaced ?? [], COMMAND_CHUNKS_MAX, "chunks").map(
      ({ position, chunk }) => ({
        position: decodeNumber(position, "position"),
        chunk: decodeChunks([chunk ?? {}])[0] as SealedChunk,
      }),
    ),
    appended: checkCount(decodeChunks(wire.appended), COMMAND_CHUNKS_MAX, "chunks"),
    fence: decodeFence(wire.fence),
  };
}

function decodeAttributes(wire: lumeo.master.v1.ISetAttributes): CommandOf<"setAttributes"> {
  return {
    kind: "setAttributes",
    path: wire.path ?? "",
    setMetadata: { ...wire.setMetadata },
    removeMetadata: [...(wire.removeMetadata ?? [])],
    setTags: { ...wire.setTags },
    removeTags: [...(wire.removeTags ?? [])],
    contentType: wire.contentType ?? undefined,
    ttlMs: decodeOptional(wire.ttlMs, "time to live"),
    precondition: decodePrecondition(wire.precondition),
  };
}

function decodePolicy(wire: lumeo.master.v1.IPolicy | null | undefined): Policy {
  const replicas = decodeOptional(wire?.replicas, "replicas");
  return {
    replicas: replicas === undefined ? undefined : decodeReplicas(replicas),
    versions: decodeOptional(wire?.versions, "versions"),
    trashMs: decodeOptional(wire?.trashMs, "time in the trash"),
    ttlMs: decodeOptional(wire?.ttlMs, "time to live"),
    code: wire?.code ? decodeCodePolicy(wire.code) : undefined,
    codeAfterMs: decodeOptional(wire?.codeAfterMs, "time before coding"),
    codeFallback: decodeFallback(wire?.codeFallback),
  };
}

/** @throws LumeoError INVALID_ARGUMENT if something is to be set and to stay. */
function keeping<T extends Policy | Quota>(
  set: T,
  kept: { readonly [K in keyof T]: boolean | null | undefined },
): SettingsChange<T> {
  const change: Record<string, unknown> = { ...set };
  for (const [name, isKept] of Object.entries<boolean | null | undefined>(kept)) {
    if (isKept !== true) continue;
    if (change[name] !== undefined) throw invalid(`${name} is both set and kept`);
    change[name] = "kept";
  }
  return change as SettingsChange<T>;
}

function decodeQuota(wire: lumeo.master.v1.IQuota | null | undefined): Quota {
  return {
    sizeBytes: decodeOptional(wire?.sizeBytes, "bytes"),
    files: decodeOptional(wire?.files, "files"),
  };
}

function decodeReplicas(replicas: number): number {
  if (replicas <= REPLICAS_MAX) return replicas;
  throw invalid(`replicas is ${replicas}, at most ${REPLICAS_MAX}`);
}

/** Proto tells 0 from nothing where a field is optional. */
function decodeOptional(value: number | null | undefined, name: string): number | undefined {
  return value === null || value === undefined ? undefined : decodeNumber(value, name);
}

function decodeFence(wire: lumeo.master.v1.IFence | null | undefined): Fence | undefined {
  if (!wire) return undefined;
  return { lock: wire.lock ?? "", token: decodeId(wire.token, "token") };
}

function decodePrecondition(wire: lumeo.master.v1.IPrecondition | null | undefined): Precondition {
  const revision = decodeNumber(wire?.revision, "revision");
  if (wire?.absent && revision !== 0) throw invalid("a file cannot be absent and have a revision");
  if (wire?.absent) return { kind: "absent" };
  return revision === 0 ? { kind: "none" } : { kind: "revision", revision };
}

function checkCount<T>(items: readonly T[], most: number, name: string): readonly T[] {
  if (items.length <= most) return items;
  throw invalid(`${items.length} ${name} come at once, at most ${most} do`);
}
