import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Disk, LumeoError } from "@lumeofs/base";
import { FileDisk, SystemTimers } from "@lumeofs/node";
import test from "ava";
import { bytes, change, contents, mark } from "../../test/contract/state-store.js";
import {
  type LevelDatabase,
  type LevelScan,
  type OpenLevel,
  openLevel,
} from "../consensus/level-database.js";
import type { FreezableState } from "./frozen-state.js";
import { openLevelState } from "./level-state.js";
import { MemoryStateDisk } from "./memory-databases.js";
import { openMemoryState } from "./memory-state.js";
import type { StateStore } from "./state-store.js";
import { FLUSH_MARKS } from "./store-records.js";

const timers = new SystemTimers({ unref: true });

async function within(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-state-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function open(folder: string, openDatabase: OpenLevel = openLevel): Promise<FreezableState> {
  const disk = await FileDisk.open(folder);
  return openLevelState({ folder, disk, timers, openDatabase });
}

async function flushed(store: StateStore, from: number, to: number): Promise<void> {
  for (let index = from; index <= to; index++) {
    change(store, index, { [`k${index % 10}`]: String(index) });
    await store.flush();
  }
}

async function imageOf(store: StateStore): Promise<Uint8Array> {
  const image = await store.image();
  const pieces: Uint8Array[] = [];
  for await (const piece of image.pieces()) pieces.push(new Uint8Array(piece));
  await image.close();
  return Buffer.concat(pieces);
}

async function* once(piece: Uint8Array): AsyncIterable<Uint8Array> {
  yield piece;
}

test("The state refuses a database from which any one batch has vanished", async (t) => {
  for (const vanished of [1, 7, 12]) {
    await within(async (folder) => {
      // The batch is acknowledged, but never reaches the database: as after a flipped bit in the
      // write-ahead log of LevelDB.
      let batches = 0;
      const store = await open(folder, async (...args) => {
        const db = await openLevel(...args);
        return {
          ...faceOf(db),
          write: (all) => (++batches === vanished ? pause() : db.write(all)),
        };
      });
      await flushed(store, 1, 12);
      await store.close();
      if (vanished === 12) {
        // The last one: the state is simply older, and the log will bring it forward.
        const older = await open(folder);
        t.deepEqual(older.durable, mark(11));
        await older.close();
        return;
      }
      const error = await t.throwsAsync(open(folder), { instanceOf: LumeoError });
      t.is((error as LumeoError).code, "CORRUPT");
      t.regex(error?.message ?? "", /a batch is missing.*under a new name/);
    });
  }
});

test("The state notices a vanished batch also after its mark would have been removed", async (t) => {
  await within(async (folder) => {
    let batches = 0;
    const store = await open(folder, async (...args) => {
      const db = await openLevel(...args);
      const vanished = FLUSH_MARKS + 3;
      return { ...faceOf(db), write: (all) => (++batches === vanished ? pause() : db.write(all)) };
    });
    await flushed(store, 1, 2 * FLUSH_MARKS + 10);
    await store.close();
    await t.throwsAsync(open(folder), { message: /a batch is missing/ });
  });
});

test("The state opens after many flushes with none of their old marks left", async (t) => {
  await within(async (folder) => {
    const store = await open(folder);
    await flushed(store, 1, FLUSH_MARKS + 50);
    await store.close();
    const again = await open(folder);
    t.deepEqual(again.durable, mark(FLUSH_MARKS + 50));
    await again.close();
  });
});

test("A flush ends though changes come as fast as they are written", async (t) => {
  const limits = { flushDelayMs: 1_000, flushBytes: 100, waitingBytesMax: 1_000_000 };
  let writes = 0;
  const durability = async (land: () => void): Promise<void> => {
    await Promise.resolve();
    if (++writes < 50) change(store, 1 + writes, { [`k${writes}`]: "x".repeat(200) });
    land();
  };
  const store = await openMemoryState(new MemoryStateDisk(), timers, { durability, limits });
  change(store, 1, { a: "1" });
  await store.flush();
  t.true(writes < 5, `${writes} writes were waited for`);
  await store.close();
});

test("The state is poisoned by the first failed flush", async (t) => {
  await within(async (folder) => {
    let isBroken = false;
    const store = await open(folder, async (...args) => {
      const db = await openLevel(...args);
      const write: LevelDatabase["write"] = (all) =>
        isBroken ? Promise.reject(new Error("no space left")) : db.write(all);
      return { ...faceOf(db), write };
    });
    await flushed(store, 1, 3);
    isBroken = true;
    change(store, 4, { a: "4" });
    await t.throwsAsync(store.flush(), { message: /no space left/ });
    isBroken = false;
    t.throws(() => store.get(bytes("a")), { message: /no space left/ });
    t.throws(() => change(store, 5, { a: "5" }), { message: /no space left/ });
    await t.throwsAsync(store.flush(), { message: /no space left/ });
    await store.close();
    const again = await open(folder);
    t.deepEqual(again.durable, mark(3));
    await again.close();
  });
});

test("The first read that fails is told, so that nobody leads on without a state", async (t) => {
  await within(async (folder) => {
    let isBroken = false;
    const openFragile: OpenLevel = async (...args) => {
      const db = await openLevel(...args);
      const get: LevelDatabase["get"] = (key) => {
        if (isBroken) throw new LumeoError("CORRUPT", "block checksum mismatch");
        return db.get(key);
      };
      return { ...faceOf(db), get };
    };
    const first = await open(folder);
    change(first, 1, { a: "1" });
    await first.close();
    const store = await open(folder, openFragile);
    isBroken = true;
    t.throws(() => store.get(bytes("a")), { message: /block checksum mismatch/ });
    t.like(await store.failed, { code: "STORE_FAILED" });
    await store.close();
  });
});

test("What is being listed when the state is closed is no failure of the store", async (t) => {
  await within(async (folder) => {
    let isHolding = false;
    let goOn = (): void => undefined;
    let hold = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      hold = resolve;
    });
    const store = await open(folder, async (...args) => {
      const db = await openLevel(...args);
      const scan: LevelDatabase["scan"] = (range) => {
        const real = db.scan(range);
        const next: LevelScan["next"] = async (count) => {
          const page = await real.next(count);
          if (!isHolding) return page;
          return new Promise((resolve) => {
            goOn = () => resolve(page);
            hold();
          });
        };
        return { next, close: () => real.close() };
      };
      return { ...faceOf(db), scan };
    });
    change(store, 1, { a: "1", b: "2" });
    await store.flush();
    isHolding = true;
    const listing = store.range(bytes("a"), bytes("z"), 100);
    await held;
    await store.close();
    goOn();
    await t.throwsAsync(listing, { code: "CLOSED" });
    const told = store.failed.then(() => "told");
    t.is(await Promise.race([told, new Promise((resolve) => setImmediate(resolve))]), undefined);
  });
});

test("A crash at any step of an installation leaves the old state or the new one", async (t) => {
  await within(async (folder) => {
    const source = join(folder, "source");
    const store = await open(source);
    change(store, 9, { new: "state" });
    await store.flush();
    const image = await imageOf(store);
    await store.close();
    let isComplete = false;
    for (let calls = 0; !isComplete; calls++) {
      const target = join(folder, `target-${calls}`);
      isComplete = await installUntilCrash(target, image, calls);
      const after = await open(target);
      const { index } = after.durable;
      t.deepEqual(await contents(after), index === 9 ? [["new", "state"]] : [["old", "state"]]);
      t.true(index === 9 || (index === 2 && !isComplete));
      await after.close();
      const left = (await readdir(target)).filter((name) => name.startsWith("state-"));
      t.is(left.length, 1);
    }
  });
});

/** Installs, but the disk fails from a certain call on; then everything is copied as it is. */
async function installUntilCrash(
  target: string,
  image: Uint8Array,
  calls: number,
): Promise<boolean> {
  const folder = `${target}-running`;
  const disk = await FileDisk.open(folder);
  let left = Number.POSITIVE_INFINITY;
  const spend = (): void => {
    left -= 1;
    if (left < 0) throw new Error("crash");
  };
  const fragile = counted(disk, spend);
  const store = await openLevelState({ folder, disk: fragile, timers });
  change(store, 2, { old: "state" });
  await store.flush();
  left = calls;
  const done = await store.install(mark(9), once(image)).then(
    () => true,
    () => false,
  );
  // The copy is what a restart would find; LevelDB's lock does not matter for it.
  await cp(folder, target, { recursive: true });
  left = Number.POSITIVE_INFINITY;
  await store.close().catch(() => undefined);
  return done;
}

/** A disk that spends something on every call that changes what a restart finds. */
function counted(disk: FileDisk, spend: () => void): Disk {
  return {
    list: (folder) => disk.list(folder),
    exists: (path) => disk.exists(path),
    makeFolder: (path) => disk.makeFolder(path),
    remove: (path) => disk.remove(path),
    space: () => disk.space(),
    open: async (path, options) => {
      spend();
      const file = await disk.open(path, options);
      return {
        readAt: (into, position) => file.readAt(into, position),
        writeAt: async (parts, position) => {
          spend();
          return file.writeAt(parts, position);
        },
        writeDurably: async (parts, position) => {
          spend();
          return file.writeDurably(parts, position);
        },
        sync: async () => {
          spend();
          return file.sync();
        },
        truncate: (length) => file.truncate(length),
        size: () => file.size(),
        close: () => file.close(),
      };
    },
    rename: async (from, to) => {
      spend();
      return disk.rename(from, to);
    },
    syncFolder: async (path) => {
      spend();
      return disk.syncFolder(path);
    },
  };
}

test("The state refuses a CURRENT that says nothing sensible or names what is missing", async (t) => {
  await within(async (folder) => {
    const store = await open(folder);
    await store.close();
    t.is(await readFile(join(folder, "CURRENT"), "utf8"), "state-1\n");
    for (const wrong of ["", "state-1", "../x\n", "state-7\n"]) {
      await writeFile(join(folder, "CURRENT"), wrong);
      const error = await t.throwsAsync(open(folder), { instanceOf: LumeoError });
      t.is((error as LumeoError).code, "CORRUPT", wrong);
    }
  });
});

/** The methods of a database, bound, so that one of them can be replaced. */
function faceOf(db: LevelDatabase): LevelDatabase {
  return {
    get: (key) => db.get(key),
    write: (operations) => db.write(operations),
    scan: (range) => db.scan(range),
    snapshot: () => db.snapshot(),
    close: () => db.close(),
  };
}

function pause(): Promise<void> {
  return Promise.resolve();
}
