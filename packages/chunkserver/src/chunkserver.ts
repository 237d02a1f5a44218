// A chunkserver: the only file that knows every part.

import { type Closable, type Logger, LumeoError, ResourceStack, type Timers } from "@lumeofs/base";
import { nativeCrc32c, type ProcessControl, processFacts } from "@lumeofs/node";
import { FramePool, formatAddress, parseAddress } from "@lumeofs/node/frames";
import type { RpcChannel, RpcListener } from "@lumeofs/node/rpc";
import { type Access, accessOf } from "./access/access.js";
import { ClosedGrants, GrantGate } from "./access/closed-grants.js";
import { FencedGate, WriteFence } from "./access/write-fence.js";
import { ArenaPool } from "./coding/arena-pool.js";
import { Transcoder } from "./coding/transcode.js";
import { unitRebuilder } from "./coding/unit-rebuild.js";
import type { ChunkserverConfig } from "./config.js";
import type { AssignedPorts } from "./disks/assigned-chunks.js";
import type { ChunkDisks } from "./disks/chunk-disks.js";
import { reportDisks } from "./disks/disk-report.js";
import { DiskScrubs } from "./disks/disk-scrubs.js";
import type { DiskSet } from "./disks/disk-set.js";
import { LossSearch } from "./disks/loss-search.js";
import { MovableTails } from "./disks/movable-tails.js";
import { openChunkDisks, openMandates, openStopped } from "./disks/open-chunk-disks.js";
import { RollCall } from "./disks/roll-call.js";
import { type ChunkserverHost, THIS_MACHINE } from "./host.js";
import { AssignedCalls } from "./master-link/assigned-calls.js";
import { NOTHING_TOLD } from "./master-link/inventory-round.js";
import { MasterLink } from "./master-link/master-link.js";
import { TailCalls } from "./master-link/tail-calls.js";
import { controlService } from "./rpc/control-service.js";
import { DataService, LARGE_WRITES_MAX } from "./rpc/data-service.js";
import { tailOrderService } from "./rpc/tail-orders.js";
import type { ChunkStore } from "./store/chunk-store.js";
import type { TailScrubConfig } from "./tail/tail-scrub.js";
import { CopyService } from "./transfer/copy-service.js";
import { FileLookups } from "./transfer/file-lookups.js";
import type { Mandates } from "./transfer/mandates.js";
import type { StoppedChunks } from "./transfer/stopped-chunks.js";
import { Throttle, type ThrottlePorts } from "./transfer/throttle.js";

/** Between two rounds over growing chunks: the rounds over sealed ones may take longer. */
const TAIL_SCRUB_MS = 10 * 60_000;
const TAIL_SCRUB_MS_MIN = 1_000;

export interface ChunkserverPorts {
  readonly logger: Logger;
  readonly control: Pick<ProcessControl, "crash">;
  /** Default: this machine. */
  readonly host?: ChunkserverHost;
}

/** A running chunkserver. */
export class Chunkserver implements Closable {
  readonly #opened: ResourceStack;
  /** host:port of the data plane, with the real port. */
  readonly dataAddress: string;
  readonly controlAddress: string;
  /** For whoever watches it in its own process. */
  readonly store: Pick<ChunkStore, "find" | "page" | "remove" | "verify">;
  readonly storeUuid: string;

  private constructor(
    opened: ResourceStack,
    { store, disks }: Pick<Parts, "store" | "disks">,
    addresses: Addresses,
  ) {
    this.#opened = opened;
    this.store = store;
    this.storeUuid = disks.uuid;
    this.dataAddress = addresses.data;
    this.controlAddress = addresses.control;
  }

  /** Opens the store, listens, and begins to look for the masters. Does not wait for them. */
  static async start(config: ChunkserverConfig, ports: ChunkserverPorts): Promise<Chunkserver> {
    const { logger, control, host = THIS_MACHINE } = ports;
    const { timers } = host;
    await using opening = new ResourceStack(); // closes what is open if a later line throws
    let link: MasterLink | undefined;
    const onFailure = (error: LumeoError): void => control.crash(error);
    const { disks, store } = await openChunkDisks(config, {
      ...{ host, logger, onFailure },
      onDamage: (handle) => link?.damageFound(handle),
    });
    opening.use(store);
    const stopped = await openStopped(disks, { logger, onFailure });
    const mandates = await openMandates(disks, { logger, onFailure });
    const pool = opening.use(poolOf(config, disks, host));
    const access = accessOf(config.tokens, {
      ...{ clock: host.clock, timers },
      askForKeys: () => link?.reportNow(),
    });
    const fence = new WriteFence(host.clock);
    const grants = new ClosedGrants();
    let port = 0;
    const dataAddress = (): string => advertised(config, config.listenData, port);
    const tails = opening.use(
      await startTails(config, {
        ...{ ...ports, host, disks, store, pool, access, dataAddress },
        leader: () => link?.leader,
      }),
    );
    const data = opening.use(
      await DataService.start({
        ...parseAddress(config.listenData),
        store,
        storeUuid: disks.uuid,
        membership: () => disks.membership,
        gate: new GrantGate(new FencedGate(access.gate, fence), grants),
        grants,
        tails,
        stopped,
        files: fileLookups(config, { host, disks, store, stopped }),
        cachesWrites: config.cacheWrites === "on",
        pool,
        crc32c: nativeCrc32c,
        network: host.dataNetwork,
        logger: logger.child({ component: "data" }),
      }),
    );
    port = data.port;
    opening.use({ close: () => tails.primaries.close() }); // first: appends would be waited for
    const parts = { ...ports, host, disks, store, stopped, mandates, pool, data, timers };
    const throttle = new Throttle({ clock: host.clock, timers });
    const copies = opening.use(copyService(config, parts, throttle));
    const transcoder = transcoderOf(config, parts, throttle);
    const scrubs = opening.use(await startScrubs(config, parts));
    const served = { ...parts, grants, tails, copies, transcoder, scrubs, link: () => link };
    const rpc = opening.use(await serveOrders(config, served));
    opening.use({ close: () => copies.close() }); // first: orders under way would be waited for
    opening.use({ close: () => transcoder.close() });
    const addresses = {
      data: dataAddress(),
      control: advertised(config, config.listenControl, rpc.port),
    };
    const started = startLink(config, addresses, { ...served, access, fence });
    link = opening.use(started);
    const assigned = assignedPorts(parts, started);
    opening.use(new LossSearch({ ...assigned, clock: host.clock }));
    opening.use(new RollCall({ ...assigned, pauseMs: config.inventoryPauseMs }));
    const { chunkCount, usedBytes } = store.status();
    logger.info("serving", { address: addresses.data, count: chunkCount, bytes: usedBytes });
    return new Chunkserver(opening.move(), parts, addresses);
  }

  async close(): Promise<void> {
    await this.#opened.close();
  }
}

/** What the services of one chunkserver share. */
interface Parts extends ChunkserverPorts {
  readonly host: ChunkserverHost;
  readonly disks: DiskSet;
  readonly store: ChunkDisks;
  readonly stopped: StoppedChunks;
  readonly mandates: Mandates;
  readonly pool: FramePool;
  readonly data: DataService;
  readonly timers: Timers;
}

interface Addresses {
  readonly data: string;
  readonly control: string;
}

/** Growing chunks. */
function startTails(
  config: ChunkserverConfig,
  parts: Omit<Parts, "stopped" | "mandates" | "data" | "timers"> & {
    readonly access: Access;
    readonly dataAddress: () => string;
    readonly leader: () => RpcChannel | undefined;
  },
): Promise<MovableTails> {
  const { host, disks, store, pool, access, logger } = parts;
  const serverId = () => {
    if (disks.membership !== undefined) return disks.membership.serverId;
    throw new LumeoError("UNAVAILABLE", "This chunkserver has not found its masters yet");
  };
  const { clock, timers } = host;
  return MovableTails.start({
    ...{ disks, store, pool, clock, timers, crc32c: nativeCrc32c },
    gate: access.gate,
    self: () => ({ server: serverId(), address: parts.dataAddress() }),
    masters: new TailCalls({
      leader: parts.leader,
      caller: () => ({ serverId: serverId(), storeUuid: disks.uuid }),
    }),
    logger: logger.child({ component: "tails" }),
    idleSealMs: config.tailIdleMs,
    reportPauseMs: config.inventoryPauseMs,
    scrub: tailScrubOf(config, { clock, timers }),
  });
}

function tailScrubOf(config: ChunkserverConfig, ports: ThrottlePorts): TailScrubConfig | undefined {
  const { scrubBytesPerSecond: bytesPerSecond, scrubRoundMs } = config;
  if (bytesPerSecond === 0) return undefined;
  const throttle = new Throttle(ports);
  return {
    pauseMs: Math.max(TAIL_SCRUB_MS_MIN, Math.min(TAIL_SCRUB_MS, scrubRoundMs)),
    pace: (bytes, signal) => throttle.take(bytes, bytesPerSecond, signal),
  };
}

/** Connections to other chunkservers. */
function poolOf(config: ChunkserverConfig, disks: DiskSet, host: ChunkserverHost): FramePool {
  const hello = () => ({
    type: "hello" as const,
    role: "server" as const,
    clusterId: disks.membership?.clusterId ?? "",
    name: config.name,
  });
  return new FramePool({ hello, exclusiveMax: LARGE_WRITES_MAX, network: host.dataNetwork });
}

function fileLookups(
  { localReads }: ChunkserverConfig,
  { host, disks, store, stopped }: Pick<Parts, "host" | "disks" | "store" | "stopped">,
): FileLookups | undefined {
  const { placeOf } = host;
  if (localReads === "off" || placeOf === undefined) return undefined;
  return new FileLookups({
    ...{ store, stopped },
    placeOf: (folder, path) => {
      return disks.call(folder, "look for a file", () => placeOf(folder, path));
    },
  });
}

/** Listens for orders of the masters and questions of operators. */
function serveOrders(
  config: ChunkserverConfig,
  parts: Parts & {
    readonly grants: ClosedGrants;
    readonly tails: MovableTails;
    readonly copies: CopyService;
    readonly transcoder: Transcoder;
    readonly scrubs: DiskScrubs;
    readonly link: () => MasterLink | undefined;
  },
): Promise<RpcListener> {
  const { host, store, stopped, disks, grants, tails, scrubs, logger } = parts;
  const { copies, transcoder } = parts;
  const { clock } = host;
  const storeUuid = disks.uuid;
  const serverId = () => disks.membership?.serverId;
  const methods = [
    ...controlService({
      ...{ store, storeUuid, grants, copies, transcoder, stopped, serverId },
      inventory: () => parts.link()?.inventory ?? NOTHING_TOLD,
      scrub: () => scrubs.status(),
      disks: () => reportDisks({ disks, scrubs, tails }),
      memoryBytes: () => process.memoryUsage.rss(),
      processFacts: () => {
        // Its calls are not watched: a disk that hangs is asked only where it is the only one.
        const works = disks.serving.find(({ suspicion }) => suspicion === "");
        return processFacts((works ?? disks.serving[0])?.folder ?? "");
      },
    }),
    ...tailOrderService({
      ...{ storeUuid, serverId, tails },
      now: () => ({ monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }),
    }),
  ];
  const address = parseAddress(config.listenControl);
  return host.network.listen(
    { ...address, logger: logger.child({ component: "control" }) },
    methods,
  );
}

/** @param throttle  For all that goes on in the background. */
function copyService(config: ChunkserverConfig, parts: Parts, throttle: Throttle): CopyService {
  const { store, pool, stopped, mandates, timers } = parts;
  const { copiesMax } = config;
  const ports = { store, pool, stopped, mandates, timers, throttle, crc32c: nativeCrc32c };
  return new CopyService({ ...ports, copiesMax, rebuild: unitRebuilder(ports, copiesMax) });
}

function transcoderOf(config: ChunkserverConfig, parts: Parts, throttle: Throttle): Transcoder {
  const { pool, timers } = parts;
  const conversionsMax = config.copiesMax;
  const arenas = new ArenaPool(conversionsMax);
  return new Transcoder({
    ...{ pool, timers, throttle, arenas, conversionsMax },
    crc32c: nativeCrc32c,
  });
}

function startScrubs(config: ChunkserverConfig, parts: Parts): Promise<DiskScrubs> {
  const { disks, data, timers, logger, host } = parts;
  return DiskScrubs.start(
    { bytesPerSecond: config.scrubBytesPerSecond, roundMsMin: config.scrubRoundMs },
    disks,
    {
      crc32c: nativeCrc32c,
      served: () => data.served,
      clock: host.clock,
      timers,
      logger: logger.child({ component: "scrub" }),
    },
  );
}

function startLink(
  config: ChunkserverConfig,
  addresses: Addresses,
  parts: Parts & {
    readonly access: Access;
    readonly fence: WriteFence;
    readonly copies: CopyService;
    readonly tails: MovableTails;
    readonly scrubs: DiskScrubs;
  },
): MasterLink {
  const { name, masters, labels, inventoryPauseMs } = config;
  const { disks, store, stopped, data, timers, copies, tails, scrubs, host } = parts;
  return MasterLink.start(
    {
      ...{ name, masters, labels, inventoryPauseMs },
      dataAddress: addresses.data,
      controlAddress: addresses.control,
    },
    {
      identity: disks,
      store,
      copies,
      tokens: parts.access.tokens,
      fence: parts.fence,
      stopped,
      scrub: () => scrubs.status(),
      disks: () => reportDisks({ disks, scrubs, tails }),
      writesInFlight: () => data.writesInFlight,
      clock: host.clock,
      timers,
      random: host.random,
      network: host.network,
      logger: parts.logger.child({ component: "masters" }),
    },
  );
}

/** For those that look for chunks which the masters have here, and no disk has. */
function assignedPorts(parts: Parts, link: MasterLink): AssignedPorts {
  const { disks, store: chunks, timers } = parts;
  const masters = new AssignedCalls({
    leader: () => link.leader,
    caller: () => ({ serverId: disks.membership?.serverId ?? 0, storeUuid: disks.uuid }),
  });
  const logger = parts.logger.child({ component: "disks" });
  return { disks, chunks, masters, timers, logger, onFound: () => link.reportNow() };
}

function advertised(config: ChunkserverConfig, listen: string, port: number): string {
  const { host } = parseAddress(listen);
  return formatAddress({ host: config.advertiseHost ?? host, port });
}
