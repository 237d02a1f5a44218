// A chunkserver: the only file that knows every part.

import {
  type Closable,
  type Disk,
  type Logger,
  LumeoError,
  ResourceStack,
  type Timers,
} from "@lumeofs/base";
import { nativeCrc32c, type ProcessControl, processFacts } from "@lumeofs/node";
import { FramePool, formatAddress, parseAddress } from "@lumeofs/node/frames";
import type { RpcChannel, RpcListener } from "@lumeofs/node/rpc";
import { type Access, accessOf } from "./access/access.js";
import { ClosedGrants, GrantGate } from "./access/closed-grants.js";
import { FencedGate, WriteFence } from "./access/write-fence.js";
import { ArenaPool } from "./coding/arena-pool.js";
import { Transcoder } from "./coding/transcode.js";
import type { ChunkserverConfig } from "./config.js";
import { type ChunkserverHost, THIS_MACHINE } from "./host.js";
import { MasterLink, type StoreIdentity } from "./master-link/master-link.js";
import { TailCalls } from "./master-link/tail-calls.js";
import { controlService } from "./rpc/control-service.js";
import { DataService, LARGE_WRITES_MAX } from "./rpc/data-service.js";
import { tailOrderService } from "./rpc/tail-orders.js";
import { Scrub } from "./scrub/scrub.js";
import type { ChunkIndex } from "./store/chunk-index.js";
import type { ChunkStore } from "./store/chunk-store.js";
import { DiskChunkStore } from "./store/disk-chunk-store.js";
import { Volume } from "./store/volume.js";
import { Tails } from "./tail/tails.js";
import { CopyService } from "./transfer/copy-service.js";
import { StoppedChunks } from "./transfer/stopped-chunks.js";
import { Throttle } from "./transfer/throttle.js";

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
  readonly store: Pick<ChunkStore, "find" | "page" | "verify">;
  readonly storeUuid: string;

  private constructor(
    opened: ResourceStack,
    { store, volume }: Pick<Parts, "store" | "volume">,
    addresses: Addresses,
  ) {
    this.#opened = opened;
    this.store = store;
    this.storeUuid = volume.uuid;
    this.dataAddress = addresses.data;
    this.controlAddress = addresses.control;
  }

  /** Opens the store, listens, and begins to look for the masters. Does not wait for them. */
  static async start(config: ChunkserverConfig, ports: ChunkserverPorts): Promise<Chunkserver> {
    const { logger, control, host = THIS_MACHINE } = ports;
    const { timers } = host;
    await using opening = new ResourceStack(); // closes what is open if a later line throws
    const disk = await host.openDisk(config.dir);
    const volume = await Volume.open(disk, host.newUuid, nativeCrc32c);
    const stopped = await StoppedChunks.open(disk, nativeCrc32c, {
      logger,
      onFailure: (error) => control.crash(error),
    });
    const index = await host.openIndex(config.dir, logger);
    let tellMasters = (): void => {};
    const onDamage = (): void => tellMasters();
    const store = opening.use(
      await openStore(config, { disk, volume, index, timers, logger, control, onDamage }),
    );
    const pool = opening.use(poolOf(config, volume, host));
    const access = accessOf(config.tokens, {
      ...{ clock: host.clock, timers },
      askForKeys: () => tellMasters(),
    });
    const fence = new WriteFence(host.clock);
    const grants = new ClosedGrants();
    let port = 0;
    const dataAddress = (): string => advertised(config, config.listenData, port);
    let link: MasterLink | undefined;
    const tails = opening.use(
      await startTails(config, {
        ...{ ...ports, host, volume, disk, store, pool, access, dataAddress },
        leader: () => link?.leader,
      }),
    );
    const data = opening.use(
      await DataService.start({
        ...parseAddress(config.listenData),
        store,
        storeUuid: volume.uuid,
        membership: () => volume.membership,
        gate: new GrantGate(new FencedGate(access.gate, fence), grants),
        grants,
        tails: tails.service,
        stopped,
        pool,
        crc32c: nativeCrc32c,
        network: host.dataNetwork,
        logger: logger.child({ component: "data" }),
      }),
    );
    port = data.port;
    opening.use({ close: () => tails.primaries.close() }); // first: appends would be waited for
    const parts = { ...ports, host, volume, disk, store, stopped, pool, data, timers };
    const throttle = new Throttle({ clock: host.clock, timers });
    const copies = opening.use(copyService(config, parts, throttle));
    const transcoder = transcoderOf(config, parts, throttle);
    const scrub = opening.use(await startScrub(config, parts));
    const served = { ...parts, grants, tails, copies, transcoder, scrub };
    const rpc = opening.use(await serveOrders(config, served));
    opening.use({ close: () => copies.close() }); // first: orders under way would be waited for
    opening.use({ close: () => transcoder.close() });
    const addresses = {
      data: dataAddress(),
      control: advertised(config, config.listenControl, rpc.port),
    };
    const started = startLink(config, addresses, { ...parts, access, fence, copies, scrub });
    link = opening.use(started);
    tellMasters = () => started.reportNow();
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
  readonly volume: Volume;
  readonly disk: Disk;
  readonly store: DiskChunkStore;
  readonly stopped: StoppedChunks;
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
  parts: Omit<Parts, "stopped" | "data" | "timers"> & {
    readonly access: Access;
    readonly dataAddress: () => string;
    readonly leader: () => RpcChannel | undefined;
  },
): Promise<Tails> {
  const { host, volume, disk, store, pool, access, logger, control } = parts;
  const serverId = () => {
    if (volume.membership !== undefined) return volume.membership.serverId;
    throw new LumeoError("UNAVAILABLE", "This chunkserver has not found its masters yet");
  };
  const { clock, timers } = host;
  return Tails.start({
    ...{ disk, store, pool, clock, timers, owner: volume.owner, crc32c: nativeCrc32c },
    gate: access.gate,
    self: () => ({ server: serverId(), address: parts.dataAddress() }),
    masters: new TailCalls({
      leader: parts.leader,
      caller: () => ({ serverId: serverId(), storeUuid: volume.uuid }),
    }),
    logger: logger.child({ component: "tails" }),
    idleSealMs: config.tailIdleMs,
    reportPauseMs: config.inventoryPauseMs,
    onFailure: (error) => control.crash(error),
  });
}

/** Connections to other chunkservers. */
function poolOf(config: ChunkserverConfig, volume: Volume, host: ChunkserverHost): FramePool {
  const hello = () => ({
    type: "hello" as const,
    role: "server" as const,
    clusterId: volume.membership?.clusterId ?? "",
    name: config.name,
  });
  return new FramePool({ hello, exclusiveMax: LARGE_WRITES_MAX, network: host.dataNetwork });
}

/** Listens for orders of the masters and questions of operators. */
function serveOrders(
  config: ChunkserverConfig,
  parts: Parts & {
    readonly grants: ClosedGrants;
    readonly tails: Tails;
    readonly copies: CopyService;
    readonly transcoder: Transcoder;
    readonly scrub: Scrub;
  },
): Promise<RpcListener> {
  const { host, store, stopped, volume, grants, tails, scrub, logger } = parts;
  const { copies, transcoder } = parts;
  const { clock } = host;
  const storeUuid = volume.uuid;
  const serverId = () => volume.membership?.serverId;
  const methods = [
    ...controlService({
      ...{ store, storeUuid, grants, copies, transcoder, stopped, serverId },
      scrub: () => scrub.status(),
      memoryBytes: () => process.memoryUsage.rss(),
      processFacts: () => processFacts(config.dir),
    }),
    ...tailOrderService({
      ...{ storeUuid, serverId, tails: tails.store, primaries: tails.primaries },
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
  const { store, pool, stopped, timers } = parts;
  const { copiesMax } = config;
  return new CopyService({
    ...{ store, pool, stopped, timers, throttle, copiesMax },
    crc32c: nativeCrc32c,
  });
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

function startScrub(config: ChunkserverConfig, parts: Parts): Promise<Scrub> {
  const { store, disk, data, timers, logger, control, host } = parts;
  return Scrub.start(
    { bytesPerSecond: config.scrubBytesPerSecond, roundMsMin: config.scrubRoundMs },
    {
      store,
      disk,
      crc32c: nativeCrc32c,
      served: () => data.served,
      clock: host.clock,
      timers,
      logger: logger.child({ component: "scrub" }),
      onFailure: (error) => control.crash(error),
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
    readonly scrub: Scrub;
  },
): MasterLink {
  const { name, masters, labels, inventoryPauseMs } = config;
  const { volume, store, stopped, data, timers, copies, scrub, host } = parts;
  return MasterLink.start(
    {
      ...{ name, masters, labels, inventoryPauseMs },
      dataAddress: addresses.data,
      controlAddress: addresses.control,
    },
    {
      identity: identityOf(volume, parts.control),
      store,
      copies,
      tokens: parts.access.tokens,
      fence: parts.fence,
      stopped,
      scrub: () => scrub.status(),
      writesInFlight: () => data.writesInFlight,
      clock: host.clock,
      timers,
      random: host.random,
      network: host.network,
      logger: parts.logger.child({ component: "masters" }),
    },
  );
}

/** A store that cannot keep what the masters have said is at its end. */
function identityOf(volume: Volume, control: ChunkserverPorts["control"]): StoreIdentity {
  return {
    uuid: volume.uuid,
    get membership() {
      return volume.membership;
    },
    join: async (membership) => {
      try {
        await volume.join(membership);
      } catch (error) {
        control.crash(error);
        throw error;
      }
    },
  };
}

/** Opens the store, or closes the index again. */
async function openStore(
  config: ChunkserverConfig,
  parts: ChunkserverPorts & {
    readonly disk: Disk;
    readonly volume: Volume;
    readonly index: ChunkIndex;
    readonly timers: Timers;
    readonly onDamage: () => void;
  },
): Promise<DiskChunkStore> {
  const { disk, volume, index, timers, logger, control, onDamage } = parts;
  try {
    return await DiskChunkStore.open({
      disk,
      index,
      owner: volume.owner,
      crc32c: nativeCrc32c,
      timers,
      logger: logger.child({ component: "store" }),
      capacityBytes: config.capacityBytes,
      lowWaterBytes: config.reserveBytes,
      compactBytesPerSecond: config.compactBytesPerSecond,
      onDamage,
      onFailure: (error: LumeoError) => control.crash(error),
    });
  } catch (error) {
    await index.close();
    throw error;
  }
}

function advertised(config: ChunkserverConfig, listen: string, port: number): string {
  const { host } = parseAddress(listen);
  return formatAddress({ host: config.advertiseHost ?? host, port });
}
