// What differs from seed to seed besides chance itself: the shape of the group, how bad the world
// is, and how small the limits are. Most seeds have only some of the evils, so that rare meetings
// of two of them happen without being drowned by the rest.

import { integerBetween, type Random } from "@lumeofs/base";
import type { LinkSettings } from "@lumeofs/testkit";
import type { RaftOptions } from "../../src/raft/message.js";
import type { IoSettings } from "./sim-io.js";
import { WORKLOAD_NAMES, type WorkloadName } from "./workloads/all.js";

/** Mean time between two faults of a kind; undefined: never. */
export type FaultPause = number | undefined;

export interface FaultPauses {
  readonly partitionMs: FaultPause;
  readonly crashMs: FaultPause;
  readonly pauseMs: FaultPause;
  readonly clogMs: FaultPause;
  readonly breakMs: FaultPause;
  readonly stallMs: FaultPause;
  readonly slowMs: FaultPause;
  readonly wallJumpMs: FaultPause;
}

export interface SwarmOptions {
  readonly members: number;
  readonly clients: number;
  /** What the clients do: the first client the first of these, and so on around. */
  readonly workloads: readonly WorkloadName[];
  readonly directories: number;
  /** Share of calls that only read. */
  readonly readShare: number;
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
  const sometimes = (share: number, ms: number): FaultPause =>
    chance(share) ? ms * (0.5 + random.fraction()) : undefined;
  const members = oneOf([1, 3, 3, 3, 3, 5, 5]);
  const isCalm = chance(0.1);
  const heartbeatTicks = between(1, 2);
  return {
    members,
    clients: between(2, 4),
    workloads: Array.from({ length: between(1, 2) }, () =>
      oneOf(WORKLOAD_NAMES.filter((name) => name !== "locks")),
    ),
    directories: between(1, 3),
    readShare: oneOf([0.2, 0.5, 0.7]),
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
    },
    compactEntries: oneOf([3, 10, 50, 1_000]),
    tailEntries: oneOf([0, 2, 20]),
    network: {
      delayMsMin: oneOf([0.1, 1, 5]),
      delayMsMean: oneOf([0.2, 3, 15]),
      loss: isCalm ? 0 : oneOf([0, 0, 0.02, 0.15]),
      duplicate: isCalm ? 0 : oneOf([0, 0, 0.05, 0.3]),
      reorder: !isCalm && chance(0.4),
    },
    io: {
      latencyMsMin: oneOf([0.05, 0.5]),
      latencyMsMean: oneOf([0.1, 2, 10]),
      failureRate: isCalm ? 0 : oneOf([0, 0, 0.001]),
      crashRate: isCalm ? 0 : oneOf([0, 0.002, 0.01]),
    },
    clockDrift: oneOf([0, 0.02, 0.1]),
    faults: {
      partitionMs: isCalm ? undefined : sometimes(0.6, 800),
      crashMs: isCalm ? undefined : sometimes(0.5, 1_000),
      pauseMs: isCalm ? undefined : sometimes(0.3, 1_300),
      clogMs: isCalm ? undefined : sometimes(0.3, 600),
      breakMs: isCalm ? undefined : sometimes(0.4, 300),
      stallMs: isCalm ? undefined : sometimes(0.2, 1_500),
      slowMs: isCalm ? undefined : sometimes(0.2, 1_500),
      wallJumpMs: isCalm ? undefined : sometimes(0.2, 1_000),
    },
    leaderBias: oneOf([0, 0.5, 0.9]),
    safetyMs: between(4_000, 8_000),
    healsAll: chance(0.6),
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
  readShare: 0.6,
  directories: 1,
  timeoutMs: 150,
  roamRate: 0.5,
  tickMs: 40,
  raft: { ...unsteady(options).raft, electionTicks: 20, heartbeatTicks: 4 },
  io: { ...options.io, latencyMsMean: 10 },
  faults: { ...options.faults, partitionMs: 1_000, crashMs: undefined },
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

/** Ways to look where a kind of bug would be: they change the options of every seed. */
export const LENSES = { unsteady, stale, snapshots } as const;
export type Lens = keyof typeof LENSES;

export function isLens(name: string): name is Lens {
  return Object.hasOwn(LENSES, name);
}
