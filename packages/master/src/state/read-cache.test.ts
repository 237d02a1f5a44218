import test from "ava";
import { ReadCache } from "./read-cache.js";

const key = (n: number): Uint8Array => Uint8Array.of(n >>> 16, n >>> 8, n);

test("what was read is known, until its key changes or all is cleared", (t) => {
  const cache = new ReadCache();
  cache.add(key(1), Uint8Array.of(1));
  t.deepEqual(cache.get(key(1)), Uint8Array.of(1));
  cache.forget(key(1));
  t.is(cache.get(key(1)), undefined);
  cache.add(key(1), Uint8Array.of(2));
  t.deepEqual(cache.get(key(1)), Uint8Array.of(2));
  cache.clear();
  t.is(cache.get(key(1)), undefined);
});

test("a pair that is asked for stays, others leave when there are too many", (t) => {
  const cache = new ReadCache();
  const value = Uint8Array.of(7);
  for (let n = 0; n < 40_000; n++) {
    cache.add(key(n), value);
    t.is(cache.get(key(0)), value);
  }
  t.is(cache.get(key(1)), undefined);
  t.is(cache.get(key(39_999)), value);
});

test("a changed key is forgotten in both halves", (t) => {
  const cache = new ReadCache();
  cache.add(key(0), Uint8Array.of(1));
  for (let n = 1; n < 8_193; n++) cache.add(key(n), Uint8Array.of(0));
  t.deepEqual(cache.get(key(0)), Uint8Array.of(1)); // young again, and old still
  cache.forget(key(0));
  t.is(cache.get(key(0)), undefined);
});

test("large values leave when they take too much, however few they are", (t) => {
  const cache = new ReadCache();
  const value = new Uint8Array(16_000);
  for (let n = 0; n < 2_000; n++) cache.add(key(n), value);
  const known = Array.from({ length: 2_000 }, (_, n) => cache.get(key(n)));
  const kept = known.filter((one) => one !== undefined).length;
  t.true(400 < kept && kept < 1_200, `${kept} are known`);
  cache.add(key(9_999), new Uint8Array(20_000));
  t.is(cache.get(key(9_999)), undefined);
});
