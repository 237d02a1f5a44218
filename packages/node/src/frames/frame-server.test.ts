import { connect } from "node:net";
import {
  Budget,
  chunkHandle,
  crc32c,
  epoch,
  LumeoError,
  MiB,
  SILENT_LOGGER,
  serverId,
} from "@lumeofs/base";
import test from "ava";
import { blockCrcs } from "./blocks.js";
import type { Exchange } from "./exchange.js";
import { encodeFrameHead } from "./frame-codec.js";
import { FrameConnection } from "./frame-connection.js";
import { FramePool } from "./frame-pool.js";
import { FrameServer, type RequestHandler } from "./frame-server.js";
import type { Hello, OpeningMessage, Read } from "./message.js";

const HELLO: Hello = { type: "hello", role: "client", clusterId: "c", name: "test" };
const READ: Read = {
  type: "read",
  handle: chunkHandle(7),
  epoch: epoch(1),
  offset: 0,
  length: 3 * MiB,
};

async function listen(
  handle: RequestHandler,
  room = new Budget(4 * MiB),
  stallMs = 60_000,
): Promise<FrameServer> {
  return FrameServer.listen({
    host: "127.0.0.1",
    port: 0,
    greet: (hello) => {
      if (hello.clusterId !== "c") throw new LumeoError("INVALID_ARGUMENT", "wrong cluster");
      return { type: "welcome", serverId: serverId(9), storeUuid: "u" };
    },
    roomFor: () => room,
    handle,
    logger: SILENT_LOGGER,
    stallMs,
  });
}

function opened(server: FrameServer, hello = HELLO): Promise<FrameConnection> {
  return FrameConnection.connect(`127.0.0.1:${server.port}`, { hello, timeoutMs: 2_000 });
}

/** Answers a read with its length in frames of 1 MiB filled with the low byte of the handle. */
const serveReads: RequestHandler = async (first, exchange) => {
  if (first.message.type !== "read") throw new LumeoError("INVALID_ARGUMENT", "reads only");
  const { handle, length } = first.message;
  for (let offset = 0; offset < length; offset += MiB) {
    const bytes = new Uint8Array(Math.min(MiB, length - offset)).fill(handle % 256);
    await exchange.send({ type: "readData", offset, crcs: blockCrcs([bytes], crc32c) }, [bytes]);
  }
  exchange.send({ type: "readEnd", length, crc32c: 0, seq: 1, clock: [[serverId(1), 1]] });
};

async function readAll(exchange: Exchange): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const frame of exchange) {
    pieces.push(...frame.payload.map((piece) => Buffer.from(piece)));
    frame.release();
    if (frame.message.type === "readEnd") break;
  }
  return Buffer.concat(pieces);
}

test("a connection carries many requests at once and gives each its own frames", async (t) => {
  const server = await listen(serveReads);
  const connection = await opened(server);
  const handles = Array.from({ length: 12 }, (_, i) => i + 1);
  const answers = await Promise.all(
    handles.map((n) => readAll(connection.request({ ...READ, handle: chunkHandle(n) }))),
  );
  answers.forEach((bytes, i) => {
    t.is(bytes.byteLength, 3 * MiB);
    t.true(bytes.every((byte) => byte === handles[i]));
  });
  t.is(connection.welcome?.serverId, serverId(9));
  t.is(connection.openRequests, 0);
  connection.close();
  await server.close();
});

function isThirteen(message: OpeningMessage): boolean {
  return "handle" in message && message.handle === 13;
}

test("an error of the handler reaches the asker with code and servers; the rest goes on", async (t) => {
  const server = await listen(async (first, exchange) => {
    if (isThirteen(first.message)) throw new LumeoError("CHECKSUM", "bad", { servers: [3] });
    await serveReads(first, exchange);
  });
  const connection = await opened(server);
  const bad = connection.request({ ...READ, handle: chunkHandle(13) });
  const error = await t.throwsAsync(bad.receive(), { instanceOf: LumeoError });
  t.like(error, { code: "CHECKSUM", message: "bad", details: { servers: [3] } });
  bad.finish();
  t.is((await readAll(connection.request(READ))).byteLength, 3 * MiB);
  connection.close();
  await server.close();
});

test("an error with a very long message reaches the asker, and the connection goes on", async (t) => {
  const server = await listen(async (first, exchange) => {
    if (isThirteen(first.message)) throw new LumeoError("UNAVAILABLE", "x".repeat(100_000));
    await serveReads(first, exchange);
  });
  const connection = await opened(server);
  const bad = connection.request({ ...READ, handle: chunkHandle(13) });
  await t.throwsAsync(bad.receive(), { code: "UNAVAILABLE" });
  bad.finish();
  t.is((await readAll(connection.request(READ))).byteLength, 3 * MiB);
  connection.close();
  await server.close();
});

test("a server reads no more payload than its budget has room for", async (t) => {
  const room = new Budget(2 * MiB);
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let mostUsed = 0;
  const server = await listen(async (_first, exchange) => {
    await released;
    for (let i = 0; i < 8; i++) {
      const frame = await exchange.receive();
      mostUsed = Math.max(mostUsed, room.used);
      frame.release();
    }
    exchange.send({ type: "writeDone", length: 8 * MiB, crc32c: 0, servers: [] });
  }, room);
  const connection = await opened(server);
  const write = { type: "writeOpen" as const, handle: chunkHandle(1), epoch: epoch(1), chain: [] };
  const exchange = connection.request(write);
  const bytes = new Uint8Array(MiB);
  const crcs = blockCrcs([bytes], crc32c);
  for (let i = 0; i < 8; i++)
    void exchange.send({ type: "writeData", offset: i * MiB, crcs }, [bytes]);
  while (room.used < 2 * MiB || room.waiting === 0) await new Promise((r) => setImmediate(r));
  t.is(room.used, 2 * MiB);
  release();
  t.is((await exchange.receive()).message.type, "writeDone");
  t.true(mostUsed <= 2 * MiB);
  t.is(room.used, 0);
  connection.close();
  await server.close();
});

test("a broken connection fails every open request with CONNECTION_LOST", async (t) => {
  const server = await listen(async (_first, exchange) => {
    await exchange.receive();
  });
  const connection = await opened(server);
  const waiting = [connection.request(READ).receive(), connection.request(READ).receive()];
  const sockets = await Promise.allSettled([
    ...waiting,
    new Promise<void>((resolve) => {
      connection.whenClosed(resolve);
      connection.close(new LumeoError("CONNECTION_LOST", "cut"));
    }),
  ]);
  t.deepEqual(
    sockets.slice(0, 2).map((one) => one.status === "rejected" && one.reason.code),
    ["CONNECTION_LOST", "CONNECTION_LOST"],
  );
  t.like(
    t.throws(() => connection.request(READ)),
    { code: "CONNECTION_LOST" },
  );
  await server.close();
});

test("garbage and a missing hello close the connection and harm nobody else", async (t) => {
  const server = await listen(serveReads);
  const good = await opened(server);
  for (const bytes of [
    "GET / HTTP/1.1\r\nHost: here\r\n\r\n",
    "\x4c\x46\x01\x14".padEnd(64, "\0"),
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, "127.0.0.1", () => socket.write(bytes));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
    });
  }
  t.is((await readAll(good.request(READ))).byteLength, 3 * MiB);
  good.close();
  await server.close();
});

/** The bytes of a small write, but only so many of its payload. */
function smallWrite(payloadBytes: number): Uint8Array {
  const bytes = new Uint8Array(100_000);
  const message = {
    type: "writeSmall" as const,
    handle: chunkHandle(1),
    epoch: epoch(1),
    chain: [],
    length: bytes.byteLength,
    crc32c: 0,
    crcs: blockCrcs([bytes], crc32c),
  };
  const head = encodeFrameHead(1, message, bytes.byteLength, crc32c);
  return Buffer.concat([head, bytes.subarray(0, payloadBytes)]);
}

/** Sends bytes on a new connection; resolves when the server has closed it. */
function sendRaw(server: FrameServer, bytes: readonly Uint8Array[]): Promise<void> {
  return new Promise<void>((resolve) => {
    const socket = connect(server.port, "127.0.0.1", () => {
      for (const part of bytes) socket.write(part);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
    socket.resume();
  });
}

const helloBytes = () => encodeFrameHead(0, HELLO, 0, crc32c);

test("a write before the hello is refused and takes no room away", async (t) => {
  const room = new Budget(MiB);
  const server = await listen(serveReads, room);
  await sendRaw(server, [smallWrite(100_000)]);
  t.is(room.used, 0);
  await server.close();
});

test("a writer that falls silent in the middle of its first frame is cut, its room is free", async (t) => {
  const room = new Budget(MiB);
  const server = await listen(serveReads, room, 100);
  await sendRaw(server, [helloBytes(), smallWrite(50_000)]);
  t.is(room.used, 0);
  await server.close();
});

test("a writer that fell silent while it waited for room is cut when it has got it", async (t) => {
  const room = new Budget(100_000);
  const server = await listen(serveReads, room, 1_000);
  const held = room.tryTake(100_000);
  const cut = sendRaw(server, [Buffer.concat([helloBytes(), smallWrite(50_000)])]);
  while (room.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  await sendRaw(server, []); // one that came later is already cut for its silence
  held?.release();
  await cut;
  t.is(room.used, 0);
  await server.close();
});

test("a reader that takes nothing does not keep the server from closing", async (t) => {
  let served: () => void = () => undefined;
  const isServed = new Promise<void>((resolve) => {
    served = resolve;
  });
  const server = await listen(async (_first, exchange) => {
    const bytes = new Uint8Array(MiB);
    const crcs = blockCrcs([bytes], crc32c);
    for (let i = 0; i < 32; i++) exchange.send({ type: "readData", offset: 0, crcs }, [bytes]);
    served();
  });
  const socket = connect(server.port, "127.0.0.1", () => {
    socket.write(helloBytes());
    socket.write(encodeFrameHead(1, READ, 0, crc32c));
  });
  socket.on("error", () => undefined);
  socket.pause();
  await isServed;
  await server.close();
  t.pass();
  socket.destroy();
});

test("a refused hello fails the first request with the server's reason", async (t) => {
  const server = await listen(serveReads);
  const connection = await opened(server, { ...HELLO, clusterId: "other" });
  const exchange = connection.request(READ);
  const error = await t.throwsAsync(exchange.receive(), { instanceOf: LumeoError });
  t.is(error?.code, "INVALID_ARGUMENT");
  await server.close();
});

test("FramePool shares one connection, lends exclusive ones again, and waits at its limit", async (t) => {
  const server = await listen(serveReads);
  const address = `127.0.0.1:${server.port}`;
  const pool = new FramePool({ hello: () => HELLO, exclusiveMax: 2 });
  const [a, b] = await Promise.all([pool.shared({ address }), pool.shared({ address })]);
  t.is(a, b);
  t.not(await pool.shared({ address, lane: 1 }), a);
  const first = await pool.exclusive({ address });
  const second = await pool.exclusive({ address });
  t.not(first.connection, second.connection);
  const third = pool.exclusive({ address });
  first.release();
  first.release();
  t.is((await third).connection, first.connection);
  a.close();
  t.not(await pool.shared({ address }), a);
  await pool.close();
  await t.throwsAsync(async () => pool.shared({ address }), { code: "CLOSED" });
  await server.close();
});

test("connecting to nobody is UNAVAILABLE", async (t) => {
  const server = await listen(serveReads);
  const address = `127.0.0.1:${server.port}`;
  await server.close();
  const pool = new FramePool({ hello: () => HELLO });
  await t.throwsAsync(pool.shared({ address }), { code: "UNAVAILABLE" });
  await t.throwsAsync(pool.exclusive({ address }), { code: "UNAVAILABLE" });
  await pool.close();
});
