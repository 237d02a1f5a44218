// Content for tests.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";

/** Bytes that differ from block to block; others for another seed. */
export function content(length: number, seed = 12_345): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0, x = seed; i < words.length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = x ^ (x >>> 13);
  }
  return Buffer.from(words.buffer, 0, length);
}

/** The bytes piece by piece, in one buffer that is used again: who takes them must copy. */
export async function* inSharedPieces(
  bytes: Uint8Array,
  pieceBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const shared = new Uint8Array(pieceBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const part = bytes.subarray(at, at + pieceBytes);
    shared.set(part);
    yield shared.subarray(0, part.length);
  }
}

/** All pieces joined. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** Compares without listing millions of bytes. */
export function sameBytes(t: ExecutionContext, got: Uint8Array, want: Buffer, what: string): void {
  t.is(got.byteLength, want.byteLength, what);
  t.true(want.equals(got), what);
}

/** A folder that is removed after the test. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-client-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Resolves when the condition holds, looked at once per turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
