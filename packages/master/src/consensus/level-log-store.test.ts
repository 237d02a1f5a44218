import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LumeoError, nodeId } from "@lumeofs/base";
import test from "ava";
import { append, entries, entry, FOUNDERS, meta } from "../../test/contract/log-store.js";
import { logIndex } from "../raft/entry.js";
import { type LevelDatabase, type LevelOperation, openLevel } from "./level-database.js";
import { LevelLogStore } from "./level-log-store.js";
import { ENTRY_KEYS, entryKey, HEAD_KEY, TAIL_KEY } from "./log-records.js";

const SETTINGS = { compression: false, cacheBytes: 1e6, writeBufferBytes: 1e6 };

async function within(body: (location: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-log-"));
  try {
    await body(join(folder, "log"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function open(location: string, node = "m1"): Promise<LevelLogStore> {
  return LevelLogStore.open({ location, node: nodeId(node), founders: FOUNDERS, store: "s1" });
}

async function filled(location: string): Promise<void> {
  const store = await open(location);
  await store.write(append(...entries(1, 4, 1)));
  await store.write(append(...entries(5, 8, 2)));
  await store.compact(meta(3, 1), logIndex(2));
  await store.close();
}

/** Changes the closed database behind the store's back. */
async function tamper(
  location: string,
  change: (db: LevelDatabase) => readonly LevelOperation[],
): Promise<void> {
  const db = await openLevel(location, SETTINGS);
  await db.write(change(db));
  await db.close();
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = new Uint8Array(bytes);
  changed[at] = (changed[at] ?? 0) ^ 0x10;
  return changed;
}

test("LevelLogStore.open() refuses a log with any byte of any value flipped", async (t) => {
  await within(async (location) => {
    await filled(location);
    const keys = [HEAD_KEY, TAIL_KEY, ...[3, 4, 5, 8].map(entryKey)];
    for (const key of keys) {
      let whole: Uint8Array = new Uint8Array(0);
      let length = 1;
      for (let at = 0; at < length; at++) {
        await tamper(location, (db) => {
          if (at === 0) whole = new Uint8Array(db.get(key) ?? whole);
          return [{ type: "put", key, value: flipped(whole, at) }];
        });
        length = whole.byteLength;
        const error = await t.throwsAsync(open(location), { instanceOf: LumeoError });
        if ((error as LumeoError).code !== "CORRUPT") t.fail(`byte ${at}: ${error?.message}`);
      }
      await tamper(location, () => [{ type: "put", key, value: whole }]);
    }
    const store = await open(location);
    t.is<number, number>(store.last, 8);
    await store.close();
  });
});

test("LevelLogStore.open() refuses a log that lacks an entry, and says which and what to do", async (t) => {
  for (const index of [3, 5, 8]) {
    await within(async (location) => {
      await filled(location);
      await tamper(location, () => [{ type: "del", key: entryKey(index) }]);
      const error = await t.throwsAsync(open(location), { instanceOf: LumeoError });
      t.is((error as LumeoError).code, "CORRUPT");
      t.true(error?.message.includes(`entry ${index} is missing`));
      t.true(error?.message.includes(location));
      t.regex(error?.message ?? "", /under a new name/);
    });
  }
});

test("LevelLogStore.open() refuses a log without head or tail record", async (t) => {
  for (const key of [HEAD_KEY, TAIL_KEY]) {
    await within(async (location) => {
      await filled(location);
      await tamper(location, () => [{ type: "del", key }]);
      await t.throwsAsync(open(location), { message: /record is missing/ });
    });
  }
});

test("LevelLogStore.open() refuses an entry that was replaced by another whole one", async (t) => {
  await within(async (location) => {
    await filled(location);
    // As after a lost truncation: the entry is intact, but it is not the one that follows.
    await within(async (other) => {
      const store = await open(other);
      await store.write(append(...entries(1, 4, 1), entry(5, 2, "another"), entry(6, 2)));
      await store.close();
      const db = await openLevel(other, SETTINGS);
      const value = new Uint8Array(db.get(entryKey(5)) ?? []);
      await db.close();
      await tamper(location, () => [{ type: "put", key: entryKey(5), value }]);
    });
    await t.throwsAsync(open(location), { message: /does not follow/ });
  });
});

test("LevelLogStore.open() refuses entries behind the end", async (t) => {
  await within(async (location) => {
    await filled(location);
    await tamper(location, (db) => {
      const value = new Uint8Array(db.get(entryKey(8)) ?? []);
      return [{ type: "put", key: entryKey(9), value }];
    });
    await t.throwsAsync(open(location), { message: /behind its end/ });
  });
});

test("LevelLogStore.open() refuses the log of another member", async (t) => {
  await within(async (location) => {
    await filled(location);
    await t.throwsAsync(open(location, "m2"), { message: /belongs to member "m1"/ });
  });
});

test("LevelLogStore.open() says that another process has the log open", async (t) => {
  await within(async (location) => {
    const store = await open(location);
    const error = await t.throwsAsync(open(location), { message: /another process/ });
    t.is((error as LumeoError).code, "STORE_FAILED");
    await store.close();
  });
});

test("LevelLogStore removes what an interrupted compaction has left", async (t) => {
  await within(async (location) => {
    await filled(location);
    await tamper(location, (db) => {
      const value = new Uint8Array(db.get(entryKey(3)) ?? []);
      return [1, 2].map((index) => ({ type: "put", key: entryKey(index), value }));
    });
    const store = await open(location);
    t.is<number, number>(store.first, 3);
    await store.close();
    const db = await openLevel(location, SETTINGS);
    const scan = db.scan(ENTRY_KEYS);
    t.is((await scan.next(100)).length, 6);
    await scan.close();
    await db.close();
  });
});

test("LevelLogStore removes compacted entries in the end, also over many compactions", async (t) => {
  await within(async (location) => {
    const store = await open(location);
    for (let i = 0; i < 10; i++) {
      await store.write(append(...entries(i * 300 + 1, i * 300 + 300, 1)));
      await store.compact(meta(i * 300 + 200, 1), logIndex(i * 300 + 100));
    }
    await store.reset(meta(10_000, 2));
    await store.write(append(...entries(10_001, 10_003, 2)));
    await store.close();
    const db = await openLevel(location, SETTINGS);
    const scan = db.scan(ENTRY_KEYS);
    t.is((await scan.next(10_000)).length, 3);
    await scan.close();
    await db.close();
  });
});

test("LevelLogStore is poisoned by the first failed write, even if later ones would succeed", async (t) => {
  await within(async (location) => {
    let writesLeft = 2;
    const store = await LevelLogStore.open({
      location,
      node: nodeId("m1"),
      founders: FOUNDERS,
      store: "s1",
      openDatabase: async (...args) => {
        const db = await openLevel(...args);
        return {
          get: (key) => db.get(key),
          scan: (range) => db.scan(range),
          snapshot: () => db.snapshot(),
          close: () => db.close(),
          write: (operations) => {
            writesLeft -= 1;
            if (writesLeft === 0) return Promise.reject(new Error("no space left on device"));
            return db.write(operations);
          },
        };
      },
    });
    const failed = store.write(append(entry(1, 1)));
    const error = await t.throwsAsync(failed, { message: /no space left/ });
    t.is((error as LumeoError).code, "STORE_FAILED");
    await t.throwsAsync(store.write(append(entry(1, 1))), { message: /no space left/ });
    t.throws(() => store.termAt(logIndex(0)), { message: /no space left/ });
    await store.close();
    const reopened = await open(location);
    t.is<number, number>(reopened.last, 0);
    await reopened.close();
  });
});
