// Many small files: how many a second, and how long each takes, with 1 and with 64 in flight.

import type { Lumeo } from "@lumeofs/client";
import { quantile } from "../raw-disk.js";

export interface SmallResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface SmallLoad {
  readonly folder: string;
  readonly fileBytes: number;
  readonly inFlight: number;
  readonly count: number;
  /** False: on chunkservers, however small they are. */
  readonly inline?: boolean;
}

/** Puts `count` files, `inFlight` at a time, each acknowledged when it is durable everywhere. */
export async function putSmall(client: Lumeo, load: SmallLoad): Promise<SmallResult> {
  const content = Buffer.alloc(load.fileBytes, 0x44);
  const { inline = true } = load;
  await client.mkdir(load.folder, { recursive: true });
  return measure(load, async (n) => {
    await client.put(`${load.folder}/file-${n}`, content, { inline });
  });
}

/** Gets the files that `putSmall` made. */
export async function getSmall(client: Lumeo, load: SmallLoad): Promise<SmallResult> {
  return measure(load, async (n) => {
    const reading = await client.get(`${load.folder}/file-${n}`);
    const bytes = await reading.bytes();
    if (bytes.byteLength !== load.fileBytes) throw new Error(`File ${n} came back shorter`);
  });
}

async function measure(load: SmallLoad, one: (n: number) => Promise<void>): Promise<SmallResult> {
  const times: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < load.count; n = next++) {
      const began = performance.now();
      await one(n);
      times.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: load.inFlight }, worker));
  const seconds = (performance.now() - began) / 1000;
  times.sort((a, b) => a - b);
  return {
    perSecond: load.count / seconds,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
  };
}
