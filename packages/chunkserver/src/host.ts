// What a chunkserver stands on: this machine, or a simulated one.

import { randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type Disk, type Logger, MiB, type Random, type Timers } from "@lumeofs/base";
import { FileDisk, nativeCrc32c, SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import { type DataNetwork, TCP } from "@lumeofs/node/frames";
import { GRPC, type RpcNetwork } from "@lumeofs/node/rpc";
import type { ChunkIndex } from "./store/chunk-index.js";
import { LevelIndex } from "./store/level-index.js";
import type { FilePlace } from "./transfer/file-lookups.js";

const INDEX_FOLDER = "index";
/** Of all indexes of a process. */
const INDEX_CACHE_BYTES = 32 * MiB;
/** What Node.js has where nobody says otherwise. */
const POOL_THREADS = 4;

export interface ChunkserverHost {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Never the same twice. */
  readonly newUuid: () => string;
  /** Files of a folder. Without `make`, a missing one rejects with NOT_FOUND. */
  readonly openDisk: (folder: string, how: { readonly make: boolean }) => Promise<Disk>;
  /** The index of the store in a folder. @param count  Of all stores that this process has. */
  readonly openIndex: (folder: string, logger: Logger, count: number) => Promise<ChunkIndex>;
  /** Where other programs of this machine find a file of a folder; without it, nowhere. */
  readonly placeOf?: (folder: string, path: string) => Promise<FilePlace>;
  /** Threads that calls of disks may block; undefined where they block none. */
  readonly diskThreads?: number | undefined;
  readonly network: RpcNetwork;
  readonly dataNetwork: DataNetwork;
}

export const THIS_MACHINE: ChunkserverHost = {
  clock: new SystemClock(),
  timers: new SystemTimers(),
  random: new SystemRandom(),
  newUuid: randomUUID,
  openDisk: (folder, { make }) => FileDisk.open(folder, { make }),
  openIndex: (folder, logger, count) => {
    const cacheBytes = Math.floor(INDEX_CACHE_BYTES / count);
    return LevelIndex.open(join(folder, INDEX_FOLDER), nativeCrc32c, logger, cacheBytes);
  },
  placeOf: async (folder, path) => {
    const file = join(folder, path);
    const { dev, ino } = await stat(file, { bigint: true });
    return { path: file, device: String(dev), inode: String(ino) };
  },
  diskThreads: Number(process.env["UV_THREADPOOL_SIZE"]) || POOL_THREADS,
  network: GRPC,
  dataNetwork: TCP,
};
