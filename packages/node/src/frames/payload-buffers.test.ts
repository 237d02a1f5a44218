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

test("what is kept is bounded, and more is handed out all the same", (t) => {
  const buffers = new PayloadBuffers();
  const out = Array.from({ length: 100 }, () => buffers.take(MiB));
  const kept = out.filter(beginsAtPage);
  t.is(kept.length, 64);
  for (const piece of out) buffers.give(piece);
  const again = Array.from({ length: 65 }, () => buffers.take(MiB));
  t.is(again.filter(beginsAtPage).length, 64);
  t.is(
    again.every((piece) => piece.byteLength === MiB),
    true,
  );
});
