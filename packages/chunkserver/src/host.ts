// What a chunkserver stands on: this machine, or a simulated one.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Clock, Disk, Logger, Random, Timers } from "@lumeofs/base";
import { FileDisk, nativeCrc32c, SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import { type DataNetwork, TCP } from "@lumeofs/node/frames";
import { GRPC, type RpcNetwork } from "@lumeofs/node/rpc";
import type { ChunkIndex } from "./store/chunk-index.js";
import { LevelIndex } from "./store/level-index.js";

const INDEX_FOLDER = "index";

export interface ChunkserverHost {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Never the same twice. */
  readonly newUuid: () => string;
  /** Files of a folder; made if it is missing. */
  readonly openDisk: (folder: string) => Promise<Disk>;
  /** The index of the store in a folder. */
  readonly openIndex: (folder: string, logger: Logger) => Promise<ChunkIndex>;
  readonly network: RpcNetwork;
  readonly dataNetwork: DataNetwork;
}

export const THIS_MACHINE: ChunkserverHost = {
  clock: new SystemClock(),
  timers: new SystemTimers(),
  random: new SystemRandom(),
  newUuid: randomUUID,
  openDisk: (folder) => FileDisk.open(folder),
  openIndex: (folder, logger) => LevelIndex.open(join(folder, INDEX_FOLDER), nativeCrc32c, logger),
  network: GRPC,
  dataNetwork: TCP,
};
