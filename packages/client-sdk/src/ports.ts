// What the SDK needs of its host, so that tests can put virtual time in its place.

import { hostname, networkInterfaces } from "node:os";
import type { Clock, Crc32c, Random, Timers } from "@lumeofs/base";
import { nativeCrc32c, SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import type { DataNetwork } from "@lumeofs/node/frames";
import type { RpcNetwork } from "@lumeofs/node/rpc";
import { type OpenLocalFile, openLocalFile } from "./local/local-file.js";
import { STREAM_ROOM, type StreamRoom } from "./stream-room.js";

export interface Ports {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly crc32c: Crc32c;
  /** Names and addresses of this machine: its chunkservers are the nearest. */
  readonly hosts: ReadonlySet<string>;
  /** Opens the files of chunkservers on this machine; without it they are asked for all. */
  readonly openFile?: OpenLocalFile;
  /** Memory of streams that are being stored. Default: each client has its own. */
  readonly streamRoom?: StreamRoom;
  /** Calls to masters. Default: gRPC. */
  readonly network?: RpcNetwork;
  /** Chunks to and from chunkservers. Default: TCP. */
  readonly dataNetwork?: DataNetwork;
}

/** The real ones. */
export function systemPorts(): Ports {
  return {
    clock: new SystemClock(),
    timers: new SystemTimers(),
    random: new SystemRandom(),
    crc32c: nativeCrc32c,
    hosts: thisMachine(),
    openFile: openLocalFile,
    streamRoom: STREAM_ROOM,
  };
}

function thisMachine(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return new Set(["localhost", hostname(), ...addresses.map(({ address }) => address)]);
}
