import {
  BLOCK_BYTES,
  chunkHandle,
  crc32c,
  epoch,
  LumeoError,
  serverId,
  sessionId,
} from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { blockCrcs, crcOfBlocks, firstBadBlock } from "./blocks.js";
import { encodeFrameHead, type Frame, FrameDecoder } from "./frame-codec.js";
import { HEADER_BYTES_MAX, PREFIX_BYTES } from "./limits.js";
import type { Message } from "./message.js";

const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const crc = fc.integer({ min: 0, max: 0xffffffff });
const length = fc.integer({ min: 0, max: 64 * 2 ** 20 });
const target = { handle: id.map(chunkHandle), epoch: id.map(epoch) };
const link = fc.record({ server: id.map(serverId), address: fc.string({ maxLength: 40 }) });
const chain = fc.array(link, { maxLength: 7 });
const token = fc.uint8Array({ maxLength: 256 });
const bare = fc.oneof(
  fc.record({
    type: fc.constant("hello" as const),
    role: fc.constantFrom("client" as const, "server" as const),
    clusterId: fc.string(),
    name: fc.string(),
  }),
  fc.record({
    type: fc.constant("welcome" as const),
    serverId: id.map(serverId),
    storeUuid: fc.string(),
  }),
  fc.record({ type: fc.constant("writeOpen" as const), ...target, chain, token }),
  fc.record({ type: fc.constant("writeOpen" as const), ...target, chain }),
  fc.record({ type: fc.constant("writeClose" as const), length, crc32c: crc }),
  fc.record({
    type: fc.constant("writeDone" as const),
    length,
    crc32c: crc,
    servers: fc.array(id.map(serverId), { maxLength: 8 }),
  }),
  fc.record({ type: fc.constant("writeAbort" as const) }),
  fc.record({ type: fc.constant("read" as const), ...target, token, offset: length, length }),
  fc.record({
    type: fc.constant("readEnd" as const),
    length,
    crc32c: crc,
    seq: id,
    clock: fc.array(fc.tuple(id.map(serverId), id), { maxLength: 9 }),
  }),
  fc.record({ type: fc.constant("readCancel" as const) }),
  fc.record({
    type: fc.constant("readMany" as const),
    chunks: fc.array(fc.record({ ...target, token }, { requiredKeys: ["handle", "epoch"] }), {
      maxLength: 9,
    }),
  }),
  fc.record(
    { type: fc.constant("fileLookup" as const), ...target, token },
    { requiredKeys: ["type", "handle", "epoch"] },
  ),
  fc.nat({ max: 64 * 2 ** 20 }).chain((length) =>
    fc.record({
      type: fc.constant("fileFound" as const),
      ...{ path: fc.string(), device: fc.string(), inode: fc.string() },
      ...{ length: fc.constant(length), crc32c: fc.nat({ max: 0xffffffff }) },
      blocks: fc.constant(new Uint8Array(4 * Math.ceil(length / 65_536)).fill(length % 256)),
    }),
  ),
  fc.record({
    type: fc.constant("appended" as const),
    epoch: id.map(epoch),
    seq: id,
    offset: length,
    primary: link,
  }),
  fc.record(
    {
      type: fc.constant("tailRead" as const),
      ...{ handle: target.handle, offset: length, length, token },
      seen: fc.record({ epoch: id, seq: id }),
    },
    { requiredKeys: ["type", "handle", "offset", "length"] },
  ),
  fc.record({ type: fc.constant("tailEnd" as const), length, epoch: id, seq: id }),
  fc.record({
    type: fc.constant("appendLookup" as const),
    ...{ handle: target.handle, session: id.map(sessionId), writeSeq: id, token },
  }),
  fc.record({
    type: fc.constant("appendFound" as const),
    outcome: fc.constantFrom("written" as const, "absent" as const),
    ...{ offset: length, length },
  }),
  fc.record({
    type: fc.constant("error" as const),
    code: fc.constantFrom("CHECKSUM" as const, "NO_SPACE" as const),
    message: fc.string(),
    servers: fc.array(id, { maxLength: 8 }),
  }),
);
const loaded = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), length, fc.boolean())
  .map(([payload, offset, isRead]) => ({
    message: {
      type: isRead ? ("readData" as const) : ("writeData" as const),
      offset,
      crcs: blockCrcs([payload], crc32c),
    },
    payload,
  }));
const small = fc
  .tuple(fc.record({ ...target, chain, token }), fc.uint8Array({ maxLength: 300 }))
  .map(([fields, payload]) => {
    const crcs = blockCrcs([payload], crc32c);
    const whole = { length: payload.byteLength, crc32c: crc32c(payload), crcs };
    return { message: { type: "writeSmall" as const, ...fields, ...whole }, payload };
  });
const together = fc
  .tuple(
    fc.record({ ...target, token, primary: id.map(serverId) }),
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { minLength: 1, maxLength: 64 }),
  )
  .map(([fields, chunks]) => {
    const lengths = numbers(chunks.map(({ byteLength }) => byteLength));
    const crcs = numbers(chunks.map((bytes) => crc32c(bytes)));
    const message = { type: "writeMany" as const, ...fields, lengths, crcs };
    return { message, payload: Buffer.concat(chunks) };
  });
const given = fc
  .array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 64 })
  .map((chunks) => {
    const lengths = numbers(chunks.map(({ byteLength }) => byteLength));
    const crcs = numbers(chunks.map((bytes) => crc32c(bytes)));
    return {
      message: { type: "manyData" as const, lengths, crcs },
      payload: Buffer.concat(chunks),
    };
  });
const appended = fc.uint8Array({ minLength: 1, maxLength: 300 }).chain((payload) => {
  const whole = { length: payload.byteLength, crc32c: crc32c(payload) };
  const crcs = blockCrcs([payload], crc32c);
  const four = (n: number) => numbers([n]);
  return fc
    .oneof(
      fc.record({
        type: fc.constant("append" as const),
        ...{ handle: target.handle, session: id.map(sessionId), writeSeq: id, token },
        isForwarded: fc.boolean(),
        ...{ length: fc.constant(whole.length), crc32c: fc.constant(whole.crc32c) },
        crcs: fc.constant(crcs),
      }),
      fc.record({
        type: fc.constant("tailData" as const),
        offset: length,
        ...{
          lengths: fc.constant(four(whole.length)),
          recordCrcs: fc.constant(four(whole.crc32c)),
        },
      }),
      fc.record({
        type: fc.constant("tailMessage" as const),
        ...{ handle: target.handle, token, primary: link, headCrc32c: crc },
      }),
      fc.record({
        type: fc.constant("tailReply" as const),
        ...{ server: id.map(serverId), headCrc32c: crc },
      }),
    )
    .map((message) => ({ message, payload }));
});
const none = new Uint8Array();
const frames = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.oneof(
      bare.map((message) => ({ message, payload: none })),
      loaded,
      small,
      together,
      given,
      appended,
    ),
  ),
  { maxLength: 6 },
);

function numbers(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function encode(request: number, message: Message, payload: Uint8Array): Buffer {
  const head = encodeFrameHead(request, message, payload.byteLength, crc32c);
  return Buffer.concat([head, payload]);
}

function drain(decoder: FrameDecoder): Frame[] {
  const found: Frame[] = [];
  for (let next = decoder.body(); next !== undefined; next = decoder.body()) found.push(next);
  return found;
}

function flat(frame: Frame): unknown {
  const crcs = "crcs" in frame.message ? { crcs: Buffer.from(frame.message.crcs) } : {};
  const payload = Buffer.concat(frame.payload);
  return { request: frame.request, message: { ...frame.message, ...crcs }, payload };
}

test("FrameDecoder gives back every frame, wherever the stream is cut", (t) => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(400), { maxLength: 12 }), (sent, cuts) => {
      const bytes = Buffer.concat(
        sent.map(([n, { message, payload }]) => encode(n, message, payload)),
      );
      const decoder = new FrameDecoder(crc32c);
      const received: Frame[] = [];
      let at = 0;
      for (const cut of [...cuts, bytes.byteLength]) {
        decoder.push(bytes.subarray(at, at + cut));
        at = Math.min(bytes.byteLength, at + cut);
        received.push(...drain(decoder));
      }
      const expected = sent.map(([request, { message, payload }]) => {
        return flat({ request, message, payload: [payload], payloadBytes: payload.byteLength });
      });
      t.deepEqual(received.map(flat), expected);
      t.is(decoder.bufferedBytes, 0);
    }),
    { numRuns: 200 },
  );
});

test("FrameDecoder gives the same frames when payloads are read into their gaps", (t) => {
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
      (sent, cuts) => {
        const bytes = Buffer.concat(
          sent.map(([n, { message, payload }]) => encode(n, message, payload)),
        );
        const decoder = new FrameDecoder(crc32c);
        const scratch = new Uint8Array(400);
        const received: Frame[] = [];
        for (let at = 0, turn = 0; at < bytes.byteLength; turn++) {
          const wanted = cuts[turn % cuts.length] ?? 1;
          const gap = decoder.gap;
          const part = bytes.subarray(at, at + Math.min(wanted, gap?.byteLength ?? wanted));
          at += part.byteLength;
          if (gap === undefined) {
            scratch.set(part);
            decoder.push(scratch.subarray(0, part.byteLength));
          } else {
            gap.set(part);
            decoder.fill(part.byteLength);
          }
          received.push(...drain(decoder));
          decoder.keep();
          scratch.fill(0xee); // what was not kept is lost
        }
        const expected = sent.map(([request, { message, payload }]) => {
          return flat({ request, message, payload: [payload], payloadBytes: payload.byteLength });
        });
        t.deepEqual(received.map(flat), expected);
        t.is(decoder.bufferedBytes, 0);
      },
    ),
    { numRuns: 200 },
  );
});

test("FrameDecoder answers any bytes with frames, patience or PROTOCOL, and stays broken", (t) => {
  const mangled = fc
    .tuple(frames, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1 }))
    .map(([sent, flips]) => {
      const bytes = Buffer.concat(
        sent.map(([n, { message, payload }]) => encode(n, message, payload)),
      );
      for (const [at, mask] of flips) {
        const i = at % Math.max(1, bytes.byteLength);
        bytes[i] = (bytes[i] ?? 0) ^ mask;
      }
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(mangled, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      const decoder = new FrameDecoder(crc32c);
      decoder.push(bytes);
      try {
        drain(decoder);
      } catch (error) {
        t.true(error instanceof LumeoError && error.code === "PROTOCOL", String(error));
        t.is(
          t.throws(() => decoder.head()),
          error as Error,
        );
      }
    }),
    { numRuns: 500 },
  );
});

test("FrameDecoder refuses any header content with PROTOCOL, even under a right checksum", (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 30),
      fc.uint8Array({ maxLength: 60 }),
      (type, header) => {
        const decoder = new FrameDecoder(crc32c);
        decoder.push(rawFrame(type, header));
        try {
          drain(decoder);
        } catch (error) {
          t.true(error instanceof LumeoError && error.code === "PROTOCOL", String(error));
        }
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});

test("FrameDecoder refuses lengths above the limits before it waits for the bytes", (t) => {
  for (const [at, value] of [
    [8, HEADER_BYTES_MAX + 1],
    [12, 2 ** 20 + 1],
  ] as const) {
    const bytes = encode(1, { type: "writeAbort" }, none).subarray(0, PREFIX_BYTES);
    bytes.writeUInt32LE(value, at);
    const decoder = new FrameDecoder(crc32c);
    decoder.push(bytes);
    t.like(
      t.throws(() => decoder.head()),
      { code: "PROTOCOL" },
    );
  }
});

test("FrameDecoder shows the head before the payload is there", (t) => {
  const payload = new Uint8Array(100).fill(7);
  const message = { type: "writeData" as const, offset: 0, crcs: blockCrcs([payload], crc32c) };
  const bytes = encode(3, message, payload);
  const decoder = new FrameDecoder(crc32c);
  decoder.push(bytes.subarray(0, -1));
  t.is(decoder.head()?.payloadBytes, 100);
  t.is(decoder.body(), undefined);
  decoder.push(bytes.subarray(-1));
  t.is(decoder.body()?.payloadBytes, 100);
});

test("block checksums do not depend on how the payload is cut, and find the damaged block", (t) => {
  const bytes = new Uint8Array(3 * BLOCK_BYTES + 17).map((_, i) => (i * 31) ^ (i >> 8));
  const whole = blockCrcs([bytes], crc32c);
  t.is(whole.byteLength, 16);
  const cut = [bytes.subarray(0, 5), bytes.subarray(5, 100_000), bytes.subarray(100_000)];
  t.deepEqual(blockCrcs(cut, crc32c), whole);
  t.is(crcOfBlocks(whole, bytes.byteLength), crc32c(bytes));
  t.is(firstBadBlock(cut, whole, crc32c), undefined);
  bytes[2 * BLOCK_BYTES] = (bytes[2 * BLOCK_BYTES] ?? 0) ^ 1;
  t.is(firstBadBlock(cut, whole, crc32c), 2);
});

function rawFrame(type: number, header: Uint8Array): Uint8Array {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt16LE(0x464c, 0);
  prefix.writeUInt8(1, 2);
  prefix.writeUInt8(type, 3);
  prefix.writeUInt32LE(1, 4);
  prefix.writeUInt32LE(header.byteLength, 8);
  prefix.writeUInt32LE(crc32c(header, crc32c(prefix.subarray(0, 16))), 16);
  return Buffer.concat([prefix, header]);
}

test("FrameDecoder refuses chunks in a frame that do not add up to it", (t) => {
  const fields = { handle: chunkHandle(64), epoch: epoch(1), primary: serverId(1) };
  const payload = new Uint8Array(10);
  const refused = (lengths: readonly number[], crcs: readonly number[]): void => {
    const sums = { lengths: numbers(lengths), crcs: numbers(crcs) };
    const decoder = new FrameDecoder(crc32c);
    decoder.push(encode(1, { type: "writeMany", ...fields, ...sums }, payload));
    t.throws(() => decoder.head(), { code: "PROTOCOL" }, String(lengths));
  };
  refused([4, 5], [0, 0]);
  refused([4, 6], [0]);
  refused([10, 0], [0, 0]);
  refused([], []);
  refused(Array(65).fill(1), Array(65).fill(0));
});
