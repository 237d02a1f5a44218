// For the chunkservers that hold tails: epochs become active, seals are recorded, leases renewed.
// Only the leader serves them.

import {
  type ChunkHandle,
  type Clock,
  isActive,
  isSuperfluous,
  LumeoError,
  type ServerId,
} from "@lumeofs/base";
import { type RpcMethod, serveUnary } from "@lumeofs/node/rpc";
import { lumeo, TailService } from "@lumeofs/proto";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { TailKeeper } from "../duties/tails/tail-keeper.js";
import type { Fleet } from "../fleet/servers.js";
import { type ChunkRecord, getChunk, listedChunk } from "../metadata/chunk-table.js";
import type { Command, Reply } from "../metadata/command.js";
import { isNeverGranted } from "../metadata/replica-standing.js";
import { isOfLostTime } from "../metadata/restoration.js";
import { getServer } from "../metadata/servers.js";
import type { StateReader } from "../metadata/state.js";
import { getTail } from "../metadata/tail-table.js";
import { decodeNumber, invalid } from "./field-wire.js";
import { decodeEpoch, decodeHandle, decodeServerId, errorOf } from "./wire.js";

/** Tails in one message. */
const TAILS_MAX = 1_000;

const Outcome = lumeo.master.v1.TailOutcome;
type Outcome = lumeo.master.v1.TailOutcome;

export interface TailServiceParts {
  readonly log: MetadataLog;
  readonly keeper: TailKeeper;
  readonly fleet: Fleet;
  readonly clock: Clock;
  /** A chunk was sealed of which a copy may be missing. */
  readonly onThinSeal: () => void;
}

export function tailMethods(parts: TailServiceParts): readonly RpcMethod[] {
  return [
    serveUnary(TailService.activateEpoch, (request) => activate(parts, request)),
    serveUnary(TailService.recordSeal, (request) => recordSeal(parts, request)),
    serveUnary(TailService.renewLeases, (request) => renew(parts, request)),
    serveUnary(TailService.releaseLeases, (request) => release(parts, request)),
    serveUnary(TailService.endEpoch, (request) => endEpoch(parts, request)),
    serveUnary(TailService.reportTails, (request) => report(parts, request)),
  ];
}

async function activate(
  parts: TailServiceParts,
  request: lumeo.master.v1.IActivateEpochRequest,
): Promise<lumeo.master.v1.IActivateEpochResponse> {
  const [handle, epoch] = [decodeHandle(request.handle), decodeEpoch(request.epoch)];
  const { server, state } = await identify(parts, request.caller);
  const tail = getTail(state, handle);
  if (tail?.authority.newest.epoch === epoch) {
    if (tail.authority.newest.primary !== server) return { outcome: Outcome.TAIL_OUTCOME_STALE };
    if (isActive(tail.authority)) return { outcome: Outcome.TAIL_OUTCOME_DONE };
  }
  return { outcome: await change(parts, { kind: "activateTailEpoch", handle, epoch }) };
}

async function recordSeal(
  parts: TailServiceParts,
  request: lumeo.master.v1.IRecordSealRequest,
): Promise<lumeo.master.v1.IRecordSealResponse> {
  await identify(parts, request.caller);
  const handle = decodeHandle(request.handle);
  const epoch = decodeEpoch(request.epoch);
  const lengthBytes = decodeNumber(request.lengthBytes, "length");
  const crc32c = decodeNumber(request.crc32c, "checksum");
  const chunkEpoch = decodeEpoch(request.chunkEpoch || request.epoch);
  const seal: Command = { kind: "sealTail", handle, epoch, chunkEpoch, lengthBytes, crc32c };
  const outcome = await change(parts, seal);
  const now = parts.clock.monotonicMs();
  const members = getChunk(parts.log.local, handle)?.members ?? [];
  if (members.some((member) => parts.fleet.liveness(member, now) !== "alive")) parts.onThinSeal();
  return { outcome };
}

async function change({ log }: TailServiceParts, command: Command): Promise<Outcome> {
  return outcomeOf(await log.change(command));
}

function outcomeOf(reply: Reply): Outcome {
  if (reply.kind !== "refused") return Outcome.TAIL_OUTCOME_DONE;
  switch (reply.code) {
    case "STALE_EPOCH":
      return Outcome.TAIL_OUTCOME_STALE;
    case "CONFLICT":
      return Outcome.TAIL_OUTCOME_SEALED;
    case "NOT_FOUND":
      return Outcome.TAIL_OUTCOME_GONE;
    default:
      throw errorOf(reply);
  }
}

/**
 * Leases for the primaries of newest epochs. That this master leads was made sure behind the
 * caller's question, from which its leases count: so a later leader waits for them (rule 15).
 */
async function renew(
  parts: TailServiceParts,
  request: lumeo.master.v1.IRenewLeasesRequest,
): Promise<lumeo.master.v1.IRenewLeasesResponse> {
  const wanted = limited(request.tails);
  const { server, state } = await identify(parts, request.caller);
  const { leases } = parts.keeper;
  const now = parts.clock.monotonicMs();
  const tails = wanted.map((progress): lumeo.master.v1.ILeaseAnswer => {
    const [handle, epoch] = [decodeHandle(progress.handle), decodeEpoch(progress.epoch)];
    const tail = getTail(state, handle);
    if (tail === undefined) return { outcome: goneOrSealed(state, handle) };
    const { newest } = tail.authority;
    if (newest.epoch !== epoch || newest.primary !== server) {
      return { outcome: Outcome.TAIL_OUTCOME_STALE };
    }
    leases.note(handle, decodeNumber(progress.committedBytes, "committed bytes"));
    const granted = progress.lease === true && leases.renew(handle, now);
    return { outcome: Outcome.TAIL_OUTCOME_DONE, granted };
  });
  return { tails, leaseMs: leases.terms.lengthMs };
}

async function release(
  parts: TailServiceParts,
  request: lumeo.master.v1.IReleaseLeasesRequest,
): Promise<lumeo.master.v1.IReleaseLeasesResponse> {
  const { server, state } = await identify(parts, request.caller);
  for (const { handle: wire, epoch } of limited(request.tails)) {
    const handle = decodeHandle(wire);
    const newest = getTail(state, handle)?.authority.newest;
    const isHolder = newest?.primary === server && newest.epoch === decodeEpoch(epoch);
    if (isHolder) parts.keeper.leases.release(handle);
  }
  return {};
}

async function endEpoch(
  parts: TailServiceParts,
  request: lumeo.master.v1.IEndEpochRequest,
): Promise<lumeo.master.v1.IEndEpochResponse> {
  const [handle, epoch] = [decodeHandle(request.handle), decodeEpoch(request.epoch)];
  const { server, state } = await identify(parts, request.caller);
  const tail = getTail(state, handle);
  const isMember = tail?.authority.newest.members.includes(server) === true;
  if (isMember) {
    const why = `server ${server}: ${(request.why ?? "").slice(0, 200)}`;
    void parts.keeper.complain(handle, { epoch, isOver: true, why });
  }
  return {};
}

/** Names what nobody needs of the tails that a store holds, and what became of the others. */
async function report(
  parts: TailServiceParts,
  request: lumeo.master.v1.IReportTailsRequest,
): Promise<lumeo.master.v1.IReportTailsResponse> {
  const held = limited(request.tails);
  const { server, state } = await identify(parts, request.caller);
  const garbageHandles: number[] = [];
  const superfluous: lumeo.master.v1.ITailEpoch[] = [];
  const sealed: lumeo.master.v1.ISealedTail[] = [];
  const newest: lumeo.master.v1.ITailEpoch[] = [];
  for (const { handle: wire, inDoubt } of held) {
    const handle = decodeHandle(wire);
    const tail = getTail(state, handle);
    const chunk = tail === undefined ? getChunk(state, handle) : undefined;
    if (tail !== undefined) {
      const { authority } = tail;
      const named = { handle, epoch: authority.newest.epoch };
      if (inDoubt === true) newest.push(named);
      if (isActive(authority) && isSuperfluous(authority, server)) superfluous.push(named);
    } else if (chunk !== undefined) {
      if (chunk.releasedAt === undefined) sealed.push(encodeSealed(handle, chunk));
      // Whoever missed the end may lack the chunk: its copy is looked at before it is healed.
      if (chunk.members.includes(server)) parts.fleet.suspect({ server, handle });
    } else if (!isNeverGranted(state, handle) && !isOfLostTime(state, handle)) {
      garbageHandles.push(handle);
    }
  }
  return { garbageHandles, superfluous, sealed, newest };
}

function encodeSealed(handle: ChunkHandle, chunk: ChunkRecord): lumeo.master.v1.ISealedTail {
  const { epoch: chunkEpoch, lengthBytes, crc32c } = chunk;
  return { handle, chunkEpoch, lengthBytes, crc32c };
}

function goneOrSealed(state: StateReader, handle: ChunkHandle): Outcome {
  const chunk = listedChunk(state, handle)?.chunk;
  if (chunk === undefined || chunk.releasedAt !== undefined) return Outcome.TAIL_OUTCOME_GONE;
  return Outcome.TAIL_OUTCOME_SEALED;
}

function limited<T>(items: readonly T[] | null | undefined): readonly T[] {
  const list = items ?? [];
  if (list.length <= TAILS_MAX) return list;
  throw invalid(`a message is about at most ${TAILS_MAX} tails`);
}

/** The registered store that calls, and the state with everything that was acknowledged before. */
async function identify(
  { log }: TailServiceParts,
  caller: lumeo.master.v1.ITailCaller | null | undefined,
): Promise<{ readonly server: ServerId; readonly state: StateReader }> {
  const id = decodeServerId(caller?.serverId);
  const state = await log.read();
  const server = getServer(state, id);
  if (server !== undefined && !server.isRetired && server.storeUuid === caller?.storeUuid) {
    return { server: id, state };
  }
  const what = `Server ${id} is not registered with this store`;
  throw new LumeoError("NOT_FOUND", `${what}: register again`);
}
