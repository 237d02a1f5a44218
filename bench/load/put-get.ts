// One large file: put it, get it, each beside the raw ceiling of the same run.

import type { Lumeo } from "@lumeofs/client";
import { rate } from "../raw-disk.js";

const PIECE = Buffer.alloc(2 ** 20, 0x33);

/** MiB/s of putting `bytes` from memory as a one-shot stream, acknowledged when all is durable. */
export async function putLarge(client: Lumeo, path: string, bytes: number): Promise<number> {
  const began = performance.now();
  await client.put(path, pieces(bytes));
  return rate(bytes, began);
}

/** MiB/s of getting it back, every block verified. */
export async function getLarge(client: Lumeo, path: string): Promise<number> {
  const began = performance.now();
  let bytes = 0;
  for await (const piece of await client.get(path)) bytes += piece.byteLength;
  return rate(bytes, began);
}

async function* pieces(bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; at += PIECE.byteLength) {
    yield PIECE.subarray(0, Math.min(PIECE.byteLength, bytes - at));
  }
}
