// A whole group of one: log, state, snapshots and driver on a real folder, without a network.

import { type NodeId, nodeId, SILENT_LOGGER } from "@lumeofs/base";
import { FileDisk, SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import {
  DRIVER_LIMITS_DEFAULT,
  RAFT_OPTIONS_DEFAULT,
  TICK_MS_DEFAULT,
} from "../../src/consensus/config.js";
import { Consensus } from "../../src/consensus/consensus.js";
import { applyEntry } from "../../src/metadata/state-machine.js";
import { RaftTransport } from "../../src/rpc/raft-service.js";
import { openLevelState } from "../../src/state/level-state.js";
import { MachineState } from "../../src/state/machine-state.js";

const SELF = nodeId("m1");
const ADDRESS = "127.0.0.1:1";

export const clock = new SystemClock();
export const timers = new SystemTimers();
const random = new SystemRandom();

export interface LoneMember {
  readonly consensus: Consensus;
  readonly state: MachineState;
  readonly disk: FileDisk;
  /** What each step of the start took. */
  readonly startedMs: Readonly<Record<"state" | "log" | "leading", number>>;
  /** Entries that had to be applied again. */
  readonly replayed: number;
}

/** Starts the member and waits until it leads and shows all that was acknowledged. */
export async function startMember(folder: string, onFatal: (error: unknown) => void) {
  const disk = await FileDisk.open(folder);
  const begin = clock.monotonicMs();
  const state = new MachineState(await openLevelState({ folder, disk, timers }), applyEntry);
  const stateOpen = clock.monotonicMs();
  const founders = { [SELF]: ADDRESS } as Readonly<Record<NodeId, string>>;
  const logger = SILENT_LOGGER;
  const links = new RaftTransport({ clusterId: "c", self: SELF, hints: founders, timers, logger });
  const durable = state.durable;
  const consensus = await Consensus.start(
    {
      id: SELF,
      founders,
      address: ADDRESS,
      folder,
      tickMs: TICK_MS_DEFAULT,
      raft: RAFT_OPTIONS_DEFAULT,
      limits: DRIVER_LIMITS_DEFAULT,
    },
    { disk, state, links, timers, clock, random, logger, onFatal },
  );
  const logOpen = clock.monotonicMs();
  const replayed = consensus.status.logLast - durable;
  await untilLeading(consensus);
  await consensus.read();
  const startedMs = {
    state: stateOpen - begin,
    log: logOpen - stateOpen,
    leading: clock.monotonicMs() - logOpen,
  };
  return { consensus, state, disk, startedMs, replayed } satisfies LoneMember;
}

function untilLeading(consensus: Consensus): Promise<void> {
  return new Promise((resolve) => {
    consensus.onRole(({ role }) => {
      if (role === "leader") resolve();
    });
  });
}
