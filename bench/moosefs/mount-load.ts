// A program of its own that puts files into a mounted folder or gets them out, and prints how fast
// that went, as JSON. Its own process, because calls on a mount block a thread each: with as many
// threads as calls in flight (UV_THREADPOOL_SIZE), none waits for another here. One call at a time
// is made in place, without any thread.
//
//   node mount-load.js '{"kind":"putLarge","paths":["/mnt/a"],"bytes":1048576}'

import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { type FileHandle, mkdir, open, readFile } from "node:fs/promises";
import { quantile } from "../raw-disk.js";

const PIECE = Buffer.alloc(2 ** 20, 0x33);

/** What to do. */
export type MountLoad =
  | {
      readonly kind: "putLarge" | "getLarge";
      readonly paths: readonly string[];
      /** Of each file. */
      readonly bytes: number;
    }
  | {
      readonly kind: "putSmall" | "getSmall";
      readonly folder: string;
      readonly fileBytes: number;
      readonly inFlight: number;
      readonly count: number;
    };

/** How it went. */
export interface MountResult {
  readonly seconds: number;
  /** Of each small file, sorted: middle and 99 %. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuSeconds: number;
}

const load = JSON.parse(process.argv[2] ?? "{}") as MountLoad;
const before = process.cpuUsage();
const began = performance.now();
const times = await run(load);
const seconds = (performance.now() - began) / 1000;
const { user, system } = process.cpuUsage(before);
times.sort((a, b) => a - b);
const result: MountResult = {
  seconds,
  p50Ms: quantile(times, 0.5),
  p99Ms: quantile(times, 0.99),
  cpuSeconds: (user + system) / 1e6,
};
console.log(JSON.stringify(result));

async function run(load: MountLoad): Promise<number[]> {
  switch (load.kind) {
    case "putLarge":
      await Promise.all(load.paths.map((path) => putLarge(path, load.bytes)));
      return [];
    case "getLarge":
      await Promise.all(load.paths.map((path) => getLarge(path, load.bytes)));
      return [];
    case "putSmall": {
      await mkdir(load.folder, { recursive: true });
      const content = Buffer.alloc(load.fileBytes, 0x44);
      const isAlone = load.inFlight === 1;
      return eachFile(load, (path) => (isAlone ? putAtOnce(path, content) : put(path, content)));
    }
    case "getSmall":
      return eachFile(load, async (path) => {
        const bytes = load.inFlight === 1 ? readFileSync(path) : await readFile(path);
        if (bytes.byteLength !== load.fileBytes) throw new Error(`"${path}" came back shorter`);
      });
  }
}

async function eachFile(
  load: { readonly folder: string; readonly inFlight: number; readonly count: number },
  one: (path: string) => void | Promise<void>,
): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < load.count; n = next++) {
      const start = performance.now();
      const ending = one(`${load.folder}/file-${n}`);
      if (ending !== undefined) await ending;
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: load.inFlight }, worker));
  return times;
}

function putAtOnce(path: string, content: Uint8Array): void {
  const file = openSync(path, "w");
  writeSync(file, content);
  fsyncSync(file);
  closeSync(file);
}

async function put(path: string, content: Uint8Array): Promise<void> {
  await using file = await open(path, "w");
  await file.write(content);
  await file.sync();
}

async function putLarge(path: string, bytes: number): Promise<void> {
  await using file = await open(path, "w");
  for (let at = 0; at < bytes; at += PIECE.byteLength) {
    await file.write(PIECE, 0, Math.min(PIECE.byteLength, bytes - at), at);
  }
  await file.sync();
}

async function getLarge(path: string, bytes: number): Promise<void> {
  await using file = await open(path, "r");
  const into = Buffer.alloc(PIECE.byteLength);
  const got = await readToEnd(file, into);
  if (got !== bytes) throw new Error(`"${path}" came back with ${got} of ${bytes} bytes`);
}

async function readToEnd(file: FileHandle, into: Uint8Array): Promise<number> {
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(into, 0, into.byteLength, at);
    if (bytesRead === 0) return at;
    at += bytesRead;
  }
}
