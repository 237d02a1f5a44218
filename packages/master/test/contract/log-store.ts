// What every LogStore must do, as tests. Run for the one in memory and for the one on LevelDB, so
// that what the simulation proves with the first holds for the second.

import { LumeoError, type NodeId, nodeId, SeededRandom } from "@lumeofs/base";
import type { ExecutionContext, TestFn } from "ava";
import type { LogStore } from "../../src/consensus/log-store.js";
import {
  type Entry,
  type EntryKind,
  logIndex,
  type Membership,
  type SnapshotMeta,
  term,
} from "../../src/raft/entry.js";
import { NOBODY } from "../../src/raft/membership.js";
import { encodeMembership } from "../../src/raft/membership-codec.js";

/** A medium on which stores are opened one after the other. */
export interface LogMedium {
  /** Opens the store as it is after a restart. */
  open(): Promise<LogStore>;
  dispose(): Promise<void>;
}

export const FOUNDERS: Membership = membership("m1", "m2", "m3");

export function membership(...names: readonly string[]): Membership {
  const voters = names.map(nodeId);
  const addresses: Record<NodeId, string> = {};
  for (const voter of voters) addresses[voter] = `${voter}:1`;
  return { ...NOBODY, voters, addresses };
}

export function entry(index: number, inTerm: number, text = `entry ${index}`): Entry {
  const data = new TextEncoder().encode(text);
  return { index: logIndex(index), term: term(inTerm), kind: "command", data };
}

export function entries(from: number, to: number, inTerm: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, inTerm));
}

export function meta(index: number, inTerm: number, members = FOUNDERS): SnapshotMeta {
  return { index: logIndex(index), term: term(inTerm), membership: members };
}

/** A write of entries alone. */
export function append(...added: readonly Entry[]) {
  return { hardState: undefined, truncateFrom: undefined, entries: added };
}

/** Declares the tests of the contract for one kind of store. */
export function testLogStore(test: TestFn, name: string, make: () => Promise<LogMedium>): void {
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
  testAppends(check);
  testTruncation(check);
  testCompaction(check);
  testReset(check);
  testModel(check);
}

type Check = (
  title: string,
  body: (t: ExecutionContext, medium: LogMedium) => Promise<void>,
) => void;

function testAppends(check: Check): void {
  check("a new log is empty and begins with the founders", async (t, medium) => {
    const store = await medium.open();
    t.is<number, number>(store.first, 1);
    t.is<number, number>(store.last, 0);
    t.is(store.bytes, 0);
    t.is<number, number>(store.termAt(logIndex(0)), 0);
    t.deepEqual(store.membershipAt(logIndex(0)), FOUNDERS);
    t.deepEqual(store.hardState, { term: term(0), votedFor: undefined });
    t.deepEqual(store.snapshot, meta(0, 0));
    await store.close();
  });

  check("entries and hard state are there after a restart", async (t, medium) => {
    let store = await medium.open();
    const hardState = { term: term(7), votedFor: nodeId("m2") };
    await store.write({ hardState, truncateFrom: undefined, entries: entries(1, 3, 7) });
    await store.write(append(entry(4, 8)));
    const { bytes } = store;
    await store.close();
    store = await medium.open();
    t.deepEqual(store.hardState, hardState);
    t.is<number, number>(store.last, 4);
    t.is(store.bytes, bytes);
    t.is<number, number>(store.termAt(logIndex(3)), 7);
    t.is<number, number>(store.termAt(logIndex(4)), 8);
    t.deepEqual(read(store, 1, 4), [...entries(1, 3, 7), entry(4, 8)].map(plain));
    await store.close();
  });

  check("entries are given up to the bytes asked for, but at least one", async (t, medium) => {
    const store = await medium.open();
    await store.write(append(...entries(1, 9, 1)));
    const all = store.entries(logIndex(1), logIndex(9), 1e9);
    t.is(all.length, 9);
    t.is(store.entries(logIndex(2), logIndex(9), 0).length, 1);
    t.is(store.entries(logIndex(2), logIndex(9), store.bytes / 3).length, 3);
    await store.close();
  });

  check("kinds and empty data survive", async (t, medium) => {
    let store = await medium.open();
    const kinds: EntryKind[] = ["noop", "command", "membership"];
    const data = (kind: EntryKind) =>
      kind === "membership" ? encodeMembership(membership("m1", "m4")) : new Uint8Array(0);
    const all = kinds.map((kind, i) => ({ ...entry(i + 1, 1), kind, data: data(kind) }));
    await store.write(append(...all));
    await store.close();
    store = await medium.open();
    t.deepEqual(read(store, 1, 3), all.map(plain));
    t.deepEqual(store.membershipAt(logIndex(2)), FOUNDERS);
    t.deepEqual(store.membershipAt(logIndex(3)), membership("m1", "m4"));
    await store.close();
  });

  check("after close every call says that it is closed", async (t, medium) => {
    const store = await medium.open();
    await store.close();
    await store.close();
    const error = await t.throwsAsync(store.write(append(entry(1, 1))), { instanceOf: LumeoError });
    t.is((error as LumeoError).code, "CLOSED");
    t.throws(() => store.termAt(logIndex(0)), { instanceOf: LumeoError });
  });
}

function testTruncation(check: Check): void {
  check("a truncated end is gone, also after a restart", async (t, medium) => {
    let store = await medium.open();
    await store.write(append(...entries(1, 9, 1)));
    const write = { hardState: undefined, truncateFrom: logIndex(4), entries: [entry(4, 2)] };
    await store.write(write);
    const expected = [...entries(1, 3, 1), entry(4, 2)].map(plain);
    t.is<number, number>(store.last, 4);
    t.deepEqual(read(store, 1, 4), expected);
    await store.close();
    store = await medium.open();
    t.is<number, number>(store.last, 4);
    t.deepEqual(read(store, 1, 4), expected);
    await store.write(append(...entries(5, 6, 2)));
    t.is<number, number>(store.termAt(logIndex(6)), 2);
    await store.close();
  });

  check("truncation takes a membership back", async (t, medium) => {
    const store = await medium.open();
    const data = encodeMembership(membership("m9"));
    await store.write(append(entry(1, 1), { ...entry(2, 1), kind: "membership", data }));
    t.deepEqual(store.membershipAt(store.last), membership("m9"));
    await store.write({ hardState: undefined, truncateFrom: logIndex(2), entries: [] });
    t.is<number, number>(store.last, 1);
    t.deepEqual(store.membershipAt(store.last), FOUNDERS);
    await store.close();
  });

  check("truncation behind the end changes nothing", async (t, medium) => {
    const store = await medium.open();
    await store.write(append(...entries(1, 3, 1)));
    await store.write({ hardState: undefined, truncateFrom: logIndex(9), entries: [] });
    t.is<number, number>(store.last, 3);
    await store.close();
  });
}

function testCompaction(check: Check): void {
  check("compaction forgets the front and keeps the tail", async (t, medium) => {
    let store = await medium.open();
    await store.write(append(...entries(1, 5, 1), ...entries(6, 9, 2)));
    await store.compact(meta(8, 2), logIndex(6));
    for (const reopened of [false, true]) {
      if (reopened) {
        await store.close();
        store = await medium.open();
      }
      t.is<number, number>(store.first, 7);
      t.is<number, number>(store.last, 9);
      t.is<number, number>(store.termAt(logIndex(6)), 2);
      t.deepEqual(store.snapshot, meta(8, 2));
      t.deepEqual(read(store, 7, 9), entries(7, 9, 2).map(plain));
    }
    await store.close();
  });

  check("compaction up to the end leaves an empty log that goes on", async (t, medium) => {
    let store = await medium.open();
    await store.write(append(...entries(1, 3, 1)));
    await store.compact(meta(3, 1), logIndex(3));
    t.is<number, number>(store.first, 4);
    t.is<number, number>(store.last, 3);
    t.is(store.bytes, 0);
    await store.write(append(entry(4, 1)));
    await store.close();
    store = await medium.open();
    t.deepEqual(read(store, 4, 4), [plain(entry(4, 1))]);
    await store.close();
  });

  check("a membership that was compacted away still counts", async (t, medium) => {
    let store = await medium.open();
    const data = encodeMembership(membership("m1", "m7"));
    await store.write(append({ ...entry(1, 1), kind: "membership", data }, ...entries(2, 4, 1)));
    await store.compact(meta(3, 1, membership("m1", "m7")), logIndex(2));
    await store.close();
    store = await medium.open();
    t.deepEqual(store.membershipAt(logIndex(2)), membership("m1", "m7"));
    t.deepEqual(store.membershipAt(logIndex(4)), membership("m1", "m7"));
    await store.close();
  });
}

function testReset(check: Check): void {
  for (const [title, index] of [
    ["ahead of the log", 50],
    ["within the log", 4],
  ] as const) {
    check(`a reset ${title} leaves an empty log behind the snapshot`, async (t, medium) => {
      let store = await medium.open();
      const hardState = { term: term(5), votedFor: nodeId("m3") };
      await store.write({ hardState, truncateFrom: undefined, entries: entries(1, 9, 1) });
      await store.reset(meta(index, 4));
      await store.write(append(...entries(index + 1, index + 2, 5)));
      for (const reopened of [false, true]) {
        if (reopened) {
          await store.close();
          store = await medium.open();
        }
        t.is<number, number>(store.first, index + 1);
        t.is<number, number>(store.last, index + 2);
        t.is<number, number>(store.termAt(logIndex(index)), 4);
        t.deepEqual(store.hardState, hardState);
        t.deepEqual(store.snapshot, meta(index, 4));
      }
      await store.close();
    });
  }
}

/** Random changes and restarts, against an array. */
function testModel(check: Check): void {
  check("any sequence of changes gives what a plain list gives", async (t, medium) => {
    const random = new SeededRandom(7, "log");
    const draw = (below: number) => Math.floor(random.fraction() * below);
    let store = await medium.open();
    let [model, base, currentTerm]: [Entry[], number, number] = [[], 0, 1];
    for (let step = 0; step < 200; step++) {
      const last = base + model.length;
      const action = draw(10);
      if (action < 5) {
        const added = entries(last + 1, last + 1 + draw(20), currentTerm);
        await store.write(append(...added));
        model.push(...added);
      } else if (action < 7 && 0 < model.length) {
        currentTerm += 1;
        const cut = base + 1 + draw(model.length);
        const added = entries(cut, cut + draw(4), currentTerm);
        const truncateFrom = logIndex(cut);
        await store.write({ hardState: undefined, truncateFrom, entries: added });
        model = [...model.slice(0, cut - base - 1), ...added];
      } else if (action < 8 && 0 < model.length) {
        const upTo = base + 1 + draw(model.length);
        await store.compact(meta(upTo, store.termAt(logIndex(upTo))), logIndex(upTo));
        model = model.slice(upTo - base);
        base = upTo;
      } else if (action < 9) {
        await store.close();
        store = await medium.open();
      } else if (draw(4) === 0) {
        base = last + draw(5);
        await store.reset(meta(base, currentTerm));
        model = [];
      }
      t.is<number, number>(store.first, base + 1);
      t.is<number, number>(store.last, base + model.length);
      t.deepEqual(read(store, base + 1, base + model.length), model.map(plain));
    }
    await store.close();
  });
}

function read(store: LogStore, from: number, to: number): readonly object[] {
  if (to < from) return [];
  return store.entries(logIndex(from), logIndex(to), 1e9).map(plain);
}

/** Comparable: data may be any view of bytes. */
function plain({ index, term, kind, data }: Entry): object {
  return { index, term, kind, data: Buffer.from(data).toString("hex") };
}
