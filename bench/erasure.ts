// The erasure code alone, on one core: no network, no disk, no cluster.
//
//   npm run bench -- erasure [--seconds 0.3] [--rounds 5] [--native FOLDER] [--json]
//
// Speeds are bytes of data (four cells of a 4+2 stripe) a second, the middle one of the rounds,
// with the slowest and the fastest. Every work is measured on one small stripe, which stays in the
// caches, and going round many large ones, which come from memory.
//
// FOLDER is one in which `npm install @ronomon/reed-solomon` has been run: that native addon is
// measured in the same rounds then. It needs a C compiler, so it is no dependency of ours. It works
// in a thread of its own, one request at a time here.

import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { GiB, KiB, MiB } from "@lumeofs/base";
import { CellArena, DEFAULT_GEOMETRY, ErasureCodec, type Geometry } from "@lumeofs/erasure";
import { describeMachine } from "./machine.js";

interface Working {
  readonly name: string;
  readonly cellBytes: number;
  readonly stripes: number;
}

/** One kind of work on stripe n; what is measured. */
interface Work {
  readonly name: string;
  readonly run: (stripe: number) => void | Promise<void>;
}

interface Row {
  readonly working: string;
  readonly work: string;
  readonly gibPerSecond: readonly number[];
}

interface NativeCoder {
  create(dataCells: number, parityCells: number): Buffer;
  encode(
    ...args: [
      ...[context: Buffer, sources: number, targets: number],
      ...[data: Buffer, dataOffset: number, dataBytes: number],
      ...[parity: Buffer, parityOffset: number, parityBytes: number],
      end: (error?: Error) => void,
    ]
  ): void;
}

/** Never installed by us: see above. */
const NATIVE_PEER = "@ronomon/reed-solomon";
const GEOMETRY: Geometry = DEFAULT_GEOMETRY;
const CELLS = GEOMETRY.dataCells + GEOMETRY.parityCells;
const WORKINGS: readonly Working[] = [
  { name: "64 KiB cells, in cache", cellBytes: 64 * KiB, stripes: 1 },
  { name: "1 MiB cells, from memory", cellBytes: MiB, stripes: 32 },
];
/** The plain version takes seconds for what the others do at once. */
const LONG = 10;

/** Measures and prints. @returns The exit code. */
export async function runErasure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "0.3" },
      rounds: { type: "string", default: "5" },
      native: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const native = values.native === undefined ? undefined : loadNative(values.native);
  const limits = { ms: 1_000 * Number(values.seconds), rounds: Number(values.rounds) };
  const rows: Row[] = [];
  for (const working of WORKINGS) {
    const works = [
      ...worksOf(working, "fastest"),
      ...worksOf({ ...working, stripes: 1 }, "plain"),
      ...(native === undefined ? [] : nativeWorks(working, native)),
    ];
    rows.push(...(await measure(working, works, limits)));
  }
  const report = { machine: describeMachine(), geometry: GEOMETRY, rows };
  console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
  return 0;
}

function worksOf({ cellBytes, stripes }: Working, how: "fastest" | "plain"): readonly Work[] {
  const arena = new CellArena({ cells: CELLS * stripes, cellBytes }, how);
  for (const [n, cell] of arena.cells.entries()) {
    for (let at = 0; at < cellBytes; at++) cell[at] = Math.imul(at + n, 0x9e3779b1) >>> 24;
  }
  const codec = new ErasureCodec(GEOMETRY, arena.combine);
  const cell = (stripe: number, n: number): Uint8Array =>
    arena.cells[(stripe % stripes) * CELLS + n] as Uint8Array;
  const numbers = [...new Array(CELLS).keys()];
  const rebuild = (lost: readonly number[], wanted: readonly number[]) => (stripe: number) => {
    codec.reconstruct(
      numbers.map((n) => (lost.includes(n) ? undefined : cell(stripe, n))),
      new Map(wanted.map((n) => [n, cell(stripe, n)])),
    );
  };
  const encode = (stripe: number): void => {
    const all = numbers.map((n) => cell(stripe, n));
    codec.encode(all.slice(0, GEOMETRY.dataCells), all.slice(GEOMETRY.dataCells));
  };
  for (let stripe = 0; stripe < stripes; stripe++) encode(stripe);
  if (how === "plain") {
    return [
      { name: "plain: encode", run: encode },
      { name: "plain: reconstruct two data cells", run: rebuild([0, 1], [0, 1]) },
    ];
  }
  return [
    { name: "encode", run: encode },
    { name: "encode, cells outside the arena", run: copyingEncode(cellBytes, stripes) },
    { name: "reconstruct one data cell", run: rebuild([3], [3]) },
    { name: "reconstruct two data cells", run: rebuild([0, 1], [0, 1]) },
    { name: "reconstruct a data cell and the first parity", run: rebuild([3, 4], [3, 4]) },
    { name: "reconstruct one of two lost cells", run: rebuild([0, 1], [1]) },
  ];
}

function copyingEncode(cellBytes: number, stripes: number): (stripe: number) => void {
  const codec = new ErasureCodec(GEOMETRY);
  const cells = Array.from({ length: CELLS * stripes }, (_, n) =>
    new Uint8Array(cellBytes).fill(n + 1),
  );
  return (stripe) => {
    const first = (stripe % stripes) * CELLS;
    const parity = first + GEOMETRY.dataCells;
    codec.encode(cells.slice(first, parity), cells.slice(parity, first + CELLS));
  };
}

function nativeWorks({ cellBytes, stripes }: Working, coder: NativeCoder): readonly Work[] {
  const { dataCells, parityCells } = GEOMETRY;
  const context = coder.create(dataCells, parityCells);
  const buffers = Array.from({ length: stripes }, (_, n) => ({
    data: Buffer.alloc(dataCells * cellBytes, n + 1),
    parity: Buffer.alloc(parityCells * cellBytes),
  }));
  const bits = (cells: readonly number[]): number => cells.reduce((sum, n) => sum | (1 << n), 0);
  const work = (sources: readonly number[], targets: readonly number[]) => (stripe: number) => {
    const { data, parity } = buffers[stripe % stripes] as (typeof buffers)[number];
    return new Promise<void>((done, fail) => {
      const end = (error?: Error): void => (error ? fail(error) : done());
      const [from, to] = [bits(sources), bits(targets)];
      coder.encode(context, from, to, data, 0, data.length, parity, 0, parity.length, end);
    });
  };
  return [
    { name: "native peer: encode", run: work([0, 1, 2, 3], [4, 5]) },
    { name: "native peer: reconstruct two data cells", run: work([2, 3, 4, 5], [0, 1]) },
  ];
}

function loadNative(folder: string): NativeCoder {
  const require = createRequire(join(resolve(folder), "package.json"));
  return require(NATIVE_PEER) as NativeCoder;
}

async function measure(
  { name, cellBytes }: Working,
  works: readonly Work[],
  { ms, rounds }: { readonly ms: number; readonly rounds: number },
): Promise<readonly Row[]> {
  const rates = new Map<Work, number[]>(works.map((work) => [work, []]));
  const bytes = GEOMETRY.dataCells * cellBytes;
  // Round by round, so that a slow moment of the machine meets all kinds of work alike. The first
  // round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const [work, found] of rates) {
      const limit = work.name.startsWith("plain") ? ms / LONG : ms;
      const began = performance.now();
      let count = 0;
      for (; performance.now() - began < limit; count++) {
        const waiting = work.run(count);
        if (waiting !== undefined) await waiting;
      }
      const seconds = (performance.now() - began) / 1_000;
      if (0 < round) found.push((count * bytes) / GiB / seconds);
    }
  }
  return [...rates].map(([work, found]) => ({
    working: name,
    work: work.name,
    gibPerSecond: found.sort((a, b) => a - b),
  }));
}

function asText(report: { readonly machine: string; readonly rows: readonly Row[] }): string {
  const lines = report.rows.map(({ working, work, gibPerSecond }) => {
    const shown = (at: number): string => (gibPerSecond.at(at) ?? Number.NaN).toFixed(2);
    const middle = shown(Math.floor(gibPerSecond.length / 2));
    const spread = `(${shown(0)}–${shown(-1)})`;
    return `${working.padEnd(25)} ${work.padEnd(45)} ${middle.padStart(6)} GiB/s ${spread}`;
  });
  return [report.machine, ...lines].join("\n");
}
