// `npm run bench -- faults`: every fault at every call of the disk, and every bit that may flip,
// with what was tried and what was lost. The same functions, bounded, are part of the tests.

import { parseArgs } from "node:util";
import { enumerateDiskLosses } from "../disks/enumeration.js";
import {
  enumerateTailCrashes,
  enumerateTailErrors,
  enumerateTailFlips,
  enumerateTailKills,
} from "../tail/faults/tail-enumeration.js";
import { REAL_TAILS } from "../tail/faults/tail-machine.js";
import {
  enumerateCrashes,
  enumerateCrashPairs,
  enumerateErrors,
  enumerateKills,
  enumerateOldIndexes,
  enumerateStartErrors,
  type Limits,
  type Tally,
} from "./enumeration.js";
import { enumerateFlips } from "./flips.js";
import { enumerateIndexFlips } from "./index-flips.js";
import { enumerateLives } from "./life.js";
import { enumerateRaces } from "./races.js";
import { REAL_PARTS, type StoreParts } from "./store-machine.js";

/** What the command line needs of the machine. */
export interface Console {
  print(text: string): void;
  /** Real time. */
  nowMs(): number;
}

interface Row {
  readonly name: string;
  readonly limits: Limits;
  readonly run: (parts: StoreParts, limits: Limits) => Promise<Tally>;
}

const HELP = `npm run bench -- faults [--every N] [--cuts N]

  --every N  only each N-th call (default 1)
  --cuts N   kinds of cuts of what is unsynced, at each loss of power (default 12)
  --lives N  random lives with compaction (default 1000)
  --flips N  about so many bits in each kind of region, and ten times as many in the index
             (default 200)
`;

/** Runs all enumerations and prints a table; the exit status is 1 if anything was lost. */
export async function main(argv: readonly string[], console: Console): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      every: { type: "string", default: "1" },
      cuts: { type: "string", default: "12" },
      flips: { type: "string", default: "200" },
      lives: { type: "string", default: "1000" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.print(HELP);
    return 0;
  }
  const [every, cutsMax] = [Number(values.every), Number(values.cuts)];
  let lost = 0;
  console.print(`${line(["fault", "points", "starts", "lost", "s"])}\n`);
  for (const { name, limits, run } of rows(every, cutsMax, Number(values.lives))) {
    const begin = console.nowMs();
    const tally = await run(REAL_PARTS, limits);
    const seconds = ((console.nowMs() - begin) / 1_000).toFixed(1);
    const counts = [tally.points, tally.machines, tally.faults.length];
    console.print(`${line([name, ...counts.map(String), seconds])}\n`);
    for (const fault of tally.faults) console.print(`  ${fault}\n`);
    lost += tally.faults.length;
  }
  lost += await flip(Number(values.flips), console);
  return lost === 0 ? 0 : 1;
}

/** Prints the table of the flips; returns how many chunks or stores were lost or served wrong. */
async function flip(flipsMax: number, console: Console): Promise<number> {
  const heads = ["bit flipped in", "flips", "detected", "harmless", "torn", "lost"];
  console.print(`\n${line(heads)}\n`);
  let lost = 0;
  for (const count of await enumerateFlips(REAL_PARTS, { flipsMax })) {
    const { region, points, detected, harmless, torn, faults } = count;
    const counts = [points, detected, harmless, torn, faults.length];
    console.print(`${line([region, ...counts.map(String)])}\n`);
    for (const fault of faults) console.print(`  ${fault}\n`);
    lost += faults.length;
  }
  const { points, faults } = await enumerateIndexFlips(10 * flipsMax);
  console.print(
    `${line(["index (LevelDB files)", String(points), "", "", "", `${faults.length}`])}\n`,
  );
  for (const fault of faults) console.print(`  ${fault}\n`);
  return lost + faults.length + (await flipInTails(10 * flipsMax, console));
}

async function flipInTails(flipsMax: number, console: Console): Promise<number> {
  const tally = await enumerateTailFlips(REAL_TAILS, { flipsMax });
  const { points, detected, harmless, faults } = tally;
  const counts = [points, detected, harmless, 0, faults.length];
  console.print(`${line(["log of growing chunks", ...counts.map(String)])}\n`);
  for (const fault of faults) console.print(`  ${fault}\n`);
  return faults.length;
}

function rows(every: number, cutsMax: number, livesMax: number): readonly Row[] {
  const limits = { every, cutsMax };
  return [
    { name: "power lost at a call", limits, run: enumerateCrashes },
    {
      name: "power lost again at a call of the next start",
      limits: { every: 4 * every, cutsMax: Math.min(1, cutsMax) },
      run: enumerateCrashPairs,
    },
    { name: "process killed, power lost later", limits, run: enumerateKills },
    { name: "EIO, ENOSPC, short write, failed sync", limits, run: enumerateErrors },
    { name: "changes while records are moved", limits, run: enumerateRaces },
    { name: "random lives", limits, run: (parts) => enumerateLives(parts, livesMax) },
    { name: "index without its newest writes", limits, run: enumerateOldIndexes },
    { name: "error while a store opens", limits, run: enumerateStartErrors },
    {
      name: "growing chunks: power lost at a call",
      limits: { every, cutsMax: Math.min(3, cutsMax) },
      run: (_, own) => enumerateTailCrashes(REAL_TAILS, own),
    },
    {
      name: "growing chunks: killed, power lost later",
      limits,
      run: (_, own) => enumerateTailKills(REAL_TAILS, own),
    },
    {
      name: "growing chunks: errors at a call",
      limits,
      run: (_, own) => enumerateTailErrors(REAL_TAILS, own),
    },
    {
      name: "one of two disks dies at a call",
      limits,
      run: (_, own) => enumerateDiskLosses({ during: "life", ends: "for good" }, own),
    },
    {
      name: "one of two disks fails at a call, once",
      limits,
      run: (_, own) => enumerateDiskLosses({ during: "life", ends: "once" }, own),
    },
    {
      name: "one of two disks dies at a call of a start",
      limits,
      run: (_, own) => enumerateDiskLosses({ during: "start", ends: "for good" }, own),
    },
    {
      name: "one of two disks fails at a call of a start",
      limits,
      run: (_, own) => enumerateDiskLosses({ during: "start", ends: "once" }, own),
    },
  ];
}

function line([name = "", ...counts]: readonly string[]): string {
  return name.padEnd(46) + counts.map((count) => count.padStart(9)).join("");
}
