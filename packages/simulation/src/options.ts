// What a seed decides before anything begins: how many machines, how fast, and what goes wrong.

import { integerBetween, KiB, MiB, type Random } from "@lumeofs/base";
import type { FaultPause } from "@lumeofs/testkit";
import type { WireSettings } from "./network/wires.js";

export interface Faults {
  /** Processes are killed; machines lose their power; all of them at once do. */
  readonly killMs: FaultPause;
  readonly powerMs: FaultPause;
  readonly blackoutMs: FaultPause;
  readonly pauseMs: FaultPause;
  /** Machines are cut off, links stall, connections break. */
  readonly partitionMs: FaultPause;
  /** Masters do not hear each other, while everybody else hears all of them. */
  readonly schismMs: FaultPause;
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
  /** Clocks run at another speed than any lease allows for, and monotonic ones jump ahead. */
  readonly warpMs: FaultPause;
  /** Machines are suspended: their monotonic clocks stand still meanwhile. */
  readonly suspendMs: FaultPause;
  /** One of several disks of a chunkserver fails, until it is there again or replaced. */
  readonly diskLossMs: FaultPause;
  /** Disks of one master at a time rot, or are lost: another master takes its place. */
  readonly masterRotMs: FaultPause;
  readonly masterWipeMs: FaultPause;
  /** Calls of a disk do not return, for a while or until its process has ended. */
  readonly hangMs: FaultPause;
  /** A chunk is gone from a running chunkserver, and nobody is told. */
  readonly dropMs: FaultPause;
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
  /** Disks of each of them: one of these may fail for good. The others have one. */
  readonly disks: number;
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
  /** So many answers to clients are lost with their connections, after the work was done. */
  readonly mutedShare: number;
  readonly clockDrift: number;
  readonly thinkMsMean: number;
  readonly paths: number;
  /** Of what is stored: how much is in large chunks or in several, and how much comes slowly. */
  readonly largeShare: number;
  readonly mediumShare: number;
  /** So small that the masters may keep it. */
  readonly tinyShare: number;
  readonly slowShare: number;
  /** Of calls: conditional puts, removals, copies, writes into the middle of a file. */
  readonly exchangeShare: number;
  readonly removeShare: number;
  readonly copyShare: number;
  readonly editShare: number;
  /** Between two pages of a chunkserver's inventory. */
  readonly inventoryPauseMs: number;
  /** Files that are appended to. */
  readonly logs: number;
  /** So many calls are for them, if there are any. */
  readonly logShare: number;
  /** Files that are kept open and changed in place. */
  readonly editedFiles: number;
  /** How some files are coded, such as "2+1/64KiB"; undefined if none is. */
  readonly code: string | undefined;
  /** Of what is stored. */
  readonly codedShare: number;
  readonly faults: Faults;
  /** How long things go wrong. */
  readonly faultyMs: number;
}

/** How files are coded, and of how many lives that have no more than one victim. */
const CODE = "2+1/64KiB";
const CODED_LIVES = 0.25;

const NONE_OF_THE_LATER = {
  warpMs: undefined,
  suspendMs: undefined,
  diskLossMs: undefined,
  masterRotMs: undefined,
  masterWipeMs: undefined,
  hangMs: undefined,
  dropMs: undefined,
} as const;

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
  const drawn: Omit<ClusterOptions, LaterDrawn> = {
    masters: random.fraction() < 0.8 ? 3 : 1,
    chunkservers,
    clients: integerBetween(random, 2, 5),
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
    mutedShare: random.fraction() < 0.3 ? 0.05 * random.fraction() : 0,
    clockDrift: random.fraction() < 0.5 ? 0.02 * random.fraction() : 0,
    thinkMsMean: 20 * 12 ** random.fraction(),
    paths: integerBetween(random, 3, 12),
    largeShare: random.fraction() < 0.3 ? 0.4 * random.fraction() : 0.05,
    mediumShare: 0.2,
    slowShare: random.fraction() < 0.5 ? 0.2 * random.fraction() : 0,
    exchangeShare: 0.15 * random.fraction(),
    removeShare: 0.05 + 0.1 * random.fraction(),
    copyShare: 0.02 + 0.1 * random.fraction(),
    editShare: 0.1 * random.fraction(),
    inventoryPauseMs: Math.round(60 * 20 ** random.fraction()),
    logs: mayAppend ? integerBetween(random, 0, 2) : 0,
    logShare: 0.3,
    faults: {
      killMs: often(0.6, 1_500, 10_000),
      powerMs: often(0.6, 1_500, 10_000),
      blackoutMs: often(0.3, 4_000, 15_000),
      pauseMs: often(0.4, 2_000, 10_000),
      partitionMs: often(0.4, 2_000, 10_000),
      schismMs: often(0.2, 1_000, 6_000),
      clogMs: often(0.4, 500, 5_000),
      breakMs: often(0.5, 200, 3_000),
      diskFailureMs: often(0.4, 2_000, 10_000),
      slowMs: often(0.3, 2_000, 10_000),
      fullMs: often(0.2, 4_000, 15_000),
      flipMs: often(0.5, 500, 5_000),
      wipeMs: often(0.4, 5_000, 20_000),
      jumpMs: often(0.2, 3_000, 10_000),
      operatorMs: often(0.6, 1_000, 6_000),
      ...NONE_OF_THE_LATER,
    },
    faultyMs: integerBetween(random, 4_000, 12_000),
  };
  const options = { ...drawn, ...drawMore(random, drawn, often) };
  // Files that grow are not converted meanwhile.
  return options.code === undefined ? options : { ...options, logs: 0 };
}

/** Drawn behind everything else, so that seeds keep what they had before. */
type LaterDrawn = "tinyShare" | "editedFiles" | "disks" | "code" | "codedShare";

function drawMore(
  random: Random,
  { faults, victims, masters }: Omit<ClusterOptions, LaterDrawn>,
  often: (share: number, low: number, high: number) => FaultPause,
): Pick<ClusterOptions, LaterDrawn | "faults"> {
  const disks = 0 < victims && random.fraction() < 0.4 ? integerBetween(random, 2, 3) : 1;
  const isGroup = 1 < masters;
  const later = {
    tinyShare: 0.5 * random.fraction(),
    editedFiles: random.fraction() < 0.5 ? integerBetween(random, 1, 3) : 0,
    disks,
    faults: {
      ...faults,
      warpMs: often(0.2, 1_000, 6_000),
      suspendMs: often(0.3, 2_000, 10_000),
      diskLossMs: 1 < disks ? often(0.8, 2_000, 8_000) : undefined,
      masterRotMs: isGroup ? often(0.3, 1_000, 6_000) : undefined,
      masterWipeMs: isGroup ? often(0.2, 2_000, 8_000) : undefined,
      hangMs: often(0.3, 2_000, 10_000),
      dropMs: 0 < victims ? often(0.4, 1_000, 6_000) : undefined,
    },
  };
  // One unit may be lost, and so may what one machine has.
  const isCoded = victims <= 1 && random.fraction() < CODED_LIVES;
  return { ...later, code: isCoded ? CODE : undefined, codedShare: isCoded ? 0.4 : 0 };
}

const NO_FAULTS: Faults = {
  killMs: undefined,
  powerMs: undefined,
  blackoutMs: undefined,
  pauseMs: undefined,
  partitionMs: undefined,
  schismMs: undefined,
  clogMs: undefined,
  breakMs: undefined,
  diskFailureMs: undefined,
  slowMs: undefined,
  fullMs: undefined,
  flipMs: undefined,
  wipeMs: undefined,
  jumpMs: undefined,
  operatorMs: undefined,
  ...NONE_OF_THE_LATER,
};

/** Leaders that do not know yet that they are none, and many who ask them. */
const schism = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  masters: 3,
  clients: 4,
  thinkMsMean: 40,
  paths: 3,
  logs: 0,
  largeShare: 0,
  slowShare: 0,
  faults: { ...NO_FAULTS, schismMs: 2_500 },
  faultyMs: 10_000,
});

/** Answers that nobody hears, to calls that must not take effect twice. */
const muted = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 80,
  paths: 6,
  logs: 0,
  mutedShare: 0.1,
  exchangeShare: 0.3,
  removeShare: 0.2,
});

/** Contents that several files have, and that lose one after the other of them. */
const sharing = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 40,
  paths: 3,
  logs: 0,
  mediumShare: 0.6,
  copyShare: 0.15,
  editShare: 0.2,
  removeShare: 0.1,
  faults: { ...NO_FAULTS, killMs: options.faults.killMs },
  faultyMs: 5_000,
});

/** All chunkservers at once are away, again and again, and not the masters. */
const blackouts = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 40,
  logs: 0,
  faults: { ...NO_FAULTS, blackoutMs: 1_000 },
  faultyMs: 6_000,
});

/** Writers that take their time, and inventories that come all the time. */
const inventories = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  slowShare: 0.5,
  inventoryPauseMs: 30,
  faults: { ...NO_FAULTS, operatorMs: 600, wipeMs: options.faults.wipeMs },
});

/** Operators who have much moved, while servers come and go. */
const moves = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  logs: 0,
  faults: { ...NO_FAULTS, operatorMs: 400, killMs: 800, powerMs: 1_500, diskFailureMs: 1_500 },
});

/** Large chunks on disks that rot, while servers come and go. */
const rot = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  victims: options.replicas - 1,
  logs: 0,
  clients: 4,
  thinkMsMean: 80,
  largeShare: 0.6,
  faults: { ...options.faults, flipMs: 150, killMs: 1_500, wipeMs: undefined },
});

/** Data that arrives with bits turned over. */
const noise = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 80,
  corruptRate: 0.05,
});

/** Chunkservers that start again and again, with chunks in their logs and in files. */
const restarts = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 80,
  largeShare: 0.4,
  faults: { ...options.faults, killMs: 800, powerMs: 1_500, blackoutMs: 4_000 },
});

/** Files that are coded and converted, on disks that are lost. */
const coded = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 60,
  logs: 0,
  largeShare: 0.2,
  victims: Math.min(1, options.victims),
  code: options.code ?? CODE,
  codedShare: 0.8,
  faults: { ...options.faults, operatorMs: 1_000, wipeMs: 4_000, flipMs: 600 },
});

/** Enough of everybody who appends and reads. */
const APPENDED = {
  masters: 3,
  clients: 5,
  thinkMsMean: 40,
  replicas: 3,
  victims: 0,
  disks: 1,
  logs: 2,
} as const;

/** Clocks that no lease allows for, and readers of files that are appended to. */
const clocks = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  ...APPENDED,
  faults: { ...options.faults, warpMs: 700, killMs: 2_000, partitionMs: 2_500 },
});

/** Machines that are suspended with leases in their hands, and little else than appends. */
const suspended = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  ...APPENDED,
  chunkservers: 4,
  logShare: 0.7,
  editedFiles: 0,
  code: undefined,
  codedShare: 0,
  largeShare: 0,
  slowShare: 0,
  editShare: 0,
  inventoryPauseMs: 1_000,
  clockDrift: 0,
  faults: { ...NO_FAULTS, suspendMs: 500 },
  faultyMs: 12_000,
});

/** Servers that lose one of their disks. */
const disks = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 80,
  victims: Math.max(1, options.victims),
  logs: 0,
  disks: Math.max(2, options.disks),
  faults: { ...options.faults, diskLossMs: 1_200 },
});

/** Masters whose disks rot, fill and are lost. */
const masters = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  masters: 3,
  clients: 4,
  thinkMsMean: 80,
  faults: { ...options.faults, masterRotMs: 900, masterWipeMs: 3_000, fullMs: 3_000 },
});

/** Files that several programs change in place at once. */
const editors = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 5,
  thinkMsMean: 40,
  logs: 0,
  editedFiles: 2,
});

/** Chunks that are gone without a word, and disks whose calls do not return. */
const silent = (options: ClusterOptions): ClusterOptions => ({
  ...options,
  clients: 4,
  thinkMsMean: 80,
  victims: Math.max(1, options.victims),
  logs: 0,
  faults: { ...NO_FAULTS, hangMs: 1_500, dropMs: 600, killMs: options.faults.killMs },
  faultyMs: 6_000,
});

/** Ways to look where a kind of bug would be: they change the options of every seed. */
export const LENSES = {
  schism,
  muted,
  sharing,
  blackouts,
  inventories,
  moves,
  rot,
  noise,
  restarts,
  coded,
  clocks,
  suspended,
  disks,
  masters,
  editors,
  silent,
} as const;
export type Lens = keyof typeof LENSES;

export function isLens(name: string): name is Lens {
  return Object.hasOwn(LENSES, name);
}
