// What a seed decides before anything begins: how many machines, how fast, and what goes wrong.

import { integerBetween, KiB, MiB, type Random } from "@lumeofs/base";
import type { WireSettings } from "./network/wires.js";

/** Mean pause between two faults of a kind; undefined: it does not happen in this life. */
export type FaultPause = number | undefined;

export interface Faults {
  /** Processes are killed; machines lose their power; all of them at once do. */
  readonly killMs: FaultPause;
  readonly powerMs: FaultPause;
  readonly blackoutMs: FaultPause;
  readonly pauseMs: FaultPause;
  /** Machines are cut off, links stall, connections break. */
  readonly partitionMs: FaultPause;
  readonly clogMs: FaultPause;
  readonly breakMs: FaultPause;
  /** Disks fail at a call, are slow, are full. */
  readonly diskFailureMs: FaultPause;
  readonly slowMs: FaultPause;
  readonly fullMs: FaultPause;
  /** Disks of some chunkservers rot, or are lost. */
  readonly flipMs: FaultPause;
  readonly wipeMs: FaultPause;
  readonly jumpMs: FaultPause;
  /** Operators drain nodes, take them back, and let the fleet be balanced. */
  readonly operatorMs: FaultPause;
}

export interface ClusterOptions {
  readonly masters: number;
  readonly chunkservers: number;
  readonly clients: number;
  /** Copies of each file. */
  readonly replicas: number;
  /** Chunkservers whose disks may rot and be lost: fewer than there are copies. */
  readonly victims: number;
  readonly racks: number;
  readonly wire: WireSettings;
  readonly diskMsMin: number;
  readonly diskMsMean: number;
  readonly diskBytes: number;
  readonly diskFailureRate: number;
  /** Chunkservers serve only who has a token of the masters. */
  readonly tokens: "on" | "off";
  /** So many pieces of data arrive with a bit turned over. */
  readonly corruptRate: number;
  readonly echoShare: number;
  readonly clockDrift: number;
  readonly thinkMsMean: number;
  readonly paths: number;
  /** Files that are appended to. */
  readonly logs: number;
  readonly faults: Faults;
  /** How long things go wrong. */
  readonly faultyMs: number;
}

/** Draws a life; every kind of fault is left out of many of them. */
export function drawOptions(random: Random): ClusterOptions {
  const often = (share: number, low: number, high: number): FaultPause => {
    const isDrawn = random.fraction() < share;
    const pause = low * (high / low) ** random.fraction();
    return isDrawn ? pause : undefined;
  };
  const replicas = random.fraction() < 0.75 ? 3 : 2;
  const victims = integerBetween(random, 0, replicas - 1);
  // A file that is appended to goes on with a majority: so many disks and no more may be lost.
  const mayAppend = victims <= Math.floor((replicas - 1) / 2);
  const chunkservers = integerBetween(random, replicas + 1, 6);
  return {
    masters: random.fraction() < 0.8 ? 3 : 1,
    chunkservers,
    clients: integerBetween(random, 1, 4),
    replicas,
    victims,
    racks: random.fraction() < 0.5 ? chunkservers : integerBetween(random, 2, 3),
    wire: {
      delayMsMin: 0.05,
      delayMsMean: 0.1 * 20 ** random.fraction(),
      bytesPerMs: 100 * KiB,
    },
    diskMsMin: 0.05,
    diskMsMean: 0.1 * 20 ** random.fraction(),
    diskBytes: 512 * MiB,
    diskFailureRate: random.fraction() < 0.3 ? 0.0005 : 0,
    tokens: random.fraction() < 0.7 ? "on" : "off",
    corruptRate: random.fraction() < 0.4 ? 0.02 * random.fraction() : 0,
    echoShare: random.fraction() < 0.5 ? 0.1 * random.fraction() : 0,
    clockDrift: random.fraction() < 0.5 ? 0.02 * random.fraction() : 0,
    thinkMsMean: 80 * 8 ** random.fraction(),
    paths: integerBetween(random, 3, 12),
    logs: mayAppend ? integerBetween(random, 0, 2) : 0,
    faults: {
      killMs: often(0.6, 1_500, 10_000),
      powerMs: often(0.6, 1_500, 10_000),
      blackoutMs: often(0.3, 4_000, 15_000),
      pauseMs: often(0.4, 2_000, 10_000),
      partitionMs: often(0.4, 2_000, 10_000),
      clogMs: often(0.4, 500, 5_000),
      breakMs: often(0.5, 200, 3_000),
      diskFailureMs: often(0.4, 2_000, 10_000),
      slowMs: often(0.3, 2_000, 10_000),
      fullMs: often(0.2, 4_000, 15_000),
      flipMs: often(0.5, 500, 5_000),
      wipeMs: often(0.4, 5_000, 20_000),
      jumpMs: often(0.2, 3_000, 10_000),
      operatorMs: often(0.6, 1_000, 6_000),
    },
    faultyMs: integerBetween(random, 4_000, 12_000),
  };
}
