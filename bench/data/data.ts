// The data path beside MooseFS and the raw disk, in one run.
//
//   npm run bench -- data [--bytes 1073741824] [--files 4000] [--only lumeo|moosefs] [--dir DIR]
//                         [--json]
//
// Both stores keep three copies on as many chunkservers, sync every copy before they acknowledge,
// and hold their data in the same folder; one runs at a time. LumeoFS is driven through its SDK by
// this process, MooseFS through its mount (FUSE) by another; before gets it is mounted anew, so
// that the servers are asked and not the kernel's pages of the mount. "16 clients" are 16 clients
// of the SDK, or 16 files at once on the mount. "get" is what users of one machine have: the SDK
// reads the files of chunkservers itself there (docs/design/0032); "over the wire" it asks them.
// Processor time is that of all processes, the load's included, the kernel's writing back not. Both
// sides are first warmed up with as many small files as are measured, and a large one. The disk's
// ceiling is measured before each side, because it changes from minute to minute. Needs the
// packages moosefs-master, moosefs-chunkserver and moosefs-client, /dev/fuse and the right to
// mount; without them only LumeoFS is measured.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "../machine.js";
import { whyNoMooseFs } from "../moosefs/moosefs.js";
import { MooseFsSide } from "../moosefs/moosefs-side.js";
import { measureCeiling, type RawCeiling } from "../raw-disk.js";
import { LumeoDataSide } from "./lumeo-side.js";
import { type DataSide, measureSide, type SideFigures } from "./side.js";

const CHUNKSERVERS = 4;

interface Report {
  readonly machine: string;
  readonly bytes: number;
  readonly files: number;
  readonly sides: readonly (SideFigures & { readonly raw: RawCeiling })[];
  /** Why MooseFS is not among them. */
  readonly missing: string | undefined;
}

type Start = (folder: string, chunkservers: number) => Promise<DataSide>;

/** Measures and prints. @returns The exit code. */
export async function runData(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bytes: { type: "string", default: "1073741824" },
      files: { type: "string", default: "4000" },
      only: { type: "string" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const { only } = values;
  const missing = only === "lumeo" ? "not asked for" : whyNoMooseFs();
  const starts: Start[] = [];
  if (only !== "moosefs") starts.push((folder, count) => LumeoDataSide.start(folder, count));
  if (missing === undefined) starts.push((folder, count) => MooseFsSide.start(folder, count));
  const folder = await mkdtemp(join(values.dir, "lumeo-data-"));
  try {
    const [bytes, files] = [Number(values.bytes), Number(values.files)];
    const sides: (SideFigures & { raw: RawCeiling })[] = [];
    for (const start of starts) sides.push(await measure(start, folder, { bytes, files }));
    const report = { machine: describeMachine(), bytes, files, sides, missing };
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  start: Start,
  folder: string,
  { bytes, files }: { readonly bytes: number; readonly files: number },
): Promise<SideFigures & { raw: RawCeiling }> {
  const raw = await measureCeiling(folder, bytes);
  const dir = join(folder, "store");
  await mkdir(dir);
  try {
    const side = await start(dir, CHUNKSERVERS);
    try {
      return { ...(await measureSide(side, bytes, files)), raw };
    } finally {
      await side.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function asText(report: Report): string {
  const [first, second] = report.sides;
  const mib = Math.round(report.bytes / 2 ** 20);
  const lines = [report.machine];
  if (report.missing !== undefined) lines.push(`MooseFS: ${report.missing}`);
  for (const { name, raw } of report.sides) {
    const copies = `${raw.threeCopies.toFixed(0)} MiB/s for three synced copies of ${mib} MiB`;
    const read = `${raw.cachedRead.toFixed(0)} MiB/s cached read`;
    lines.push(`raw before ${name}: ${copies}, ${read}, ${raw.syncMs.toFixed(2)} ms a small sync`);
  }
  for (const name of Object.keys(first?.large ?? {})) {
    const cells = report.sides.map((side) => {
      const { mibPerSecond = Number.NaN, cpuSecondsPerGiB = Number.NaN } = side.large[name] ?? {};
      const rate = `${mibPerSecond.toFixed(0)} MiB/s`.padStart(11);
      return `${rate} ${cpuSecondsPerGiB.toFixed(1).padStart(5)} CPU s/GiB`;
    });
    const ratio = ratioOf(first?.large[name]?.mibPerSecond, second?.large[name]?.mibPerSecond);
    lines.push(`${name.padEnd(24)} ${cells.join("  |")}  ${ratio}`);
  }
  for (const name of Object.keys(first?.small ?? {})) {
    const cells = report.sides.map(({ small }) => {
      const figure = small[name];
      if (figure === undefined) return "";
      const { perSecond, p50Ms, p99Ms, cpuMsEach } = figure;
      const latency = `p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} ms`;
      return `${perSecond.toFixed(0).padStart(6)}/s ${latency} CPU ${cpuMsEach.toFixed(2)} ms`;
    });
    const ratio = ratioOf(first?.small[name]?.perSecond, second?.small[name]?.perSecond);
    lines.push(`${name.padEnd(24)} ${cells.join("  |")}  ${ratio}`);
  }
  for (const { name, peakMiB, large, raw } of report.sides) {
    const peaks = Object.entries(peakMiB).map(([id, peak]) => `${id} ${peak?.toFixed(0)}`);
    lines.push(`${name}: peak resident MiB: ${peaks.join(", ")}`);
    const share = (100 * (large["put"]?.mibPerSecond ?? Number.NaN)) / raw.threeCopies;
    lines.push(`${name}: put is ${share.toFixed(0)} % of three raw synced copies`);
  }
  return lines.join("\n");
}

function ratioOf(ours: number | undefined, theirs: number | undefined): string {
  return ours === undefined || theirs === undefined ? "" : `${(ours / theirs).toFixed(1)}×`;
}
