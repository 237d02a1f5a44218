// For chunkservers: registration, heartbeats, inventories. Only the leader serves them.

import type { Logger } from "@lumeofs/base";
import { type ChunkHandle, type Clock, LumeoError, type ServerId } from "@lumeofs/base";
import { type RpcMethod, type RpcStream, serveStream, serveUnary } from "@lumeofs/node/rpc";
import { FleetService, type lumeo } from "@lumeofs/proto";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { Fleet, ServerLoad } from "../fleet/servers.js";
import { getClusterId } from "../metadata/cluster.js";
import type { FleetCommand } from "../metadata/command.js";
import {
  isNeverGranted,
  type ReportedReplica,
  standingOfReplica,
} from "../metadata/replica-standing.js";
import { getServer, type Server, serverOfName, serverOfUuid } from "../metadata/servers.js";
import type { StateReader } from "../metadata/state.js";
import { getTokenKeys } from "../metadata/token-keys.js";
import { assignedChunks } from "./assigned-chunks.js";
import { decodeDisks } from "./disk-wire.js";
import { decodeNumber, invalid } from "./field-wire.js";
import { activeServers } from "./fleet-view.js";
import type { MasterDirectory } from "./master-directory.js";
import { decodeScrub } from "./scrub-wire.js";
import { decodeEpoch, decodeHandle, decodeServerId, decodeText, errorOf } from "./wire.js";

/** Handles in one page of an inventory. */
export const INVENTORY_PAGE_MAX = 10_000;
const NAME_LENGTH_MAX = 63;
const TEXT_LENGTH_MAX = 255;
const LABELS_MAX = 32;

type HeartbeatStream = RpcStream<
  lumeo.master.v1.IHeartbeatResponse,
  lumeo.master.v1.IHeartbeatRequest
>;

/**
 * A server counts its silence from when it sent a heartbeat, we from when we got it, which is
 * later: so it fences itself before we give it up, by at least this part and whatever our clocks
 * drift apart in so short a time.
 */
const FENCE_PART = 0.8;

export interface FleetServiceParts {
  readonly log: MetadataLog;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly heartbeatMs: number;
  /** Silence after which a chunkserver is taken for dead. */
  readonly deadMs: number;
  readonly masters: MasterDirectory;
  /** Life of a grant. */
  readonly grantMs: number;
}

export function fleetMethods(parts: FleetServiceParts): readonly RpcMethod[] {
  const streams = new Map<ServerId, HeartbeatStream>();
  return [
    serveUnary(FleetService.register, (request) => register(parts, request)),
    serveStream(FleetService.heartbeat, (stream) => listen(parts, stream, streams)),
    serveUnary(FleetService.reportInventory, (request) => inventory(parts, request)),
    serveUnary(FleetService.listAssigned, (request) => listAssigned(parts, request)),
  ];
}

async function register(
  parts: FleetServiceParts,
  wire: lumeo.master.v1.IRegisterRequest,
): Promise<lumeo.master.v1.IRegisterResponse> {
  const command = decodeRegistration(wire);
  const state = await parts.log.read();
  const clusterId = getClusterId(state);
  if (clusterId === undefined) {
    throw new LumeoError("UNAVAILABLE", "The cluster is being set up: try again in a moment");
  }
  checkCluster(command, wire.clusterId ?? "", clusterId);
  checkNamesake(parts, state, command);
  const known = serverOfUuid(state, command.storeUuid);
  const before = known === undefined ? undefined : getServer(state, known);
  const terms = {
    heartbeatMs: parts.heartbeatMs,
    fenceMs: Math.floor(parts.deadMs * FENCE_PART),
    masters: [...parts.masters.addresses],
  };
  if (known !== undefined && before !== undefined && isSame(before, command)) {
    return { serverId: known, clusterId, ...terms };
  }
  const reply = await parts.log.change(command);
  if (reply.kind === "refused") throw errorOf(reply);
  if (reply.kind !== "registered") throw new LumeoError("INTERNAL", "Register got another reply");
  const { server } = reply;
  parts.logger.info("chunkserver registered", { server, peer: command.name });
  return { serverId: server, clusterId, ...terms };
}

function decodeRegistration(wire: lumeo.master.v1.IRegisterRequest): FleetCommand {
  const labels = wire.labels ?? {};
  const entries = Object.entries(labels);
  if (LABELS_MAX < entries.length) throw invalid(`a server has at most ${LABELS_MAX} labels`);
  for (const [name, value] of entries) {
    decodeText(name, "label name", TEXT_LENGTH_MAX);
    if (TEXT_LENGTH_MAX < value.length) throw invalid(`label ${name} is too long`);
  }
  const name = decodeText(wire.name, "name", NAME_LENGTH_MAX);
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) {
    throw invalid(`name ${JSON.stringify(name)} has more than lower-case letters, digits and "-"`);
  }
  return {
    kind: "registerServer",
    name,
    storeUuid: decodeText(wire.storeUuid, "store uuid", TEXT_LENGTH_MAX),
    dataAddress: decodeText(wire.dataAddress, "data address", TEXT_LENGTH_MAX),
    controlAddress: decodeText(wire.controlAddress, "control address", TEXT_LENGTH_MAX),
    labels,
  };
}

/** A store of another cluster is not taken over: its chunks would all be garbage here. */
function checkCluster(command: FleetCommand, claimed: string, clusterId: string): void {
  if (claimed === "" || claimed === clusterId) return;
  throw new LumeoError(
    "CONFIG",
    `Cannot register ${command.name}: its store belongs to cluster ${claimed}, this is cluster ` +
      `${clusterId}; give it an empty folder or the masters of its own cluster`,
  );
}

/** Two living stores of one name would retire each other for ever. */
function checkNamesake(parts: FleetServiceParts, state: StateReader, command: FleetCommand): void {
  const id = serverOfName(state, command.name);
  const namesake = id === undefined ? undefined : getServer(state, id);
  if (id === undefined || namesake === undefined) return;
  if (namesake.storeUuid === command.storeUuid) return;
  if (parts.fleet.liveness(id, parts.clock.monotonicMs()) !== "alive") return;
  throw new LumeoError(
    "CONFLICT",
    `Cannot register ${command.name}: another store of that name is alive at ` +
      `${namesake.dataAddress}; stop it or choose another name`,
  );
}

function isSame(server: Server, command: FleetCommand): boolean {
  const labels = (of: Readonly<Record<string, string>>): string =>
    JSON.stringify(Object.entries(of).sort());
  return (
    !server.isRetired &&
    server.name === command.name &&
    server.dataAddress === command.dataAddress &&
    server.controlAddress === command.controlAddress &&
    labels(server.labels) === labels(command.labels)
  );
}

/** Serves one stream of heartbeats, until it ends or this master no longer leads. */
async function listen(
  parts: FleetServiceParts,
  stream: HeartbeatStream,
  streams: Map<ServerId, HeartbeatStream>,
): Promise<void> {
  const { log, fleet, clock } = parts;
  let server: ServerId | undefined;
  let told: readonly string[] = parts.masters.addresses;
  try {
    for await (const beat of stream) {
      log.checkLeading();
      const isFirst = server === undefined;
      server ??= await identify(log, beat);
      if (decodeServerId(beat.serverId) !== server) throw invalid("the server id has changed");
      const report = { load: decodeLoad(beat), damaged: decodeHandles(beat), isFirst };
      fleet.heartbeat(server, report, clock.monotonicMs());
      noteChecks(parts, server, beat);
      await noteHighest(parts, server, beat);
      streams.set(server, stream); // a newer stream of a server takes its place
      const masters = told === parts.masters.addresses ? [] : [...parts.masters.addresses];
      told = parts.masters.addresses;
      const verifyHandles = [...fleet.takeDeferred(server)];
      const stopHandles = [...fleet.checks.stoppedElsewhere(server)];
      const word = { leaderTimeMs: clock.wallMs(), tokenKeys: newsOfKeys(log.local, beat) };
      await stream.send({ verifyHandles, masters, stopHandles, ...word });
    }
  } finally {
    if (server !== undefined && streams.get(server) === stream) {
      streams.delete(server);
      fleet.disconnected(server);
    }
  }
}

/** The keys of tokens, unless the server has the newest. */
function newsOfKeys(
  state: StateReader,
  { tokenKeyId }: lumeo.master.v1.IHeartbeatRequest,
): lumeo.master.v1.ITokenKey[] {
  const keys = getTokenKeys(state);
  if (keys[0]?.key.id === tokenKeyId) return [];
  return keys.map(({ key }) => ({ id: key.id, secret: key.secret() }));
}

/** Whether this is the store that it says; a store that was retired has to register again. */
async function identify(
  log: MetadataLog,
  wire: { readonly serverId?: number | null; readonly storeUuid?: string | null },
): Promise<ServerId> {
  const id = decodeServerId(wire.serverId);
  const server = getServer(await log.read(), id);
  if (server !== undefined && !server.isRetired && server.storeUuid === wire.storeUuid) return id;
  throw new LumeoError(
    "NOT_FOUND",
    `Server ${id} is not registered with this store: register again`,
  );
}

function decodeLoad(wire: lumeo.master.v1.IHeartbeatRequest): ServerLoad {
  return {
    chunkCount: decodeNumber(wire.chunkCount, "chunk count"),
    usedBytes: decodeNumber(wire.usedBytes, "used bytes"),
    capacityBytes: decodeNumber(wire.capacityBytes, "capacity"),
    freeBytes: decodeNumber(wire.freeBytes, "free bytes"),
    isReadOnly: wire.readOnly ?? false,
    writesInFlight: decodeNumber(wire.writesInFlight, "writes in flight"),
  };
}

/** A chunk with two histories is an alarm: it is logged when it is first heard of. */
function noteChecks(
  { fleet, logger }: FleetServiceParts,
  server: ServerId,
  beat: lumeo.master.v1.IHeartbeatRequest,
): void {
  const stopped = (beat.stoppedHandles ?? []).map(decodeHandle);
  const said = { scrub: decodeScrub(beat.scrub), stopped, disks: decodeDisks(beat.disks) };
  for (const chunk of fleet.checks.told(server, said)) {
    logger.error("chunk has two histories", { chunk, server, code: "CORRUPT" });
  }
}

function decodeHandles(wire: lumeo.master.v1.IHeartbeatRequest): readonly ChunkHandle[] {
  return (wire.damagedHandles ?? []).map(decodeHandle);
}

/**
 * Rule 22: a replica under a handle that was never granted proves that the masters have lost what
 * they knew. A handle is granted before anybody writes under it, so a state that was read after the
 * heartbeat came knows it.
 */
async function noteHighest(
  parts: FleetServiceParts,
  server: ServerId,
  beat: lumeo.master.v1.IHeartbeatRequest,
): Promise<void> {
  const { log } = parts;
  if (!beat.highestHandle) return;
  const handle = decodeHandle(beat.highestHandle);
  if (!isNeverGranted(log.local, handle)) return;
  if (isNeverGranted(await log.read(), handle)) noteNewer(parts, server, handle);
}

function noteNewer(
  { fleet, logger }: FleetServiceParts,
  server: ServerId,
  chunk: ChunkHandle,
): void {
  if (!fleet.contradictions.note(server, chunk)) return;
  const error = "the masters have lost what they knew: nothing is deleted any more";
  logger.error("replica newer than the metadata", { chunk, server, code: "CORRUPT", error });
}

/** Judges a page of what a store holds, and names what nobody needs any more. */
async function inventory(
  parts: FleetServiceParts,
  request: lumeo.master.v1.IReportInventoryRequest,
): Promise<lumeo.master.v1.IReportInventoryResponse> {
  const { log, fleet, clock, logger } = parts;
  const replicas = decodePage(request);
  const server = await identify(log, request);
  const state = await log.read();
  const now = clock.monotonicMs();
  const after = decodeNumber(request.after, "handle");
  const to = request.last ? Infinity : (replicas.at(-1)?.handle ?? after);
  fleet.contradictions.clear(server, { after, to });
  const garbage: ChunkHandle[] = [];
  for (const replica of replicas) {
    const { handle } = replica;
    const isGood = (member: ServerId): boolean =>
      fleet.liveness(member, now) === "alive" && !fleet.isDamaged(member, handle);
    const standing = standingOfReplica(state, replica, { server, isGood });
    if (standing === "garbage") garbage.push(handle);
    if (standing === "newer") noteNewer(parts, server, handle);
    if (standing !== "stale" || fleet.isDamaged(server, handle)) continue;
    logger.warn("replica stale", { chunk: handle, server });
    fleet.markDamaged(server, handle);
  }
  return (await mayDelete(parts, state)) ? { garbageHandles: garbage } : { undecided: true };
}

async function listAssigned(
  { log, grantMs }: FleetServiceParts,
  request: lumeo.master.v1.IListAssignedRequest,
): Promise<lumeo.master.v1.IListAssignedResponse> {
  const after = decodeNumber(request.after, "handle");
  const server = await identify(log, request);
  return assignedChunks(await log.read(), { server, after, grantMs });
}

/**
 * Not while a server may have proof that this state is old: every server is heard first, or given
 * up.
 */
async function mayDelete(
  { fleet, clock }: FleetServiceParts,
  state: StateReader,
): Promise<boolean> {
  if (fleet.contradictions.isAny) return false;
  const now = clock.monotonicMs();
  const servers = await activeServers(state);
  return servers.every(
    ({ id }) => fleet.silenceOf(id, now) !== undefined || fleet.liveness(id, now) === "dead",
  );
}

function decodePage(request: lumeo.master.v1.IReportInventoryRequest): readonly ReportedReplica[] {
  const { handles, epochs } = request;
  const count = handles?.length ?? 0;
  if (INVENTORY_PAGE_MAX < count) {
    throw invalid(`a page of an inventory has at most ${INVENTORY_PAGE_MAX} handles`);
  }
  if ((epochs?.length ?? 0) !== count) throw invalid("a page has an epoch for each handle");
  return (handles ?? []).map((handle, i) => ({
    handle: decodeHandle(handle),
    epoch: decodeEpoch(epochs?.[i]),
  }));
}
