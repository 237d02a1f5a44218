// Orders to copy, to audit and to list replicas, between the wire and the parts that obey them.

import {
  type ChunkHandle,
  chunkHandle,
  type Epoch,
  epoch,
  GRANT_SLOTS,
  type GrantId,
  grantId,
  LumeoError,
  SMALL_CHUNK_BYTES_MAX,
  serverId,
} from "@lumeofs/base";
import { checkGeometry } from "@lumeofs/erasure";
import { CHUNK_BYTES_MAX, parseAddress } from "@lumeofs/node/frames";
import { encodeErrorDetail } from "@lumeofs/node/rpc";
import { lumeo } from "@lumeofs/proto";
import type { InventoryStatus } from "../master-link/inventory-round.js";
import type { ListedReplica } from "../store/chunk-store.js";
import type { AuditOrder, AuditResult, ReplicaOrder } from "../transfer/copy-service.js";
import type { RebuildOrder, UnitSource } from "../transfer/rebuild-order.js";
import type { CopyResult, SourceFault } from "../transfer/replica-copy.js";
import type { Holder, SealedChunk } from "../transfer/replica-source.js";
import type { Settled } from "../transfer/settle-all.js";

/** Sources in one order. */
const SOURCES_MAX = 8;
/** Orders in one batch. */
const BATCH_MAX = 64;
/** Replicas in one page of a listing. */
const LISTED_MAX = 10_000;
/** Chunks that one question names. */
const NAMED_MAX = 1_000;
/** The handles of a higher one would be no numbers. */
const GRANT_MAX = Math.floor(Number.MAX_SAFE_INTEGER / GRANT_SLOTS) - 1;
/** Grants in one order to close them: each may have 64 handles here. */
const GRANTS_MAX = 256;
const U32_MAX = 0xffffffff;

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeCopy(wire: lumeo.chunkserver.v1.ICopyReplicaRequest): ReplicaOrder {
  const sources = wire.sources ?? [];
  const chunk = { ...decodeChunk(wire.chunk), token: decodeToken(wire.token) };
  const mandate = decodeMandate(wire.mandate ?? 0);
  const order = { chunk, mandate, bytesPerSecondMax: wire.bytesPerSecondMax ?? 0 };
  if (wire.rebuild) return { ...order, rebuild: decodeRebuild(wire.rebuild) };
  if (sources.length === 0 || SOURCES_MAX < sources.length) {
    throw invalid(`a copy has 1 to ${SOURCES_MAX} sources, not ${sources.length}`);
  }
  return { ...order, isUnit: wire.isUnit ?? false, sources: sources.map(decodeHolder) };
}

function decodeRebuild(wire: lumeo.chunkserver.v1.IUnitRebuild): RebuildOrder["rebuild"] {
  const geometry = { dataCells: wire.data ?? 0, parityCells: wire.parity ?? 0 };
  checkGeometry(geometry);
  const units = geometry.dataCells + geometry.parityCells;
  const unit = wire.unit ?? 0;
  const sources = (wire.sources ?? []).map(decodeUnitSource);
  const numbers = [unit, ...sources.map((source) => source.unit)];
  const isKnown = numbers.every((number) => number < units);
  if (isKnown && new Set(numbers).size === numbers.length) return { geometry, unit, sources };
  throw invalid(`of ${units} units it names ${numbers.join(", ")}`);
}

function decodeUnitSource(wire: lumeo.chunkserver.v1.IUnitSource): UnitSource {
  const length = wire.lengthBytes ?? 0;
  if (CHUNK_BYTES_MAX < length) throw invalid(`a unit has at most ${CHUNK_BYTES_MAX} bytes`);
  const holder = wire.holder ? decodeHolder(wire.holder) : undefined;
  if (holder === undefined && 0 < length) throw invalid("a unit with bytes is somewhere");
  return { unit: wire.unit ?? 0, length, crc32c: wire.crc32c ?? 0, holder };
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeAudit(wire: lumeo.chunkserver.v1.IAuditReplicaRequest): AuditOrder {
  return {
    chunk: { ...decodeChunk(wire.chunk), token: decodeToken(wire.token) },
    holder: decodeHolder(wire.holder ?? {}),
    bytesPerSecondMax: wire.bytesPerSecondMax ?? 0,
  };
}

/** Orders for small chunks. @throws LumeoError INVALID_ARGUMENT */
export function decodeBatch<W, O extends { readonly chunk: SealedChunk }>(
  wires: readonly W[] | null | undefined,
  decode: (wire: W) => O,
): readonly O[] {
  const orders = (wires ?? []).map(decode);
  if (BATCH_MAX < orders.length) throw invalid(`a batch has at most ${BATCH_MAX} orders`);
  const large = orders.find(({ chunk }) => SMALL_CHUNK_BYTES_MAX < chunk.length);
  if (large === undefined) return orders;
  throw invalid(`chunk ${large.chunk.handle} is too large for a batch`);
}

export function encodeCopies(
  results: readonly Settled<CopyResult>[],
): lumeo.chunkserver.v1.ICopyReplicasResponse {
  return {
    results: results.map((one) =>
      "value" in one
        ? { copied: encodeCopied(one.value) }
        : { error: encodeErrorDetail(one.error) },
    ),
  };
}

export function encodeAudits(
  results: readonly Settled<AuditResult>[],
): lumeo.chunkserver.v1.IAuditReplicasResponse {
  return {
    results: results.map((one) =>
      "value" in one
        ? { audited: encodeAudited(one.value) }
        : { error: encodeErrorDetail(one.error) },
    ),
  };
}

/** Replicas of small chunks to read through. @throws LumeoError INVALID_ARGUMENT */
export function decodeVerifications(
  wire: lumeo.chunkserver.v1.IVerifyReplicasRequest,
): readonly ChunkHandle[] {
  return decodeNamed(wire.handles, BATCH_MAX);
}

export function encodeVerifications(
  results: readonly Settled<lumeo.chunkserver.v1.IVerifyReplicaResponse>[],
): lumeo.chunkserver.v1.IVerifyReplicasResponse {
  return {
    results: results.map((one) =>
      "value" in one ? { verified: one.value } : { error: encodeErrorDetail(one.error) },
    ),
  };
}

/** The chunks that a question names. @throws LumeoError INVALID_ARGUMENT */
export function decodeNamed(
  handles: readonly number[] | null | undefined,
  max: number = NAMED_MAX,
): readonly ChunkHandle[] {
  if (max < (handles?.length ?? 0)) throw invalid(`it names more than ${max} chunks`);
  return (handles ?? []).map(decodeHandle);
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeWindow(wire: lumeo.chunkserver.v1.IListReplicasRequest): {
  readonly after: ChunkHandle | undefined;
  readonly limit: number;
} {
  const limit = wire.limit ?? 0;
  if (limit < 1 || LISTED_MAX < limit) throw invalid(`a page has 1 to ${LISTED_MAX} replicas`);
  return { after: wire.after ? decodeHandle(wire.after) : undefined, limit };
}

export function encodeReplica(replica: ListedReplica): lumeo.common.v1.IReplicaFacts {
  const { handle, epoch, length, crc32c, isDamaged } = replica;
  return { handle, epoch, lengthBytes: length, crc32c, damaged: isDamaged };
}

export function encodeRounds(status: InventoryStatus): lumeo.common.v1.IInventoryRounds {
  const { sinceWholeMs, roundMs, ...numbers } = status;
  return {
    ...numbers,
    sinceWholeMs: Math.round(sinceWholeMs),
    roundMs: Math.round(roundMs),
  };
}

export function encodeCopied(result: CopyResult): lumeo.chunkserver.v1.ICopyReplicaResponse {
  const { CopyOutcome } = lumeo.chunkserver.v1;
  switch (result.kind) {
    case "copied": {
      const { readBytes, faults } = result;
      const outcome = CopyOutcome.COPY_OUTCOME_COPIED;
      return { outcome, readBytes, faults: faults.map(encodeFault) };
    }
    case "here":
      return { outcome: CopyOutcome.COPY_OUTCOME_HERE };
    case "noSource": {
      const { faults } = result;
      const why = faults.map((fault) => `server ${fault.server}: ${fault.why}`).join("; ");
      const outcome = CopyOutcome.COPY_OUTCOME_NO_SOURCE;
      return { outcome, why, faults: faults.map(encodeFault) };
    }
    case "twoHistories":
      return { outcome: CopyOutcome.COPY_OUTCOME_TWO_HISTORIES, why: result.why };
  }
}

export function encodeAudited(result: AuditResult): lumeo.chunkserver.v1.IAuditReplicaResponse {
  const { AuditVerdict } = lumeo.chunkserver.v1;
  switch (result.kind) {
    case "intact":
      return { verdict: AuditVerdict.AUDIT_VERDICT_INTACT, readBytes: result.readBytes };
    case "bad":
      return { verdict: AuditVerdict.AUDIT_VERDICT_BAD, why: result.why };
    case "unreached":
      return { verdict: AuditVerdict.AUDIT_VERDICT_UNREACHED, why: result.why };
    case "twoHistories":
      return { verdict: AuditVerdict.AUDIT_VERDICT_TWO_HISTORIES, why: result.why };
  }
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeGrants(numbers: readonly number[] | null | undefined): readonly GrantId[] {
  const count = numbers?.length ?? 0;
  if (GRANTS_MAX < count) throw invalid(`${count} grants are to be closed, at most ${GRANTS_MAX}`);
  return (numbers ?? []).map((number) => {
    const isOne = Number.isSafeInteger(number) && 0 < number && number <= GRANT_MAX;
    if (!isOne) throw invalid(`grant ${number} is out of range`);
    return grantId(number);
  });
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeHandle(handle: number): ChunkHandle {
  if (Number.isSafeInteger(handle) && 0 < handle) return chunkHandle(handle);
  throw invalid(`chunk handle ${handle} is out of range`);
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeEpoch(number: number): Epoch {
  if (Number.isSafeInteger(number) && 0 < number) return epoch(number);
  throw invalid(`epoch ${number} is out of range`);
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeChunk(wire: lumeo.common.v1.IChunkRef | null | undefined): SealedChunk {
  const length = wire?.lengthBytes ?? 0;
  const crc32c = wire?.crc32c ?? 0;
  if (CHUNK_BYTES_MAX < length) throw invalid(`a chunk has at most ${CHUNK_BYTES_MAX} bytes`);
  if (U32_MAX < crc32c) throw invalid(`checksum ${crc32c} is out of range`);
  const handle = decodeHandle(wire?.handle ?? 0);
  return { handle, epoch: decodeEpoch(wire?.epoch ?? 0), length, crc32c };
}

function decodeMandate(number: number): number {
  if (Number.isSafeInteger(number) && 0 < number) return number;
  throw invalid(`mandate ${number} is out of range`);
}

/** Not judged here: it is for the servers that have the replica. */
export function decodeToken(wire: Uint8Array | null | undefined): Uint8Array | undefined {
  return wire == null || wire.byteLength === 0 ? undefined : wire;
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeHolder(wire: lumeo.chunkserver.v1.IReplicaHolder): Holder {
  const number = wire.serverId ?? 0;
  if (!Number.isSafeInteger(number) || number < 1) throw invalid(`server ${number} is no number`);
  const address = wire.dataAddress ?? "";
  parseAddress(address);
  return { server: serverId(number), address };
}

export function encodeFault(fault: SourceFault): lumeo.chunkserver.v1.ISourceFault {
  return { serverId: fault.server, bad: fault.isBad, why: fault.why };
}

/** An order that nobody can obey. */
export function invalid(why: string): LumeoError {
  return new LumeoError("INVALID_ARGUMENT", `Cannot obey the order: ${why}`);
}
