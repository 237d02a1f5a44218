// Single chunks, by handle: where they are, and complaints about their copies.

import { type Clock, LumeoError, type ServerId } from "@lumeofs/base";
import { type RpcMethod, serveUnary } from "@lumeofs/node/rpc";
import { ChunkService, type lumeo } from "@lumeofs/proto";
import type { TokenMint } from "../access/token-mint.js";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { TailKeeper } from "../duties/tails/tail-keeper.js";
import type { Fleet } from "../fleet/servers.js";
import { type ChunkRecord, getChunk, listedChunk } from "../metadata/chunk-table.js";
import { getServer } from "../metadata/servers.js";
import type { StateReader } from "../metadata/state.js";
import { getTail } from "../metadata/tail-table.js";
import { describeTail, growingAsChunk } from "./tail-operations.js";
import { decodeHandle, decodeServerId, encodeLocatedChunk } from "./wire.js";

export interface ChunkServiceParts {
  readonly log: MetadataLog;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly mint: TokenMint;
  readonly keeper: TailKeeper;
}

export function chunkMethods(parts: ChunkServiceParts): readonly RpcMethod[] {
  return [
    serveUnary(ChunkService.locateChunk, (request) => locate(parts, request)),
    serveUnary(ChunkService.reportDamage, (request) => reportDamage(parts, request)),
    serveUnary(ChunkService.salvageChunk, (request) => salvage(parts, request)),
  ];
}

async function locate(
  { log, fleet, clock, mint, keeper }: ChunkServiceParts,
  request: lumeo.master.v1.ILocateChunkRequest,
): Promise<lumeo.master.v1.ILocateChunkResponse> {
  const handle = decodeHandle(request.handle);
  const state = await log.read();
  const withLabels = request.withLabels ?? false;
  const now = clock.monotonicMs();
  const view = { state, fleet, now, mint, withLabels, withInlineBytes: true };
  const tail = getTail(state, handle);
  if (tail !== undefined) {
    return {
      chunk: encodeLocatedChunk(view, handle, growingAsChunk(keeper, { handle, tail })),
      tail: describeTail({ clock, keeper }, state, { handle, tail }),
    };
  }
  // Whoever knows the handle from a list, and not of the chunk's conversion, is led to what it is.
  const kept = getChunk(state, handle) === undefined ? listedChunk(state, handle) : undefined;
  if (kept !== undefined) return { chunk: encodeLocatedChunk(view, kept.handle, kept.chunk) };
  return { chunk: encodeLocatedChunk(view, handle, chunkOrRefuse(state, handle)) };
}

/** Notes the complaint; the server is asked to check its copy before anybody believes it. */
async function reportDamage(
  { log, fleet }: ChunkServiceParts,
  request: lumeo.master.v1.IReportDamageRequest,
): Promise<lumeo.master.v1.IReportDamageResponse> {
  const handle = decodeHandle(request.handle);
  const server = decodeServerId(request.serverId);
  const record = chunkOrRefuse(await log.read(), handle);
  if (!record.members.includes(server)) {
    const what = `Cannot check chunk ${handle} on server ${server}`;
    throw new LumeoError("INVALID_ARGUMENT", `${what}: the server is none of its members`);
  }
  fleet.suspect({ server, handle });
  return {};
}

async function salvage(
  { log, keeper, clock }: ChunkServiceParts,
  { handle: wire, acceptLoss }: lumeo.master.v1.ISalvageChunkRequest,
): Promise<lumeo.master.v1.ISalvageChunkResponse> {
  const handle = decodeHandle(wire);
  const state = await log.read();
  const tail = getTail(state, handle);
  const told = tail && describeTail({ clock, keeper }, state, { handle, tail });
  const { survivors, lost } = await keeper.salvage(handle, acceptLoss ?? false);
  const nameOf = (id: ServerId) => getServer(state, id)?.name ?? `server ${id}`;
  return { path: told?.path ?? "", survivors: survivors.map(nameOf), lost: lost.map(nameOf) };
}

function chunkOrRefuse(state: StateReader, handle: Parameters<typeof getChunk>[1]): ChunkRecord {
  const record = getChunk(state, handle);
  if (record !== undefined) return record;
  throw new LumeoError("NOT_FOUND", `Cannot find chunk ${handle}: no file has it`);
}
