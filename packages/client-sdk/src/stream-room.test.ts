import { CancelSource, MiB } from "@lumeofs/base";
import test from "ava";
import type { StreamSource } from "./body.js";
import { FrameReader, RetainedChunk } from "./chunk-body.js";
import { FRAME_BYTES } from "./frame-buffers.js";
import { STREAM_ROOM_BYTES, StreamRoom } from "./stream-room.js";

const CHUNK_BYTES = STREAM_ROOM_BYTES / 4;

/** Alarms that ring when the test says so. */
function alarms() {
  const wakes = new Set<() => void>();
  const add = (_: number, wake: () => void) => {
    wakes.add(wake);
    return { cancel: () => void wakes.delete(wake) };
  };
  const ring = (): void => {
    for (const wake of [...wakes]) wake();
  };
  return { timers: { after: add, every: add }, ring, wakes };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("a fifth chunk waits until one of four is stored, and whoever came first is served first", async (t) => {
  const { timers } = alarms();
  const streams = new StreamRoom();
  const signal = new CancelSource();
  const take = () => streams.take(CHUNK_BYTES, timers, signal);
  const rooms = await Promise.all([take(), take(), take(), take()]);
  const order: string[] = [];
  const fifth = take().then(() => order.push("fifth"));
  const sixth = take().then(() => order.push("sixth"));
  await turn();
  t.deepEqual(order, []);
  rooms[2]?.end();
  await fifth;
  rooms[2]?.end();
  await turn();
  t.deepEqual(order, ["fifth"], "room is given back once");
  rooms[0]?.end();
  await sixth;
});

test("whoever is cancelled while waiting for room gets none", async (t) => {
  const { timers } = alarms();
  const streams = new StreamRoom();
  const cancelled = new CancelSource();
  const room = await streams.take(STREAM_ROOM_BYTES, timers, cancelled);
  const waiting = streams.take(CHUNK_BYTES, timers, cancelled);
  const reason = new Error("enough");
  cancelled.abort(reason);
  t.is(await t.throwsAsync(waiting), reason);
  room.end();
  await streams.take(STREAM_ROOM_BYTES, timers, new CancelSource());
});

test("a source that is slow holds up nobody (M2)", async (t) => {
  const { timers, ring, wakes } = alarms();
  const streams = new StreamRoom();
  const signal = new CancelSource();
  let give: (piece: Uint8Array | undefined) => void = () => undefined;
  const source: StreamSource = {
    kind: "stream",
    next: () => new Promise((resolve) => (give = resolve)),
    close: async () => undefined,
  };
  const chunk = new RetainedChunk(new FrameReader(source), streams.buffers, STREAM_ROOM_BYTES);
  chunk.readWithin(await streams.take(STREAM_ROOM_BYTES, timers, signal));
  const other = streams.take(MiB, timers, signal);
  const quick = chunk.frame(0);
  t.is(wakes.size, 2, "it is looked after how long the source takes");
  give(new Uint8Array(FRAME_BYTES));
  t.is((await quick)?.byteLength, FRAME_BYTES);
  t.is(wakes.size, 1, "the frame came in time");
  const slow = chunk.frame(1);
  ring();
  (await other).end();
  give(new Uint8Array(7));
  await turn();
  give(undefined);
  t.is((await slow)?.byteLength, 7, "what it has is kept");
});

test("servers that do not answer hold up nobody else (M3)", async (t) => {
  const { timers, ring, wakes } = alarms();
  const streams = new StreamRoom();
  const signal = new CancelSource();
  const stuck = await streams.take(STREAM_ROOM_BYTES, timers, signal);
  const other = streams.take(MiB, timers, signal);
  ring();
  (await other).end();
  stuck.end();
  t.is(wakes.size, 0);
});
