// Operations of the namespace stream: proto ⇄ domain.

import { type ChunkHandle, type Epoch, GRANT_SLOTS, type ServerId, UNITS_MAX } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { RequestId } from "../metadata/command.js";
import { GRANTS_MAX, REPLICAS_MAX } from "../metadata/grants.js";
import { type CopyWish, decodeChange, decodeCopy, type PlainChange } from "./change-wire.js";
import { decodeId, decodeNumber, invalid } from "./field-wire.js";
import { decodeEpoch, decodeHandle, decodeServerId, decodeSessionId } from "./wire.js";

type Wire = lumeo.master.v1.IOperation;

export const LIST_COUNT_MAX = 1_000;
/** The same of a directory, whose entries cost less. They are made while nobody else is served. */
export const LIST_NAMES_MAX = 4_000;
export const STAT_CHUNKS_MAX = 256;
/** Of what a client says about a primary. */
const REASON_MAX = 200;

/** One operation of a client, checked. */
export type Operation =
  | {
      readonly kind: "change";
      readonly command: PlainChange | { readonly kind: "openSession" };
      readonly request: RequestId | undefined;
      /** Of a commit that brings its bytes. */
      readonly inlineBytes: Uint8Array | undefined;
    }
  | { readonly kind: "copy"; readonly wish: CopyWish; readonly request: RequestId }
  | {
      readonly kind: "removeVersion";
      readonly path: string;
      readonly version: number;
      readonly request: RequestId;
    }
  | {
      readonly kind: "allocate";
      readonly grants: number;
      readonly handles: number;
      readonly replicas: number;
      /** The replicas are units of a code. */
      readonly areUnits: boolean;
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
      /** 0 for the current one. */
      readonly version: number;
      readonly withLabels: boolean;
      /** Instead of `firstChunk`: from the chunk that holds this byte. */
      readonly offset: number | undefined;
    }
  | ({ readonly kind: "list"; readonly path: string; readonly isPacked: boolean } & PageAfter)
  | { readonly kind: "listTrash"; readonly after: number; readonly countMax: number }
  | {
      readonly kind: "listVersions";
      readonly path: string;
      /** 0 for the newest on. */
      readonly before: number;
      readonly countMax: number;
    }
  | ({ readonly kind: "listSnapshots"; readonly path: string } & PageAfter)
  | ({ readonly kind: "listLocks" } & PageAfter)
  | { readonly kind: "effectivePolicy"; readonly path: string }
  /** No request of a session: a repetition finds the tail that is there. */
  | {
      readonly kind: "openTail";
      readonly path: string;
      readonly create: boolean;
      readonly makeParents: boolean;
      readonly replicas: number;
      /** Not this one, which is sealed; undefined for any. */
      readonly sealed: ChunkHandle | undefined;
    }
  | {
      readonly kind: "reportTail";
      readonly handle: ChunkHandle;
      readonly epoch: Epoch;
      readonly why: string;
    };

/** Names behind `after`, at most so many. */
export interface PageAfter {
  readonly after: string;
  readonly countMax: number;
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeOperation(wire: Wire): Operation {
  if (wire.openSession) {
    const command = { kind: "openSession" } as const;
    return { kind: "change", command, request: undefined, inlineBytes: undefined };
  }
  const query = decodeQuery(wire) ?? decodeTail(wire);
  if (query !== undefined) return query;
  const request = decodeRequest(wire.request);
  if (wire.allocate) return decodeAllocate(wire.allocate, request);
  if (wire.copy) return { kind: "copy", wish: decodeCopy(wire.copy), request };
  if (wire.removeVersion) {
    const { path, version } = wire.removeVersion;
    const wanted = decodeId(version, "version");
    return { kind: "removeVersion", path: path ?? "", version: wanted, request };
  }
  const inlineBytes = decodeInlineBytes(wire.commit);
  return { kind: "change", command: decodeChange(wire), request, inlineBytes };
}

function decodeInlineBytes(
  commit: lumeo.master.v1.ICommit | null | undefined,
): Uint8Array | undefined {
  const { inlineBytes, chunks, upload, code } = commit ?? {};
  if (!inlineBytes?.byteLength) return undefined;
  if (chunks?.length || upload || code) {
    throw invalid("a commit has its bytes, and chunks, an upload or a code, too");
  }
  return inlineBytes;
}

function decodeQuery(wire: Wire): Operation | undefined {
  if (wire.stat) return decodeStat(wire.stat);
  if (wire.list) {
    const { path, packed } = wire.list;
    const isPacked = packed ?? false;
    const countMax = decodePageSize(wire.list.countMax, LIST_NAMES_MAX);
    return { kind: "list", path: path ?? "", isPacked, after: wire.list.after ?? "", countMax };
  }
  if (wire.listTrash) {
    const { after, countMax } = wire.listTrash;
    const above = decodeNumber(after, "trash id");
    return { kind: "listTrash", after: above, countMax: decodePageSize(countMax) };
  }
  if (wire.listVersions) {
    const { path, before, countMax } = wire.listVersions;
    const below = decodeNumber(before, "version");
    const size = decodePageSize(countMax);
    return { kind: "listVersions", path: path ?? "", before: below, countMax: size };
  }
  if (wire.listSnapshots) {
    const { path } = wire.listSnapshots;
    return { kind: "listSnapshots", path: path ?? "", ...decodePage(wire.listSnapshots) };
  }
  if (wire.listLocks) return { kind: "listLocks", ...decodePage(wire.listLocks) };
  if (wire.effectivePolicy) {
    return { kind: "effectivePolicy", path: wire.effectivePolicy.path ?? "" };
  }
  return undefined;
}

function decodeAllocate(wire: lumeo.master.v1.IAllocate, request: RequestId): Operation {
  return {
    kind: "allocate",
    grants: decodeCount(wire.grants, "grants", GRANTS_MAX),
    handles: decodeCount(wire.handles, "handles", GRANT_SLOTS),
    replicas: wire.units
      ? decodeCount(wire.replicas, "units", UNITS_MAX)
      : decodeCount(wire.replicas, "replicas", REPLICAS_MAX),
    areUnits: wire.units ?? false,
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
    version: decodeNumber(wire.version, "version"),
    withLabels: wire.withLabels ?? false,
    offset: wire.offset == null ? undefined : decodeNumber(wire.offset, "offset"),
  };
}

function decodeTail(wire: Wire): Operation | undefined {
  if (wire.openTail) {
    const { path, create, makeParents, replicas, sealedHandle } = wire.openTail;
    return {
      kind: "openTail",
      path: path ?? "",
      create: create ?? false,
      makeParents: makeParents ?? false,
      replicas: decodeCount(replicas, "replicas", REPLICAS_MAX),
      sealed: sealedHandle ? decodeHandle(sealedHandle) : undefined,
    };
  }
  if (wire.reportTail) {
    const { handle, epoch, why } = wire.reportTail;
    const reason = (why ?? "").slice(0, REASON_MAX);
    return {
      kind: "reportTail",
      handle: decodeHandle(handle),
      epoch: decodeEpoch(epoch),
      why: reason,
    };
  }
  return undefined;
}

function decodePage(wire: {
  readonly after?: string | null;
  readonly countMax?: number | null;
}): PageAfter {
  return { after: wire.after ?? "", countMax: decodePageSize(wire.countMax) };
}

/** No count asks for as many as fit. */
function decodePageSize(value: number | null | undefined, most = LIST_COUNT_MAX): number {
  const countMax = decodeNumber(value, "count");
  return countMax === 0 ? most : Math.min(countMax, most);
}

function decodeRequest(wire: lumeo.master.v1.IRequestId | null | undefined): RequestId {
  if (!wire) throw invalid("an operation that changes something has no request id");
  return {
    session: decodeSessionId(wire.session),
    sequence: decodeId(wire.sequence, "sequence"),
    answeredBelow: decodeNumber(wire.answeredBelow, "answered below"),
  };
}

function decodeCount(value: number | null | undefined, name: string, max: number): number {
  const count = decodeId(value, name);
  if (max < count) throw invalid(`${name} is ${count}, at most ${max}`);
  return count;
}
