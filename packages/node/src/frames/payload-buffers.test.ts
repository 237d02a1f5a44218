import { KiB } from "@lumeofs/base";
import test from "ava";
import { PayloadBuffers } from "./payload-buffers.js";

test("memory that was given back is handed out again, exactly as long as asked for", (t) => {
  const buffers = new PayloadBuffers(1024 * KiB);
  const first = buffers.take(100 * KiB);
  t.is(first.byteLength, 100 * KiB);
  buffers.give(first);
  const second = buffers.take(128 * KiB);
  t.is(second.byteLength, 128 * KiB);
  t.is(second.buffer, first.buffer);
  t.not(buffers.take(100 * KiB).buffer, second.buffer);
});

test("no more memory is kept than allowed, and small pieces not at all", (t) => {
  const buffers = new PayloadBuffers(1024 * KiB);
  const [one, two] = [buffers.take(1024 * KiB), buffers.take(1024 * KiB)];
  buffers.give(one);
  buffers.give(two);
  t.is(buffers.take(1024 * KiB).buffer, one.buffer);
  t.not(buffers.take(1024 * KiB).buffer, two.buffer);
  const small = buffers.take(64 * KiB);
  buffers.give(small);
  t.not(buffers.take(64 * KiB).buffer, small.buffer);
});
