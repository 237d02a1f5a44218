import { KiB, MiB } from "@lumeofs/base";
import test from "ava";
import { beginsAtPage } from "../aligned-memory.js";
import { PayloadBuffers } from "./payload-buffers.js";

const place = ({ buffer, byteOffset }: Uint8Array) => ({ buffer, byteOffset });

test("memory that was given back is handed out again, exactly as long as asked for", (t) => {
  const buffers = new PayloadBuffers();
  const first = buffers.take(100 * KiB);
  t.is(first.byteLength, 100 * KiB);
  buffers.give(first);
  const second = buffers.take(128 * KiB);
  t.is(second.byteLength, 128 * KiB);
  t.deepEqual(place(second), place(first));
  t.notDeepEqual(place(buffers.take(100 * KiB)), place(first));
});

test("whoever holds memory holds it alone, and it begins at a page", (t) => {
  const buffers = new PayloadBuffers();
  const held = [MiB, 65 * KiB, 200 * KiB, 300 * KiB].flatMap((bytes) => {
    return Array.from({ length: 20 }, () => buffers.take(bytes));
  });
  for (const [n, piece] of held.entries()) piece.fill(n);
  for (const [n, piece] of held.entries()) {
    t.true(beginsAtPage(piece));
    t.is(piece[0], n);
    t.is(piece.at(-1), n);
  }
});

test("small pieces are not kept", (t) => {
  const buffers = new PayloadBuffers();
  const small = buffers.take(64 * KiB);
  buffers.give(small);
  t.not(buffers.take(64 * KiB).buffer, small.buffer);
});
