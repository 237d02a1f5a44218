import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Disk, LumeoError, nodeId, SeededRandom } from "@lumeofs/base";
import { FileDisk, readerAtSync } from "@lumeofs/node";
import { SimDisk } from "@lumeofs/testkit";
import test from "ava";
import { append, entries, entry, FOUNDERS, meta } from "../../test/contract/log-store.js";
import { type Entry, logIndex, term } from "../raft/entry.js";
import { ENTRY_DATA_BYTES_MAX } from "./entry-codec.js";
import { WalLogStore } from "./wal-log-store.js";

/** Small, so that a few writes fill some. */
const SEGMENT_BYTES = 400;

async function within(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-wal-log-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function openIn(root: string, options: { node?: string; recentBytesMax?: number } = {}) {
  const disk = await FileDisk.open(root);
  return open(disk, { ...options, readAtSync: readerAtSync(root) });
}

function open(
  disk: Disk,
  options: {
    readonly node?: string;
    readonly recentBytesMax?: number;
    readonly readAtSync?: ReturnType<typeof readerAtSync>;
  } = {},
): Promise<WalLogStore> {
  const noReads = (): never => {
    throw new Error("everything is in memory here");
  };
  return WalLogStore.open({
    disk,
    readAtSync: options.readAtSync ?? noReads,
    folder: "wal",
    node: nodeId(options.node ?? "m1"),
    founders: FOUNDERS,
    store: "s1",
    recentBytesMax: options.recentBytesMax ?? 1e9,
    segmentBytes: SEGMENT_BYTES,
  });
}

/** Several segments, a compaction, an end that was taken back. */
async function fill(store: WalLogStore): Promise<void> {
  await store.write(append(...entries(1, 20, 1)));
  await store.write(append(...entries(21, 40, 1)));
  await store.compact(meta(30, 1), logIndex(25));
  const hardState = { term: term(3), votedFor: nodeId("m2") };
  await store.write({ hardState, truncateFrom: logIndex(38), entries: entries(38, 45, 2) });
  await store.write(append(...entries(46, 50, 3)));
}

function contents(store: WalLogStore): string {
  const all = store.first <= store.last ? store.entries(store.first, store.last, 1e9) : [];
  const shown = all.map(({ index, term, data }) => `${index}/${term}/${Buffer.from(data)}`);
  return JSON.stringify([store.hardState, store.snapshot, store.first, shown]);
}

async function segmentsOf(root: string): Promise<readonly string[]> {
  const names = await readdir(join(root, "wal"));
  return names.filter((name) => name.endsWith(".wal")).map((name) => join(root, "wal", name));
}

test("WalLogStore.open() refuses a closed log with any byte flipped, or reads it as it was", async (t) => {
  await within(async (root) => {
    const store = await openIn(root);
    await fill(store);
    const expected = contents(store);
    await store.close();
    const random = new SeededRandom(11);
    let refused = 0;
    for (const path of await segmentsOf(root)) {
      const bytes = await readFile(path);
      for (let n = 0; n < 40; n++) {
        const flipped = Buffer.from(bytes);
        const at = Math.floor(random.fraction() * bytes.byteLength);
        flipped[at] = (flipped[at] ?? 0) ^ 0x10;
        await writeFile(path, flipped);
        const opened = await openIn(root).catch((error: unknown) => error);
        if (opened instanceof LumeoError) {
          refused += 1;
          t.is(opened.code, "CORRUPT");
        } else {
          // Only what says nothing may be damaged: the seal at the end, bytes between records.
          t.is(contents(opened as WalLogStore), expected);
          await (opened as WalLogStore).close();
          for (const made of await segmentsOf(root)) if (path < made) await rm(made);
        }
        await writeFile(path, bytes);
      }
    }
    t.true(100 < refused);
  });
});

test("WalLogStore.open() refuses a log with any segment missing", async (t) => {
  await within(async (root) => {
    const store = await openIn(root);
    await fill(store);
    await store.close();
    const paths = await segmentsOf(root);
    t.true(2 < paths.length);
    for (const path of paths.slice(0, -1)) {
      const bytes = await readFile(path);
      await rm(path);
      await t.throwsAsync(openIn(root), { message: /missing|damaged|begins/ }, path);
      await writeFile(path, bytes);
    }
  });
});

test("WalLogStore.open() refuses another member's log", async (t) => {
  await within(async (root) => {
    const store = await openIn(root);
    await fill(store);
    await store.close();
    await t.throwsAsync(openIn(root, { node: "m2" }), { message: /belongs to another/ });
  });
});

test("a torn last write is dropped, all before it stays", async (t) => {
  await within(async (root) => {
    const store = await openIn(root);
    await store.write(append(...entries(1, 3, 1)));
    const before = contents(store);
    await store.write(append(entry(4, 1)));
    const path = (await segmentsOf(root)).at(-1) ?? "";
    const torn = await readFile(path);
    await store.close();
    const end = torn.lastIndexOf("entry 4") + 3;
    torn.fill(0, end);
    await writeFile(path, torn);
    const opened = await openIn(root);
    t.is(contents(opened), before);
    await opened.write(append(entry(4, 2)));
    await opened.close();
    const again = await openIn(root);
    t.is<number, number>(again.termAt(logIndex(4)), 2);
    await again.close();
  });
});

test("entries that are not in memory are read from the disk, and checked", async (t) => {
  await within(async (root) => {
    const store = await openIn(root, { recentBytesMax: 1 });
    await fill(store);
    const some = store.entries(logIndex(30), logIndex(40), 1e9);
    t.deepEqual(
      some.map(({ index, term }) => [index, term] as const),
      [...entries(30, 37, 1), ...entries(38, 40, 2)].map(({ index, term }) => [index, term]),
    );
    for (const path of await segmentsOf(root)) {
      const bytes = await readFile(path);
      const at = bytes.lastIndexOf("entry 40");
      if (at < 0) continue;
      bytes[at] = 0;
      await writeFile(path, bytes);
    }
    t.is(store.entries(logIndex(46), logIndex(46), 1e9).length, 1); // now another group is at hand
    t.throws(() => store.entries(logIndex(38), logIndex(40), 1e9), { message: /damaged/ });
    t.throws(() => store.termAt(logIndex(40)), { instanceOf: LumeoError });
    await t.throwsAsync(store.write(append(entry(51, 3))), { instanceOf: LumeoError });
    await store.close();
  });
});

test("an entry larger than a record of the log is written and read as a whole", async (t) => {
  await within(async (root) => {
    const data = new Uint8Array(ENTRY_DATA_BYTES_MAX).fill(7);
    const large: Entry = { ...entry(1, 1), data };
    for (const recentBytesMax of [1e9, 1]) {
      const store = await openIn(root, { recentBytesMax });
      if (store.last === 0) await store.write(append(large, entry(2, 1)));
      const [read] = store.entries(logIndex(1), logIndex(1), 1e9);
      t.true(Buffer.from(read?.data ?? []).equals(data));
      await store.close();
    }
  });
});

test("segments that nobody needs are removed, and serve again", async (t) => {
  await within(async (root) => {
    const store = await openIn(root);
    for (let at = 1; at < 2_000; at += 20) {
      await store.write(append(...entries(at, at + 19, 1)));
      if (100 < at) await store.compact(meta(at, 1), logIndex(at - 50));
    }
    t.true((await segmentsOf(root)).length < 10);
    const expected = contents(store);
    await store.close();
    const opened = await openIn(root);
    t.is(contents(opened), expected);
    await opened.close();
  });
});

for (const loss of ["all", "none", "some"] as const) {
  test(`a crash at any call of the disk that keeps ${loss} loses nothing acknowledged`, async (t) => {
    for (let crashAt = 1, ended = false; !ended; crashAt++) {
      let crashed: () => void = () => {};
      const crash = new Promise<"crashed">((resolve) => {
        crashed = () => resolve("crashed");
      });
      let isArmed = true;
      const machine = new SimDisk({
        random: new SeededRandom(crashAt, loss),
        faultOf: ({ number }) => (isArmed && number === crashAt ? "crash" : undefined),
        crashed: () => crashed(),
      });
      // What may be there afterwards: the last acknowledged contents, or those of the next change.
      const possible: string[] = [];
      const run = async (): Promise<"ended"> => {
        const store = await open(machine.mount());
        possible.push(contents(store));
        const steps = stepsOf(store);
        for (const step of steps) {
          const promise = step.change();
          possible.push(step.after);
          await promise;
          possible.splice(0, possible.length - 1);
        }
        return "ended";
      };
      ended = (await Promise.race([run(), crash])) === "ended";
      isArmed = false;
      machine.crash(loss);
      const opened = await open(machine.mount());
      const found = contents(opened);
      const isNew = possible.length === 0; // it crashed before the store was there
      t.true(isNew ? opened.last === 0 : possible.includes(found), `crash at call ${crashAt}`);
      await opened.write(append(entry(opened.last + 1, 9)));
      await opened.close();
    }
  });
}

for (const loss of ["all", "none", "some"] as const) {
  test(`3.4.38: a crash that keeps ${loss} while whole segments are cut off leaves the log before or after`, async (t) => {
    for (let crashAt = 1, ended = false; !ended; crashAt++) {
      let crashed: () => void = () => {};
      const crash = new Promise<"crashed">((resolve) => {
        crashed = () => resolve("crashed");
      });
      let left = Number.POSITIVE_INFINITY;
      const machine = new SimDisk({
        random: new SeededRandom(crashAt, loss),
        faultOf: () => (--left === 0 ? "crash" : undefined),
        crashed: () => crashed(),
      });
      const store = await open(machine.mount());
      for (let at = 1; at < 90; at += 15) await store.write(append(...entries(at, at + 14, 1)));
      const segments = machine.paths().filter((path) => path.endsWith(".wal"));
      t.true(3 < segments.length);
      const before = contents(store);
      left = crashAt;
      let isAcknowledged = false;
      const hardState = { term: term(2), votedFor: undefined };
      const run = async (): Promise<"ended"> => {
        await store.write({ hardState, truncateFrom: logIndex(5), entries: entries(5, 30, 2) });
        isAcknowledged = true;
        await store.write(append(...entries(31, 32, 2)));
        return "ended";
      };
      ended = (await Promise.race([run(), crash])) === "ended";
      left = Number.POSITIVE_INFINITY;
      machine.crash(loss);
      const opened = await open(machine.mount());
      const isAfter = opened.hardState.term === 2;
      t.true(isAfter || !isAcknowledged, `crash at call ${crashAt}: what was acknowledged is gone`);
      if (!isAfter) t.is(contents(opened), before, `crash at call ${crashAt}`);
      else {
        t.true(30 <= opened.last && opened.last <= 32, `crash at call ${crashAt}: ${opened.last}`);
        for (let at = 1; at <= opened.last; at++) {
          t.is<number, number>(opened.termAt(logIndex(at)), at < 5 ? 1 : 2);
        }
      }
      await opened.close();
    }
  });
}

/** Changes, with what the store holds after each. */
function stepsOf(store: WalLogStore) {
  const none = { term: term(0), votedFor: undefined };
  const voted = { term: term(4), votedFor: nodeId("m3") };
  const shown = (hardState: object, snapshot: object, all: readonly Entry[], first: number) =>
    JSON.stringify([
      hardState,
      snapshot,
      first,
      all.map(({ index, term, data }) => `${index}/${term}/${Buffer.from(data)}`),
    ]);
  const one = entries(1, 20, 1);
  const two = [...one, ...entries(21, 40, 1)];
  const three = [...two.slice(0, 29), ...entries(30, 45, 2)];
  const four = [...three.slice(25), ...entries(46, 60, 4)];
  const [zero, mid, far] = [meta(0, 0), meta(28, 1), meta(99, 4)];
  const cut = logIndex(30);
  return [
    { change: () => store.write(append(...one)), after: shown(none, zero, one, 1) },
    { change: () => store.write(append(...two.slice(20))), after: shown(none, zero, two, 1) },
    {
      change: () => store.write({ hardState: voted, truncateFrom: cut, entries: three.slice(29) }),
      after: shown(voted, zero, three, 1),
    },
    {
      change: () => store.compact(mid, logIndex(25)),
      after: shown(voted, mid, three.slice(25), 26),
    },
    { change: () => store.write(append(...four.slice(20))), after: shown(voted, mid, four, 26) },
    { change: () => store.reset(far), after: shown(voted, far, [], 100) },
    {
      change: () => store.write(append(...entries(100, 120, 4))),
      after: shown(voted, far, entries(100, 120, 4), 100),
    },
  ];
}
