// For operators: which chunks are not as they should be, and what their copies on disk are like.

import { asLumeoError, type ChunkHandle, type Clock } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { TakenPicture } from "../duties/healing/take-picture.js";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { Orders } from "../duties/orders.js";
import { verifyMember } from "../duties/verify-duty.js";
import type { Fleet } from "../fleet/servers.js";
import { type Assessment, assess } from "../healing/assess.js";
import { type ChunkRecord, getChunk } from "../metadata/chunk-table.js";
import { lastGranted } from "../metadata/grants.js";
import { chunksPage, type NumberedChunk } from "../metadata/healing-queries.js";
import { faultOfInline } from "../metadata/inline-chunks.js";
import { getMove } from "../metadata/moves.js";
import { getServer } from "../metadata/servers.js";
import { decodeNumber, invalid } from "./field-wire.js";
import { decodeHandle, encodeLocatedChunk } from "./wire.js";

const { ChunkFilter, CopyFinding } = lumeo.master.v1;

export interface InspectionParts {
  readonly log: MetadataLog;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly orders: Orders;
  /** Name of this master. */
  readonly self: string;
}

const LIMIT_MAX = 1_000;
/** Chunks looked at for one page of an answer: few of them may be what is asked for. */
const LOOKED_MAX = 20_000;
/** Of these, read from the state together. */
const READ_TOGETHER = 1_000;
/** Chunks in one request to have them read: small ones in a message or two for each server. */
const VERIFIED_MAX = 64;
/** Of these, whose bytes are read: some 10 ms. */
const INLINE_LOOKS_MAX = 500;

/** A page of the chunks that a filter lets through. */
export async function listChunks(
  parts: InspectionParts,
  request: lumeo.master.v1.IListChunksRequest,
  picture: TakenPicture,
): Promise<lumeo.master.v1.IListChunksResponse> {
  if (0 < (request.handles?.length ?? 0)) return namedChunks(parts, request, picture);
  const limit = decodeNumber(request.limit, "limit");
  if (limit < 1 || LIMIT_MAX < limit) throw invalid(`a page has 1 to ${LIMIT_MAX} chunks`);
  const look = lookFor(parts, request.filter, picture);
  const chunks: lumeo.master.v1.IChunkState[] = [];
  // First, so that it is not later than what the page says.
  const grantedUpto = lastGranted(parts.log.local);
  let after = decodeNumber(request.after, "handle");
  let looks = 0;
  for (let looked = 0; looked < LOOKED_MAX; looked += READ_TOGETHER) {
    const page = await chunksPage(parts.log.local, after, READ_TOGETHER);
    for (const one of page) {
      if (look.readsBytes(one) && INLINE_LOOKS_MAX < ++looks)
        return { chunks, next: after, grantedUpto };
      const found = look.at(one);
      after = one.handle;
      if (found === undefined) continue;
      chunks.push(found);
      if (chunks.length === limit) return { chunks, next: after, grantedUpto };
    }
    if (page.length < READ_TOGETHER) return { chunks, next: 0, grantedUpto };
  }
  return { chunks, next: after, grantedUpto };
}

/** These chunks, as far as they are known and the filter lets them through. */
function namedChunks(
  parts: InspectionParts,
  { handles, filter }: lumeo.master.v1.IListChunksRequest,
  picture: TakenPicture,
): lumeo.master.v1.IListChunksResponse {
  const named = decodeHandles(handles, LIMIT_MAX);
  const look = lookFor(parts, filter, picture);
  const chunks = named.flatMap((handle) => {
    const chunk = getChunk(parts.log.local, handle);
    return (chunk === undefined ? undefined : look.at({ handle, chunk })) ?? [];
  });
  return { chunks, next: 0 };
}

interface Look {
  /** Whether this look has to read the chunk's bytes, which the masters keep. */
  readsBytes(one: NumberedChunk): boolean;
  /** Undefined for a chunk that the filter does not let through. */
  at(one: NumberedChunk): lumeo.master.v1.IChunkState | undefined;
}

function lookFor(
  parts: InspectionParts,
  filter: lumeo.master.v1.ChunkFilter | null | undefined,
  picture: TakenPicture,
): Look {
  const lets = filterOf(filter);
  const withBytes = looksAtBytes(filter);
  const readsBytes = ({ chunk }: NumberedChunk): boolean => withBytes && chunk.isInline;
  const at = (one: NumberedChunk): lumeo.master.v1.IChunkState | undefined => {
    const found = assess(picture, { handle: one.handle, ...one.chunk });
    const inlineFault = readsBytes(one) ? lookInline(parts, one) : undefined;
    if (!lets(one.chunk, found) && inlineFault === undefined) return undefined;
    return { ...encodeChunkState(parts, one, found), inlineFault: inlineFault ?? "" };
  };
  return { readsBytes, at };
}

/** Asks every member to read its copies through. What is bad is known as damaged afterwards. */
export async function verifyChunks(
  parts: InspectionParts,
  request: lumeo.master.v1.IVerifyChunksRequest,
): Promise<lumeo.master.v1.IVerifyChunksResponse> {
  const handles = decodeHandles(request.handles, VERIFIED_MAX);
  const state = await parts.log.read();
  const verdicts = handles.map(async (handle) => {
    const chunk = getChunk(state, handle);
    return chunk === undefined ? [] : [{ handle, copies: await verdictsOf(parts, handle, chunk) }];
  });
  return { chunks: (await Promise.all(verdicts)).flat() };
}

function decodeHandles(
  handles: readonly number[] | null | undefined,
  max: number,
): readonly ChunkHandle[] {
  if (max < (handles?.length ?? 0)) throw invalid(`it names more than ${max} chunks`);
  return (handles ?? []).map(decodeHandle);
}

async function verdictsOf(
  parts: InspectionParts,
  handle: ChunkHandle,
  chunk: ChunkRecord,
): Promise<lumeo.master.v1.ICopyVerdict[]> {
  const { log, fleet, orders } = parts;
  if (chunk.isInline) return [ownVerdict(parts, handle, chunk)];
  const state = log.local;
  const copies = chunk.members.map(async (id): Promise<lumeo.master.v1.ICopyVerdict> => {
    const server = getServer(state, id);
    const name = server?.name ?? "";
    const unknown = { serverId: id, name, finding: CopyFinding.COPY_FINDING_UNKNOWN };
    if (server === undefined) return { ...unknown, why: "the server has never registered" };
    try {
      const verdict = await verifyMember(orders, { id, server }, { handle, chunk });
      const finding = CopyFinding.COPY_FINDING_INTACT;
      if (verdict.kind === "intact") return { serverId: id, name, finding };
      fleet.markDamaged(id, handle);
      return { serverId: id, name, finding: CopyFinding.COPY_FINDING_BAD, why: verdict.why };
    } catch (error) {
      return { ...unknown, why: asLumeoError(error).message };
    }
  });
  return Promise.all(copies);
}

/** Of a chunk that the masters keep, as this one has it. */
function ownVerdict(
  { log, self }: InspectionParts,
  handle: ChunkHandle,
  chunk: ChunkRecord,
): lumeo.master.v1.ICopyVerdict {
  const why = faultOfInline(log.local, handle, chunk);
  const finding =
    why === undefined ? CopyFinding.COPY_FINDING_INTACT : CopyFinding.COPY_FINDING_BAD;
  return { serverId: 0, name: self, finding, why: why ?? "" };
}

function looksAtBytes(filter: lumeo.master.v1.ChunkFilter | null | undefined): boolean {
  return filter === ChunkFilter.CHUNK_FILTER_ALL || filter === ChunkFilter.CHUNK_FILTER_CORRUPT;
}

/** What is wrong with the bytes of a chunk that this master keeps, if anything. */
function lookInline(
  { log }: InspectionParts,
  { handle, chunk }: NumberedChunk,
): string | undefined {
  const fault = faultOfInline(log.local, handle, chunk);
  // Since the page was read it may have been forgotten.
  return getChunk(log.local, handle) === undefined ? undefined : fault;
}

function filterOf(
  filter: lumeo.master.v1.ChunkFilter | null | undefined,
): (chunk: ChunkRecord, found: Assessment) => boolean {
  switch (filter) {
    case ChunkFilter.CHUNK_FILTER_ALL:
      return () => true;
    case ChunkFilter.CHUNK_FILTER_UNDER_REPLICATED:
      return (chunk, { whole }) => chunk.releasedAt === undefined && whole < chunk.members.length;
    case ChunkFilter.CHUNK_FILTER_CORRUPT:
      return (_chunk, { health }) => [...health.values()].includes("damaged");
    case ChunkFilter.CHUNK_FILTER_ORPHAN:
      return (chunk) => chunk.releasedAt !== undefined;
    default:
      throw invalid("it does not say which chunks to list");
  }
}

function encodeChunkState(
  { log, fleet, clock }: InspectionParts,
  { handle, chunk }: NumberedChunk,
  { whole }: Assessment,
): lumeo.master.v1.IChunkState {
  const state = log.local;
  const move = getMove(state, handle);
  return {
    chunk: encodeLocatedChunk({ state, fleet, now: clock.monotonicMs() }, handle, chunk),
    goodCopies: whole,
    orphan: chunk.releasedAt !== undefined,
    moveTarget: move?.target ?? 0,
    moveTargetName: move === undefined ? "" : (getServer(state, move.target)?.name ?? ""),
    job: move?.job ?? 0,
    content: chunk.inode,
    checks: chunk.members.map((server) => ({
      readSinceMs: fleet.checks.readSince(server, handle),
      stopped: fleet.checks.isStopped(server, handle),
    })),
  };
}
