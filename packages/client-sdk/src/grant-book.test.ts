import { monotonicMs, serverId } from "@lumeofs/base";
import test from "ava";
import { type Grant, GrantBook } from "./grant-book.js";

const now = monotonicMs(0);

function grant(number: number, servers: readonly number[], usableUntil = 100): Grant {
  const replicas = servers.map((n) => ({ server: serverId(n), name: `cs${n}`, address: `h:${n}` }));
  return {
    firstHandle: number * 64,
    handleCount: 3,
    epoch: 1,
    replicas,
    usableUntil: monotonicMs(usableUntil),
    token: Uint8Array.of(number),
  };
}

test("every handle is given out once, from one grant after the other (G1, G4)", (t) => {
  const book = new GrantBook();
  book.add(grant(1, [1]));
  book.add(grant(2, [2]));
  t.is(book.available(now), 6);
  const handles = Array.from({ length: 6 }, () => book.take(now)?.handle as number);
  t.deepEqual(
    handles.toSorted((a, b) => a - b),
    [64, 65, 66, 128, 129, 130],
  );
  const grants = handles.map((handle) => Math.floor(handle / 64));
  t.not(grants[0], grants[1]);
  t.is(book.take(now), undefined);
});

test("a grant ends at its time (G2)", (t) => {
  const book = new GrantBook();
  book.add(grant(1, [1], 100));
  t.is(book.take(monotonicMs(99))?.handle, 64);
  t.is(book.take(monotonicMs(100)), undefined);
  t.is(book.available(monotonicMs(100)), 0);
});

test("grants with a failed server are forgotten, others stay (G3)", (t) => {
  const book = new GrantBook();
  book.add(grant(1, [1, 2, 3]));
  book.add(grant(2, [1, 3, 4]));
  book.dropServers(new Set([serverId(2)]));
  t.is(book.available(now), 3);
  t.is(book.take(now)?.handle, 128);
});

test("grants of a token that was refused are forgotten, the others stay", (t) => {
  const book = new GrantBook();
  const refused = grant(1, [1]);
  book.add(refused);
  book.add(grant(2, [2]));
  book.dropToken(refused.token as Uint8Array);
  t.is(book.available(now), 3);
  t.deepEqual(book.take(now)?.token, Uint8Array.of(2));
});
