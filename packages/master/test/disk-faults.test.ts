// What a failing, hanging, slow or full disk does to a member and to its group: raft.md 3.1 no. 11
// and 3.4, with whole members on virtual time.

import { readdir, readFile } from "node:fs/promises";
import { LumeoError, nodeId } from "@lumeofs/base";
import test from "ava";
import type { LevelDatabase, OpenLevel } from "../src/consensus/level-database.js";
import { LevelLogStore } from "../src/consensus/level-log-store.js";
import { logIndex } from "../src/raft/entry.js";
import { MemoryDatabase } from "../src/state/memory-databases.js";
import { append, entries, FOUNDERS, meta } from "./contract/log-store.js";
import { DriverGroup, type TestMember } from "./driver-group.js";

const FULL = new LumeoError("NO_SPACE", "Cannot write: no space is left (ENOSPC)");
const SICK = new LumeoError("STORE_FAILED", "Cannot write: input/output error (EIO)");

function texts(count: number, of: string): string[] {
  return Array.from({ length: count }, (_, i) => `${of}${i}`);
}

/** A database whose n-th write from now fails; whether it has landed nobody knows. */
class FailingDatabase {
  readonly #contents = new Map<string, Uint8Array>();
  /** Writes that still succeed. */
  left = Number.POSITIVE_INFINITY;
  error: LumeoError = FULL;
  lands = false;

  readonly open: OpenLevel = async () =>
    new MemoryDatabase(this.#contents, async (land) => {
      await Promise.resolve();
      this.left -= 1;
      // Once only: space or disk come back at once, and nobody may be taken in by that.
      if (this.left === -1) {
        if (this.lands) land();
        throw this.error;
      }
      land();
    }) as LevelDatabase;

  openLog(): Promise<LevelLogStore> {
    const options = { location: "log", node: nodeId("m1"), founders: FOUNDERS, store: "s1" };
    return LevelLogStore.open({ ...options, openDatabase: this.open });
  }
}

test("3.1.11: a leader whose disk hangs is replaced, and the group writes on", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put(...texts(10, "a"));
  const sick = await group.leader();
  sick.isDiskStalled = true;
  const lost = sick.driver?.propose(new TextEncoder().encode("in doubt")) as Promise<Uint8Array>;
  const others = group.all.filter((member) => member !== sick);
  await group.until(() => others.some((member) => member.isLeader));
  t.false(sick.isLeader);
  const outcome = await group.settled(lost);
  if (outcome.status === "rejected") t.is(outcome.reason.code, "LEADERSHIP_LOST");
  await group.put(...texts(10, "b"));
  await group.world.sleep(20_000);
  t.false(sick.isLeader, "it does not stand while its disk hangs");
  t.deepEqual(sick.fatal, []);
  sick.isDiskStalled = false;
  await group.converge();
  t.deepEqual(await sick.commands(), await others[0]?.commands());
});

test("3.1.11: a slow disk of a follower slows nobody down", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put(...texts(10, "a"));
  const leader = await group.leader();
  const slow = group.all.find((member) => member !== leader) as TestMember;
  slow.logMs = 1_000;
  const begin = group.world.now;
  for (const text of texts(20, "b")) await group.put(text);
  t.true(group.world.now - begin < 1_000, "nobody waited for the slow one");
  slow.logMs = 3;
  await group.converge();
});

test("3.4.34: one failed write ends a member, whatever its disk says afterwards", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put(...texts(10, "a"));
  const sick = await group.leader();
  sick.isDiskBroken = true;
  const doubt = sick.driver?.propose(new TextEncoder().encode("in doubt")) as Promise<Uint8Array>;
  const outcome = await group.settled(doubt);
  t.is(outcome.status, "rejected");
  sick.isDiskBroken = false;
  t.is(sick.fatal.length, 1);
  const later = await group.settled(sick.driver?.propose(new Uint8Array(1)) as Promise<Uint8Array>);
  t.is(later.status === "rejected" && later.reason.code, "STORE_FAILED");
  sick.crash();
  await group.put(...texts(10, "b"));
  await sick.start();
  await group.converge();
  const texts20 = await sick.commands();
  for (const text of [...texts(10, "a"), ...texts(10, "b")]) t.true(texts20.includes(text));
});

for (const [number, error] of [
  ["33", FULL],
  ["34", SICK],
] as const) {
  for (const lands of [false, true]) {
    const what = `${error.message}, ${lands ? "though it has landed" : "and it has not landed"}`;
    test(`3.4.${number}: a log whose write fails is used no more: ${what}`, async (t) => {
      const database = new FailingDatabase();
      const log = await database.openLog();
      await log.write(append(...entries(1, 5, 1)));
      Object.assign(database, { left: 0, error, lands });
      await t.throwsAsync(log.write(append(...entries(6, 8, 1))));
      // The disk works again: what the store says now could be lost, so it says nothing.
      await t.throwsAsync(log.write(append(...entries(6, 8, 1))));
      await t.throwsAsync(log.compact(meta(3, 1), logIndex(2)));
      t.throws(() => log.entries(logIndex(1), logIndex(5), 1 << 20));
      await log.close();
      const again = await database.openLog();
      t.is<number, number>(again.last, lands ? 8 : 5);
      t.deepEqual(
        again.entries(logIndex(1), logIndex(5), 1 << 20).map(({ index }) => index as number),
        [1, 2, 3, 4, 5],
      );
      await again.close();
    });

    test(`3.4.${number}: a log whose compaction fails is whole: ${what}`, async (t) => {
      const database = new FailingDatabase();
      const log = await database.openLog();
      await log.write(append(...entries(1, 9, 1)));
      Object.assign(database, { left: 0, error, lands });
      await t.throwsAsync(log.compact(meta(9, 1), logIndex(5)));
      await t.throwsAsync(log.write(append(...entries(10, 10, 1))));
      await log.close();
      const again = await database.openLog();
      t.is<number, number>(again.first, lands ? 6 : 1);
      t.is<number, number>(again.last, 9);
      await again.close();
    });
  }
}

test("3.4.33: a new log that finds no space at the start begins anew when there is some", async (t) => {
  for (const lands of [false, true]) {
    const database = new FailingDatabase();
    Object.assign(database, { left: 0, error: FULL, lands });
    await t.throwsAsync(database.openLog());
    const log = await database.openLog();
    await log.write(append(...entries(1, 3, 1)));
    t.is<number, number>(log.last, 3);
    await log.close();
  }
});

test("3.4.33: a leader that must not write hands over, and the group writes on", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put(...texts(10, "a"));
  const full = await group.leader();
  full.driver?.suspendWriting();
  const handed = await group.settled(full.driver?.group.transfer() as Promise<void>);
  t.is(handed.status, "fulfilled");
  t.not(await group.leader(), full);
  const written = full.log.contents.entries.length;
  await group.put(...texts(200, "b"));
  await group.world.sleep(30_000);
  t.is(full.log.contents.entries.length, written, "it writes nothing more");
  t.false(full.isLeader);
  t.deepEqual(full.fatal, []);
  full.driver?.resumeWriting();
  await group.converge();
  t.deepEqual(await full.commands(), await (await group.leader()).commands());
});

test("3.4.33: a member that must not write still shortens its log", async (t) => {
  const limits = { compactEntries: 1_000, tailEntries: 5, compactBytes: 1e9, tailBytes: 1e9 };
  const group = await DriverGroup.start(1, limits);
  const [member] = group.all as [TestMember];
  for (let at = 0; at < 990; at += 90) await group.put(...texts(90, `a${at}-`));
  await group.put(...texts(20, "b"));
  member.driver?.suspendWriting();
  await group.world.sleep(2_000);
  t.true(member.log.contents.entries.length < 100, `${member.log.contents.entries.length} entries`);
});

test("3.4.41: every write to LevelDB is synced, and none clears", async (t) => {
  const source = new URL("../../src/", import.meta.url);
  for (const name of await readdir(source, { recursive: true })) {
    if (!name.endsWith(".ts") || name.endsWith(".test.ts")) continue;
    const text = await readFile(new URL(name, source), "utf8");
    if (name !== "consensus/level-database.ts") {
      t.false(text.includes('from "classic-level"'), `${name} uses LevelDB by itself`);
      continue;
    }
    t.is(text.split(".write(").length - 1, text.split("sync: true").length - 1);
    t.false(/\.(clear|put|del)\(\)|sync: false|level\.(put|del|clear)\(/.test(text));
  }
});
