// Single chunks, by handle: where they are, and complaints about their copies.

import { type Clock, LumeoError } from "@lumeofs/base";
import { type RpcMethod, serveUnary } from "@lumeofs/node/rpc";
import { ChunkService, type lumeo } from "@lumeofs/proto";
import type { TokenMint } from "../access/token-mint.js";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { Fleet } from "../fleet/servers.js";
import { type ChunkRecord, getChunk } from "../metadata/chunk-table.js";
import type { StateReader } from "../metadata/state.js";
import { decodeHandle, decodeServerId, encodeLocatedChunk } from "./wire.js";

export interface ChunkServiceParts {
  readonly log: MetadataLog;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly mint: TokenMint;
}

export function chunkMethods(parts: ChunkServiceParts): readonly RpcMethod[] {
  return [
    serveUnary(ChunkService.locateChunk, (request) => locate(parts, request)),
    serveUnary(ChunkService.reportDamage, (request) => reportDamage(parts, request)),
  ];
}

async function locate(
  { log, fleet, clock, mint }: ChunkServiceParts,
  request: lumeo.master.v1.ILocateChunkRequest,
): Promise<lumeo.master.v1.ILocateChunkResponse> {
  const handle = decodeHandle(request.handle);
  const state = await log.read();
  const record = chunkOrRefuse(state, handle);
  const withLabels = request.withLabels ?? false;
  const view = { state, fleet, now: clock.monotonicMs(), mint, withLabels };
  return { chunk: encodeLocatedChunk(view, handle, record) };
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

function chunkOrRefuse(state: StateReader, handle: Parameters<typeof getChunk>[1]): ChunkRecord {
  const record = getChunk(state, handle);
  if (record !== undefined) return record;
  throw new LumeoError("NOT_FOUND", `Cannot find chunk ${handle}: no file has it`);
}
