// What a master stands on: this machine, or a simulated one.

import { randomBytes } from "node:crypto";
import type { Clock, Disk, Random, Timers } from "@lumeofs/base";
import { FileDisk, SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import { GRPC, type RpcNetwork } from "@lumeofs/node/rpc";
import type { OpenLevel } from "./consensus/level-database.js";

export interface MasterHost {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Bytes that nobody can guess. */
  readonly secret: (length: number) => Uint8Array;
  /** Files of a folder; made if it is missing. */
  readonly openDisk: (folder: string) => Promise<Disk>;
  readonly network: RpcNetwork;
  /** Nothing else runs in this process: what it uses is what the master uses. */
  readonly hasProcess: boolean;
  /** Undefined: LevelDB in the same folder. */
  readonly databases:
    | {
        readonly openDatabase: OpenLevel;
        readonly destroyDatabase: (location: string) => Promise<void>;
      }
    | undefined;
}

export const THIS_MACHINE: MasterHost = {
  clock: new SystemClock(),
  timers: new SystemTimers(),
  random: new SystemRandom(),
  secret: randomBytes,
  openDisk: (folder) => FileDisk.open(folder),
  network: GRPC,
  hasProcess: true,
  databases: undefined,
};
