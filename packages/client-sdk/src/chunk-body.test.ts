import { MiB } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { openBody, type StreamSource } from "./body.js";
import { FrameReader, ReplayableChunk, RetainedChunk } from "./chunk-body.js";
import { FRAME_BYTES, FrameBuffers } from "./frame-buffers.js";

const BYTES = Buffer.from(
  Uint32Array.from({ length: 1_000_000 }, (_, i) => i * 2_654_435_761).buffer,
);

/** A stream of the first `length` bytes in pieces of these sizes, all in one buffer. */
async function streamOf(length: number, sizes: readonly number[]): Promise<StreamSource> {
  function* pieces() {
    const shared = Buffer.alloc(Math.max(...sizes));
    for (let at = 0, i = 0; at < length; i++) {
      const size = Math.min(sizes[i % sizes.length] as number, length - at);
      BYTES.copy(shared, 0, at, at + size);
      yield shared.subarray(0, size);
      at += size;
    }
  }
  return (await openBody(pieces())) as StreamSource;
}

async function framesOf(frames: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const frame of frames) all.push(Buffer.from(frame));
  return all;
}

const shapes = fc.record({
  length: fc.integer({ min: 1, max: 3_900_000 }),
  sizes: fc.array(
    fc.integer({ min: 1, max: 900_000 }).map((n) => n + 20_000),
    { minLength: 1 },
  ),
});

test("a stream in pieces of any size becomes whole frames, as often as they are asked for (K1, K2)", async (t) => {
  await fc.assert(
    fc.asyncProperty(shapes, async ({ length, sizes }) => {
      const reader = new FrameReader(await streamOf(length, sizes));
      const chunk = new RetainedChunk(reader, new FrameBuffers(), 4 * MiB);
      const first = await framesOf(chunk.frames());
      t.true(first.slice(0, -1).every(({ byteLength }) => byteLength === FRAME_BYTES));
      t.true(BYTES.subarray(0, length).equals(Buffer.concat(first)));
      t.true(Buffer.concat(first).equals(Buffer.concat(await framesOf(chunk.frames()))));
    }),
    { numRuns: 20 },
  );
});

test("a body that can be read again becomes the same frames from any piece of it", async (t) => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(99_999), async ({ length, sizes }, start) => {
      const source = {
        kind: "replayable" as const,
        sizeBytes: BYTES.length,
        async *read(from: number, to: number) {
          for (let at = from, i = 0; at < to; i++) {
            const next = Math.min(to, at + (sizes[i % sizes.length] as number));
            yield BYTES.subarray(at, next);
            at = next;
          }
        },
        close: async () => {},
      };
      const end = Math.min(BYTES.length, start + length);
      const frames = await framesOf(new ReplayableChunk(source, start, end).frames());
      t.true(frames.slice(0, -1).every(({ byteLength }) => byteLength === FRAME_BYTES));
      t.true(BYTES.subarray(start, end).equals(Buffer.concat(frames)));
    }),
    { numRuns: 20 },
  );
});

test("consecutive chunks of a stream take what is theirs, and no more is read (K3)", async (t) => {
  let pulled = 0;
  function* pieces() {
    for (; pulled < 10; pulled++) yield BYTES.subarray(0, 100_000);
  }
  const reader = new FrameReader((await openBody(pieces())) as StreamSource);
  const buffers = new FrameBuffers();
  const first = new RetainedChunk(reader, buffers, 131_072);
  t.is((await first.frame(0))?.byteLength, 131_072);
  t.is(pulled, 1);
  await first.whenComplete;
  const second = new RetainedChunk(reader, buffers, 10 * MiB);
  await second.gather();
  t.is((await second.frame(0))?.byteLength, 1_000_000 - 131_072);
  t.is(await second.frame(1), undefined);
  t.is(await new RetainedChunk(reader, buffers, 131_072).frame(0), undefined);
});

test("a piece that is a frame, or a whole small body, is not copied", async (t) => {
  const bytes = new Uint8Array(5_000);
  const source = await openBody(bytes);
  t.is(source.kind, "replayable");
  if (source.kind !== "replayable") return;
  for await (const frame of new ReplayableChunk(source, 0, 5_000).frames()) {
    t.is(frame.buffer, bytes.buffer);
  }
});
