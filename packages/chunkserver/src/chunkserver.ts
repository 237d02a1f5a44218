// A chunkserver: the only file that knows every part.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type Closable, type Logger, type LumeoError, ResourceStack } from "@lumeofs/base";
import {
  FileDisk,
  nativeCrc32c,
  type ProcessControl,
  SystemClock,
  SystemRandom,
  SystemTimers,
} from "@lumeofs/node";
import { FramePool, formatAddress, parseAddress } from "@lumeofs/node/frames";
import { RpcServer } from "@lumeofs/node/rpc";
import type { ChunkserverConfig } from "./config.js";
import { MasterLink } from "./master-link/master-link.js";
import { controlService } from "./rpc/control-service.js";
import { DataService, LARGE_WRITES_MAX } from "./rpc/data-service.js";
import { DiskChunkStore } from "./store/disk-chunk-store.js";
import { LevelIndex } from "./store/level-index.js";
import { Volume } from "./store/volume.js";

const INDEX_FOLDER = "index";

export interface ChunkserverPorts {
  readonly logger: Logger;
  readonly control: Pick<ProcessControl, "crash">;
}

/** A running chunkserver. */
export class Chunkserver implements Closable {
  readonly #opened: ResourceStack;
  /** host:port of the data plane, with the real port. */
  readonly dataAddress: string;
  readonly controlAddress: string;

  private constructor(
    opened: ResourceStack,
    addresses: { readonly data: string; readonly control: string },
  ) {
    this.#opened = opened;
    this.dataAddress = addresses.data;
    this.controlAddress = addresses.control;
  }

  /** Opens the store, listens, and begins to look for the masters. Does not wait for them. */
  static async start(config: ChunkserverConfig, ports: ChunkserverPorts): Promise<Chunkserver> {
    const { logger, control } = ports;
    await using opening = new ResourceStack(); // closes what is open if a later line throws
    const timers = new SystemTimers();
    const disk = await FileDisk.open(config.dir);
    const volume = await Volume.open(disk, randomUUID, nativeCrc32c);
    const index = await LevelIndex.open(join(config.dir, INDEX_FOLDER), nativeCrc32c, logger);
    const store = await openStore(config, { disk, volume, index, timers, logger, control });
    opening.use(store);
    const hello = () => ({
      type: "hello" as const,
      role: "server" as const,
      clusterId: volume.membership?.clusterId ?? "",
      name: config.name,
    });
    const pool = opening.use(new FramePool({ hello, exclusiveMax: LARGE_WRITES_MAX }));
    const data = opening.use(
      await DataService.start({
        ...parseAddress(config.listenData),
        store,
        storeUuid: volume.uuid,
        membership: () => volume.membership,
        pool,
        crc32c: nativeCrc32c,
        logger: logger.child({ component: "data" }),
      }),
    );
    const rpc = opening.use(
      await RpcServer.start(
        { ...parseAddress(config.listenControl), logger: logger.child({ component: "control" }) },
        controlService({
          store,
          storeUuid: volume.uuid,
          serverId: () => volume.membership?.serverId,
          memoryBytes: () => process.memoryUsage.rss(),
        }),
      ),
    );
    const addresses = {
      data: advertised(config, config.listenData, data.port),
      control: advertised(config, config.listenControl, rpc.port),
    };
    opening.use(
      MasterLink.start(
        {
          name: config.name,
          masters: config.masters,
          labels: config.labels,
          dataAddress: addresses.data,
          controlAddress: addresses.control,
          inventoryPauseMs: config.inventoryPauseMs,
        },
        {
          identity: volume,
          store,
          writesInFlight: () => data.writesInFlight,
          clock: new SystemClock(),
          timers,
          random: new SystemRandom(),
          logger: logger.child({ component: "masters" }),
        },
      ),
    );
    const { chunkCount, usedBytes } = store.status();
    logger.info("serving", { address: addresses.data, count: chunkCount, bytes: usedBytes });
    return new Chunkserver(opening.move(), addresses);
  }

  async close(): Promise<void> {
    await this.#opened.close();
  }
}

/** Opens the store, or closes the index again. */
async function openStore(
  config: ChunkserverConfig,
  parts: ChunkserverPorts & {
    readonly disk: FileDisk;
    readonly volume: Volume;
    readonly index: LevelIndex;
    readonly timers: SystemTimers;
  },
): Promise<DiskChunkStore> {
  const { disk, volume, index, timers, logger, control } = parts;
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
