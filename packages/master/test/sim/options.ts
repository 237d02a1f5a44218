// What differs from seed to seed besides chance itself: the shape of the group, how bad the world
// is, and how small the limits are. Most seeds have only some of the evils, so that rare meetings
// of two of them happen without being drowned by the rest.

import { integerBetween, type Random } from "@lumeofs/base";
import type { FaultPause, LinkSettings } from "@lumeofs/testkit";
import type { RaftOptions } from "../../src/raft/message.js";
import type { IoSettings } from "./sim-io.js";
import { WORKLOAD_NAMES, type WorkloadName } from "./workloads/all.js";

export interface FaultPauses {
  readonly partitionMs: FaultPause;
  readonly crashMs: FaultPause;
  readonly pauseMs: FaultPause;
  readonly clogMs: FaultPause;
  readonly breakMs: FaultPause;
  readonly stallMs: FaultPause;
  readonly slowMs: FaultPause;
  readonly wallJumpMs: FaultPause;
  /** Links clog one after the other and come free in another order. */
  readonly swizzleMs: FaultPause;
  /** The disk of a machine is full for a while. */
  readonly fullMs: FaultPause;
  /** An entry on a disk is no longer what was written; whoever reads it finds out. */
  readonly rotMs: FaultPause;
  /** A machine is lost with its disk. */
  readonly wipeMs: FaultPause;
  /** Members are added, promoted, demoted and removed. */
  readonly membershipMs: FaultPause;
  /** The leader hands over, or gives up. */
  readonly handoverMs: FaultPause;
  /** The leader hears late what it was answered, and is cut off meanwhile. */
  readonly lagMs: FaultPause;
}

export interface SwarmOptions {
  readonly members: number;
  readonly clients: number;
  /** What the clients do: the first client the first of these, and so on around. */
  readonly workloads: readonly WorkloadName[];
  readonly directories: number;
  /** Share of calls that only read. */
  readonly readShare: number;
  /** Of reads that must be linearizable: how many may rest on a lease. */
  readonly leaseShare: number;
  /** How often a client gives a request up and lives with not knowing. */
  readonly abandonRate: number;
  readonly thinkMsMean: number;
  /** After so long without an answer a client sends its request again. */
  readonly timeoutMs: number;
  /** How often a client turns to another master without need. */
  readonly roamRate: number;
  readonly tickMs: number;
  readonly raft: RaftOptions;
  readonly compactEntries: number;
  readonly tailEntries: number;
  /** State changes that may wait for the disk before applying waits too. */
  readonly batchesWaitingMax: number;
  /** Sizes of messages differ from one run of a process to the next, as in a rolling upgrade. */
  readonly isRolling: boolean;
  readonly network: LinkSettings;
  readonly io: IoSettings;
  /** Clocks run up to so much too fast or too slow. */
  readonly clockDrift: number;
  readonly faults: FaultPauses;
  /** How often a fault is aimed at whoever leads. */
  readonly leaderBias: number;
  /** How long everything may go wrong. */
  readonly safetyMs: number;
  /** Heal only a majority in the end, and leave the others dead. */
  readonly healsAll: boolean;
}

const KiB = 1024;

/** The options of a seed. */
export function drawOptions(random: Random): SwarmOptions {
  const chance = (share: number): boolean => random.fraction() < share;
  const between = (low: number, high: number): number => integerBetween(random, low, high);
  const oneOf = <T>(values: readonly T[]): T => values[between(0, values.length - 1)] as T;
  const members = oneOf([1, 3, 3, 3, 3, 5, 5]);
  const isCalm = chance(0.1);
  const heartbeatTicks = between(1, 2);
  return {
    members,
    clients: between(2, 4),
    workloads: Array.from({ length: between(1, 2) }, () => oneOf(WORKLOAD_NAMES)),
    directories: between(1, 3),
    readShare: oneOf([0.2, 0.5, 0.7]),
    leaseShare: 0.4,
    abandonRate: oneOf([0, 0, 0.05]),
    thinkMsMean: oneOf([10, 50, 150]),
    timeoutMs: oneOf([150, 400, 800]),
    roamRate: oneOf([0, 0.1, 0.4]),
    tickMs: oneOf([20, 40]),
    raft: {
      heartbeatTicks,
      electionTicks: heartbeatTicks * between(4, 6),
      appendBytesMax: oneOf([1, 300, 64 * KiB]),
      inFlightAppendsMax: oneOf([1, 2, 16]),
      inFlightBytesMax: oneOf([1, 1 * KiB, 1024 * KiB]),
      uncommittedBytesMax: oneOf([400, 64 * KiB, 1024 * KiB]),
      applyBytesMax: oneOf([1, 500, 64 * KiB]),
      leases: chance(0.4),
    },
    compactEntries: oneOf([3, 10, 50, 1_000]),
    tailEntries: oneOf([0, 2, 20]),
    batchesWaitingMax: oneOf([1, 64]),
    isRolling: chance(0.2),
    network: {
      delayMsMin: oneOf([0.1, 1, 5]),
      delayMsMean: oneOf([0.2, 3, 15]),
      loss: isCalm ? 0 : oneOf([0, 0, 0.02, 0.15]),
      duplicate: isCalm ? 0 : oneOf([0, 0, 0.05, 0.3]),
      reorder: !isCalm && chance(0.4),
      messageMs: isCalm ? 0 : oneOf([0, 0, 0.5]),
    },
    io: {
      latencyMsMin: oneOf([0.05, 0.5]),
      latencyMsMean: oneOf([0.1, 2, 10]),
      failureRate: isCalm ? 0 : oneOf([0, 0, 0.001]),
      crashRate: isCalm ? 0 : oneOf([0, 0.002, 0.01]),
    },
    clockDrift: oneOf([0, 0.02, 0.1]),
    faults: isCalm ? NO_FAULTS : drawFaults(random),
    leaderBias: oneOf([0, 0.5, 0.9]),
    safetyMs: between(4_000, 8_000),
    healsAll: chance(0.6),
  };
}

const NO_FAULTS: FaultPauses = {
  partitionMs: undefined,
  crashMs: undefined,
  pauseMs: undefined,
  clogMs: undefined,
  breakMs: undefined,
  stallMs: undefined,
  slowMs: undefined,
  wallJumpMs: undefined,
  swizzleMs: undefined,
  fullMs: undefined,
  rotMs: undefined,
  wipeMs: undefined,
  membershipMs: undefined,
  handoverMs: undefined,
  lagMs: undefined,
};

function drawFaults(random: Random): FaultPauses {
  const sometimes = (share: number, ms: number): FaultPause => {
    return random.fraction() < share ? ms * (0.5 + random.fraction()) : undefined;
  };
  return {
    partitionMs: sometimes(0.6, 800),
    crashMs: sometimes(0.5, 1_000),
    pauseMs: sometimes(0.3, 1_300),
    clogMs: sometimes(0.3, 600),
    breakMs: sometimes(0.4, 300),
    stallMs: sometimes(0.2, 1_500),
    slowMs: sometimes(0.2, 1_500),
    wallJumpMs: sometimes(0.2, 1_000),
    swizzleMs: sometimes(0.2, 1_500),
    fullMs: sometimes(0.15, 2_000),
    rotMs: sometimes(0.15, 2_000),
    wipeMs: sometimes(0.15, 2_500),
    membershipMs: sometimes(0.4, 500),
    handoverMs: sometimes(0.3, 1_000),
    lagMs: undefined,
  };
}

/** Small appends, and a leader that loses its place all the time. */
const unsteady = (options: SwarmOptions): SwarmOptions => ({
  ...options,
  workloads: ["namespace", ...options.workloads],
  members: options.members === 1 ? 3 : options.members,
  clients: 4,
  readShare: 0.2,
  thinkMsMean: 10,
  raft: { ...options.raft, appendBytesMax: 1, uncommittedBytesMax: 1_000_000 },
  compactEntries: 1_000,
  leaderBias: 0.9,
  faults: { ...options.faults, partitionMs: 500, crashMs: 1_000 },
});

/** Leaders that do not know yet that they are none, and many who ask them. */
const stale = (options: SwarmOptions): SwarmOptions => ({
  ...unsteady(options),
  members: 3,
  workloads: ["namespace", "register"],
  readShare: 0.6,
  directories: 1,
  timeoutMs: 800,
  roamRate: 0.3,
  tickMs: 20,
  raft: { ...unsteady(options).raft, electionTicks: 12, heartbeatTicks: 2 },
  network: { ...options.network, delayMsMin: 0.1, delayMsMean: 0.2, messageMs: 0 },
  io: { ...options.io, latencyMsMin: 0.05, latencyMsMean: 0.1 },
  clockDrift: 0.1,
  faults: { ...NO_FAULTS, partitionMs: 600, pauseMs: 600 },
});

/** Leaders that have just been elected, on slow disks, and many who ask them. */
const fresh = (options: SwarmOptions): SwarmOptions => ({
  ...stale(options),
  network: { ...options.network, delayMsMin: 1, delayMsMean: 5 },
  io: { ...options.io, latencyMsMin: 0.5, latencyMsMean: 10 },
  faults: { ...NO_FAULTS, partitionMs: 600, handoverMs: 300 },
});

/** Members that need snapshots all the time, which arrive twice and out of order. */
const snapshots = (options: SwarmOptions): SwarmOptions => ({
  ...options,
  members: 3,
  clients: 4,
  readShare: 0.2,
  thinkMsMean: 10,
  compactEntries: 3,
  tailEntries: 0,
  raft: { ...options.raft, inFlightAppendsMax: 16, inFlightBytesMax: 1024 * KiB },
  network: { ...options.network, delayMsMean: 40, duplicate: 0.5, reorder: true },
  io: { ...options.io, latencyMsMin: 0.05, latencyMsMean: 0.5 },
  faults: { ...options.faults, partitionMs: 1_500, clogMs: 300, stallMs: 200 },
  leaderBias: 0,
});

/** Members that come and go all the time, while leaders lose their place. */
const membership = (options: SwarmOptions): SwarmOptions => ({
  ...options,
  members: options.members === 1 ? 3 : options.members,
  faults: { ...options.faults, membershipMs: 150, handoverMs: 700, partitionMs: 700 },
  leaderBias: 0.5,
});

/** Leaders whose followers are slow to answer, and clients that do not wait for them. */
const overload = (options: SwarmOptions): SwarmOptions => ({
  ...options,
  members: 3,
  clients: 12,
  readShare: 0.1,
  thinkMsMean: 1,
  timeoutMs: 150,
  raft: { ...options.raft, uncommittedBytesMax: 400, inFlightAppendsMax: 1 },
  network: { ...options.network, delayMsMean: 15 },
  faults: { ...options.faults, partitionMs: 500 },
});

/** Leaders that hear old answers when others lead already, and rely on leases. */
const lag = (options: SwarmOptions): SwarmOptions => ({
  ...stale(options),
  workloads: ["register"],
  clients: 8,
  leaseShare: 0.9,
  timeoutMs: 120,
  roamRate: 0.5,
  raft: { ...stale(options).raft, leases: true },
  clockDrift: 0,
  faults: { ...NO_FAULTS, lagMs: 1_000 },
});

/** Ways to look where a kind of bug would be: they change the options of every seed. */
export const LENSES = {
  unsteady,
  stale,
  fresh,
  snapshots,
  membership,
  overload,
  lag,
} as const;
export type Lens = keyof typeof LENSES;

export function isLens(name: string): name is Lens {
  return Object.hasOwn(LENSES, name);
}
