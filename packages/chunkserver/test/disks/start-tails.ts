// Growing chunks on the disks of a machine, without masters and without a network.

import { SILENT_LOGGER, serverId } from "@lumeofs/base";
import { nativeCrc32c, SystemClock } from "@lumeofs/node";
import { FramePool } from "@lumeofs/node/frames";
import { OPEN_GATE } from "../../src/access/token-gate.js";
import { MovableTails } from "../../src/disks/movable-tails.js";
import { NO_MASTERS } from "../replicas.js";
import type { DisksProcess } from "./two-disks.js";

export async function startTails({ set, store, timers }: DisksProcess): Promise<MovableTails> {
  const hello = () => ({
    type: "hello" as const,
    role: "server" as const,
    clusterId: "c",
    name: "x",
  });
  return MovableTails.start({
    ...{ disks: set, store, timers, crc32c: nativeCrc32c, logger: SILENT_LOGGER },
    ...{ pool: new FramePool({ hello }), gate: OPEN_GATE, masters: NO_MASTERS },
    self: () => ({ server: serverId(1), address: "127.0.0.1:1" }),
    clock: new SystemClock(),
    ...{ idleSealMs: 60_000, reportPauseMs: 60_000 },
    scrub: undefined,
  });
}
