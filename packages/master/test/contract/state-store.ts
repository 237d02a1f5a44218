// What every StateStore must do, as tests. Run for the one in memory and for the one on LevelDB.

import { SeededRandom } from "@lumeofs/base";
import type { ExecutionContext, TestFn } from "ava";
import { logIndex, term } from "../../src/raft/entry.js";
import type { AppliedMark, StateStore } from "../../src/state/state-store.js";

/** A medium on which stores are opened one after the other. */
export interface StateMedium {
  /** Opens the store as it is after a restart. */
  open(): Promise<StateStore>;
  dispose(): Promise<void>;
}

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(`\x10${text}`));
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString("latin1").slice(1);

export function mark(index: number, inTerm = 1): AppliedMark {
  return { index: logIndex(index), term: term(inTerm) };
}

/** One unit of changes: undefined removes. */
export function change(
  store: StateStore,
  index: number,
  changes: Readonly<Record<string, string | undefined>>,
): void {
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) store.delete(bytes(key));
    else store.put(bytes(key), bytes(value));
  }
  store.commit(mark(index));
}

/** Everything that the store shows, in its order. */
export async function contents(store: StateStore): Promise<readonly (readonly string[])[]> {
  const pairs = await store.range(bytes(""), new Uint8Array([0x11]), 1_000_000);
  return pairs.map(([key, value]) => [text(key) ?? "", text(value) ?? ""]);
}

/** Declares the tests of the contract for one kind of store. */
export function testStateStore(test: TestFn, name: string, make: () => Promise<StateMedium>): void {
  const check: Check = (title, body) => {
    test(`${name}: ${title}`, async (t) => {
      const medium = await make();
      try {
        await body(t, medium);
      } finally {
        await medium.dispose();
      }
    });
  };
  testChanges(check);
  testImages(check);
  testInstalls(check);
  testModel(check);
}

type Check = (
  title: string,
  body: (t: ExecutionContext, medium: StateMedium) => Promise<void>,
) => void;

function testChanges(check: Check): void {
  check("a change is seen at once and is there after a flush and a restart", async (t, medium) => {
    let store = await medium.open();
    t.deepEqual(store.applied, mark(0, 0));
    change(store, 1, { a: "1", b: "2" });
    change(store, 2, { a: undefined, c: "3" });
    t.is(text(store.get(bytes("b"))), "2");
    t.is(store.get(bytes("a")), undefined);
    t.deepEqual(store.applied, mark(2));
    await store.flush();
    t.deepEqual(store.durable, mark(2));
    await store.close();
    store = await medium.open();
    t.deepEqual(store.applied, mark(2));
    t.deepEqual(store.durable, mark(2));
    t.deepEqual(await contents(store), [
      ["b", "2"],
      ["c", "3"],
    ]);
    await store.close();
  });

  check("changes made while a flush is under way are flushed too", async (t, medium) => {
    let store = await medium.open();
    change(store, 1, { a: "1" });
    const first = store.flush();
    change(store, 2, { a: "2" });
    t.is(text(store.get(bytes("a"))), "2");
    await first;
    t.true(1 <= store.durable.index);
    await store.flush();
    t.deepEqual(store.durable, mark(2));
    await store.close();
    store = await medium.open();
    t.is(text(store.get(bytes("a"))), "2");
    await store.close();
  });

  check("a range is the state of the moment when it was asked for", async (t, medium) => {
    const store = await medium.open();
    change(store, 1, { a: "1", b: "1", c: "1" });
    await store.flush();
    change(store, 2, { b: undefined, bb: "2" });
    const asked = contents(store);
    change(store, 3, { a: undefined, d: "3" });
    const flushed = store.flush();
    t.deepEqual(await asked, [
      ["a", "1"],
      ["bb", "2"],
      ["c", "1"],
    ]);
    await flushed;
    t.deepEqual(await contents(store), [
      ["bb", "2"],
      ["c", "1"],
      ["d", "3"],
    ]);
    await store.close();
  });

  check("a range ends before its end and after its count", async (t, medium) => {
    const store = await medium.open();
    change(store, 1, { a: "1", c: "1", e: "1" });
    await store.flush();
    change(store, 2, { b: "2", d: "2", e: undefined });
    const keys = async (from: string, to: string, count: number) =>
      (await store.range(bytes(from), bytes(to), count)).map(([key]) => text(key));
    t.deepEqual(await keys("a", "d", 10), ["a", "b", "c"]);
    t.deepEqual(await keys("b", "z", 2), ["b", "c"]);
    t.deepEqual(await keys("b", "z", 10), ["b", "c", "d"]);
    t.deepEqual(await keys("x", "z", 10), []);
    t.deepEqual(await keys("a", "z", 0), []);
    await store.close();
  });

  check("closing makes everything durable", async (t, medium) => {
    let store = await medium.open();
    change(store, 1, { a: "1" });
    await store.close();
    t.throws(() => store.get(bytes("a")), { message: /closed/ });
    store = await medium.open();
    t.deepEqual(store.durable, mark(1));
    t.is(text(store.get(bytes("a"))), "1");
    await store.close();
  });
}

function testImages(check: Check): void {
  check("an image is the durable state, whatever changes meanwhile", async (t, medium) => {
    const store = await medium.open();
    change(store, 1, { a: "1", b: "1" });
    await store.flush();
    change(store, 2, { a: "2" });
    const image = await store.image();
    t.is<number, number>(image.index, 1);
    await store.flush();
    const pieces = await collected(image.pieces());
    await image.close();
    await store.install(mark(1), once(pieces));
    t.deepEqual(store.applied, mark(1));
    t.deepEqual(store.durable, mark(1));
    t.deepEqual(await contents(store), [
      ["a", "1"],
      ["b", "1"],
    ]);
    await store.close();
  });

  check(
    "a captured state is the one at its entry, whatever waits or changes",
    async (t, medium) => {
      const store = await medium.open();
      change(store, 1, { a: "1", b: "1" });
      await store.flush();
      change(store, 2, { a: "2", c: "2" });
      const flushing = store.flush();
      change(store, 3, { b: undefined, d: "3" });
      const captured = store.capture();
      change(store, 4, { a: "4", c: undefined, e: "4" });
      await flushing;
      await store.flush();
      t.is<number, number>(captured.index, 3);
      const pieces = await collected(captured.pieces());
      await captured.close();
      const image = await store.image();
      const later = await collected(image.pieces());
      await image.close();
      await store.install(mark(3), once(pieces));
      t.deepEqual(await contents(store), [
        ["a", "2"],
        ["c", "2"],
        ["d", "3"],
      ]);
      const durable = await store.image();
      t.deepEqual(await collected(durable.pieces()), pieces, "as an image of the same state");
      await durable.close();
      t.notDeepEqual(later, pieces);
      await store.close();
    },
  );
}

function testInstalls(check: Check): void {
  check("an installed image replaces everything, also after a restart", async (t, medium) => {
    let store = await medium.open();
    change(store, 1, { a: "1" });
    await store.flush();
    const image = await store.image();
    const pieces = await collected(image.pieces());
    await image.close();
    change(store, 2, { a: "2", b: "2" });
    await store.flush();
    change(store, 3, { c: "3" });
    await store.install(mark(1), once(pieces));
    change(store, 5, { d: "5" });
    await store.close();
    store = await medium.open();
    t.deepEqual(store.applied, mark(5));
    t.deepEqual(await contents(store), [
      ["a", "1"],
      ["d", "5"],
    ]);
    await store.close();
  });

  check("a damaged image is refused and the old state stays in use", async (t, medium) => {
    let store = await medium.open();
    change(store, 1, { a: "1" });
    await store.flush();
    const image = await store.image();
    const pieces = await collected(image.pieces());
    await image.close();
    change(store, 2, { b: "2" });
    const damaged = [
      pieces.subarray(0, pieces.length - 1),
      pieces.subarray(0, 12),
      Buffer.concat([pieces, pieces]),
      ...[0, 4, 9, 20, pieces.length - 3].map((at) => {
        const flipped = new Uint8Array(pieces);
        flipped[at] = (flipped[at] ?? 0) ^ 1;
        return flipped;
      }),
    ];
    for (const bad of damaged) {
      await t.throwsAsync(store.install(mark(1), once(bad)), { message: /image of the state/ });
    }
    await t.throwsAsync(store.install(mark(9), once(pieces)), { message: /announced/ });
    t.deepEqual(await contents(store), [
      ["a", "1"],
      ["b", "2"],
    ]);
    await store.close();
    store = await medium.open();
    t.deepEqual(store.applied, mark(2));
    await store.close();
  });

  check("an image of many pairs survives in pieces of any size", async (t, medium) => {
    const store = await medium.open();
    const filler = "x".repeat(500);
    for (let i = 0; i < 1_000; i++) store.put(bytes(String(i)), bytes(`${i}${filler}`));
    store.commit(mark(1));
    await store.flush();
    const before = await contents(store);
    const image = await store.image();
    const whole = await collected(image.pieces());
    await image.close();
    change(store, 2, { a: "gone" });
    await store.install(mark(1), pieceBy(whole, 7_777));
    t.deepEqual(await contents(store), before);
    await store.close();
  });
}

function testModel(check: Check): void {
  check("any sequence of changes gives what a plain map gives", async (t, medium) => {
    const random = new SeededRandom(3, "state");
    const draw = (below: number) => Math.floor(random.fraction() * below);
    let store = await medium.open();
    const model = new Map<string, string>();
    let index = 0;
    for (let step = 0; step < 150; step++) {
      index += 1;
      for (let i = draw(8); 0 <= i; i--) {
        const key = String.fromCharCode(97 + draw(26), 97 + draw(3));
        if (draw(3) === 0) {
          model.delete(key);
          store.delete(bytes(key));
        } else {
          model.set(key, String(step));
          store.put(bytes(key), bytes(String(step)));
        }
      }
      store.commit(mark(index));
      if (draw(5) === 0) void store.flush();
      if (draw(20) === 0) {
        await store.close();
        store = await medium.open();
      }
      const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      t.deepEqual(await contents(store), expected);
    }
    await store.close();
  });
}

async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(new Uint8Array(piece));
  return Buffer.concat(all);
}

async function* once(piece: Uint8Array): AsyncIterable<Uint8Array> {
  yield piece;
}

async function* pieceBy(whole: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}
