import { CELL_BYTES_MIN } from "@lumeofs/base";
import test from "ava";
import { StripeArenas } from "./stripe-arenas.js";

const CODE = { data: 2, parity: 1, cellBytes: CELL_BYTES_MIN };

test("there is room for two stripes, and for a third when every cell of one has left (M1)", async (t) => {
  const arena = new StripeArenas().take(CODE);
  const [one, two] = [await arena.take(), await arena.take()];
  t.is(new Set([...one.cells, ...two.cells]).size, 6);
  let third: typeof one | undefined;
  const taking = arena.take().then((room) => {
    third = room;
  });
  one.sent();
  two.sent();
  one.sent();
  await new Promise((resolve) => setImmediate(resolve));
  t.is(third, undefined);
  one.sent();
  await taking;
  t.is(third?.cells, one.cells);
});

test("memory that came back is used again, but not while something waits to leave from it", async (t) => {
  const arenas = new StripeArenas();
  const arena = arenas.take(CODE);
  const room = await arena.take();
  arenas.give(CODE, arena);
  await new Promise((resolve) => setImmediate(resolve));
  t.not(arenas.take(CODE), arena);
  for (const _ of room.cells) room.sent();
  await arena.whenUnused();
  await new Promise((resolve) => setImmediate(resolve));
  t.not(arenas.take({ ...CODE, cellBytes: 2 * CELL_BYTES_MIN }), arena);
  t.is(arenas.take(CODE), arena);
});
