// Snapshots and the shortening of the log, with whole members on virtual time.

import { LumeoError } from "@lumeofs/base";
import test from "ava";
import { DriverGroup, type TestMember } from "./driver-group.js";

/** The log is shortened soon, and for bytes alone. */
const SHORT = {
  compactEntries: 1_000_000,
  tailEntries: 10,
  compactBytes: 4_000,
  tailBytes: 2_000,
  logBytesMax: 1_000_000,
};

/** Snapshots are so slow that something can happen meanwhile. */
const SLOW_SNAPSHOTS = { ...SHORT, logBytesMax: 8_000, snapshotBytesPerSecond: 100_000 };

function texts(count: number, of: string): string[] {
  return Array.from({ length: count }, (_, i) => `${of}${i}`.padEnd(100, "."));
}

async function putAll(group: DriverGroup, all: readonly string[]): Promise<void> {
  for (let at = 0; at < all.length; at += 20) await group.put(...all.slice(at, at + 20));
}

function other(group: DriverGroup, ...not: readonly TestMember[]): TestMember {
  return group.all.find((member) => !not.includes(member)) as TestMember;
}

/** Lets a member fall so far behind that only a snapshot helps, and come back. */
async function fallBehind(group: DriverGroup): Promise<TestMember> {
  await putAll(group, texts(20, "a"));
  const behind = other(group, await group.leader());
  behind.crash();
  await putAll(group, texts(400, "b"));
  await group.world.sleep(500);
  return behind;
}

test("2.21: what a living slow member needs stays in the log while the budget allows", async (t) => {
  const group = await DriverGroup.start(3, SHORT);
  await putAll(group, texts(20, "a"));
  const leader = await group.leader();
  const slow = other(group, leader);
  slow.logMs = 1_500;
  let checks = 0;
  const stop = group.world.after(0, function check() {
    const first = leader.driver?.status.logFirst ?? 0;
    t.true(first <= (slow.driver?.status.logLast ?? 0) + 1, `the log begins at ${first}`);
    checks += 1;
    if (checks < 400) group.world.after(20, check);
  });
  for (const part of ["b", "c", "d", "e", "f", "g"]) {
    await putAll(group, texts(100, part));
    await group.world.sleep(1_000);
  }
  stop.cancel();
  t.true(200 <= checks, `${checks} checks`);
  slow.logMs = 3;
  await group.converge();
  await group.world.sleep(1_000);
  t.is(slow.machine?.applied, leader.machine?.applied);
  t.true(100 < (leader.driver?.status.logFirst ?? 0), "later the log is short again");
  t.deepEqual(await slow.disk.list("snapshots"), [], "no snapshot was needed");
});

test("2.21: beyond the budget a slow member is given a snapshot instead", async (t) => {
  const group = await DriverGroup.start(3, { ...SHORT, logBytesMax: 10_000 });
  const behind = await fallBehind(group);
  const leader = await group.leader();
  t.true(leader.log.contents.entries.length < 150, "the log was not kept for a silent member");
  await behind.start();
  await group.converge();
  t.deepEqual(await behind.commands(), await leader.commands());
});

test("Snapshots are made by the bytes that were applied, and only the newest stays", async (t) => {
  const group = await DriverGroup.start(1, { ...SHORT, snapshotLogBytes: 5_000 });
  const [member] = group.all;
  await putAll(group, texts(20, "a"));
  await group.world.sleep(1_000);
  t.deepEqual(await member?.disk.list("snapshots"), []);
  const seen = new Set<string>();
  for (const part of ["b", "c", "d", "e", "f", "g", "h"]) {
    await putAll(group, texts(100, part));
    await group.world.sleep(1_000);
    const names = (await member?.disk.list("snapshots")) ?? [];
    t.is(names.length, 1);
    seen.add(names[0] ?? "");
  }
  t.true(2 <= seen.size, "more than one was made");
  t.true(seen.size < 7, "the larger the state, the rarer they are made");
});

test("A transfer that breaks goes on where it was", async (t) => {
  const group = await DriverGroup.start(3, SLOW_SNAPSHOTS);
  const behind = await fallBehind(group);
  const [offsets, taken] = [[] as number[], [] as number[]];
  group.cutter = (bytes) => cut(bytes, 20_000, taken);
  await behind.start();
  await group.until(() => behind.listener !== undefined);
  const listener = behind.listener as NonNullable<TestMember["listener"]>;
  const { offered } = listener;
  listener.offered = async (from, offer) => {
    const offset = await offered(from, offer);
    offsets.push(offset ?? -1);
    return offset;
  };
  await group.converge();
  t.deepEqual(await behind.commands(), await (await group.leader()).commands());
  t.true(2 <= offsets.length, `offers: ${offsets.join(", ")}`);
  t.deepEqual(
    offsets,
    [...offsets].sort((a, b) => a - b),
    "every one went on behind the last",
  );
  t.true(taken.every((bytes) => bytes <= 20_000));
});

test("3.4.37: entries are applied while a snapshot is made and sent", async (t) => {
  const group = await DriverGroup.start(3, SLOW_SNAPSHOTS);
  const behind = await fallBehind(group);
  await behind.start();
  const leader = await group.leader();
  const appliedBefore = leader.machine?.applied ?? 0;
  await putAll(group, texts(60, "c"));
  t.true(behind.machine?.applied !== leader.machine?.applied, "the transfer is still under way");
  t.true(appliedBefore + 60 <= (leader.machine?.applied ?? 0));
  await group.converge();
  t.deepEqual(await behind.commands(), await leader.commands());
});

test("one snapshot is enough, though more comes in meanwhile than a slow member may cost", async (t) => {
  const group = await DriverGroup.start(3, SLOW_SNAPSHOTS);
  const behind = await fallBehind(group);
  await behind.start();
  await group.until(() => behind.listener !== undefined);
  const listener = behind.listener as NonNullable<TestMember["listener"]>;
  const offers = new Set<number>();
  const { offered } = listener;
  listener.offered = (from, offer) => {
    offers.add(offer.meta.index);
    return offered(from, offer);
  };
  const leader = await group.leader();
  let longest = 0;
  for (let i = 0; i < 12; i++) {
    await putAll(group, texts(20, `c${i}`));
    await group.world.sleep(50);
    longest = Math.max(longest, leader.driver?.figures.now.logBytes ?? 0);
  }
  await group.converge();
  t.deepEqual(await behind.commands(), await leader.commands());
  t.is(offers.size, 1, [...offers].join(", "));
  t.true(8_000 < longest, `${longest} bytes`);
  t.true(longest <= 32_000 + 8_000, `${longest} bytes`);
  await putAll(group, texts(100, "d"));
  await group.world.sleep(1_000);
  t.true((leader.driver?.figures.now.logBytes ?? 0) < 10_000, "later the log is short again");
});

test("3.4.37: a second snapshot may follow the first one at once", async (t) => {
  const group = await DriverGroup.start(3, {
    ...SHORT,
    logBytesMax: 8_000,
    snapshotLogBytes: 1_000,
  });
  const behind = await fallBehind(group);
  for (const part of ["c", "d", "e"]) {
    await behind.start();
    await group.until(() => 0 < (behind.machine?.applied ?? 0));
    await putAll(group, texts(150, part));
    behind.crash();
    await putAll(group, texts(300, part));
  }
  await behind.start();
  await group.converge();
  t.deepEqual(await behind.commands(), await (await group.leader()).commands());
});

test("3.4.37: a member that is cut off in the middle of a snapshot stays as it was", async (t) => {
  const group = await DriverGroup.start(3, SLOW_SNAPSHOTS);
  const behind = await fallBehind(group);
  await behind.start();
  await group.until(() => behind.disk !== undefined && behind.listener !== undefined);
  await group.world.sleep(300);
  group.isolate(behind.id);
  const before = behind.machine?.applied ?? 0;
  await group.world.sleep(5_000);
  t.true(before <= (behind.machine?.applied ?? 0));
  t.deepEqual(behind.fatal, []);
  group.heal();
  await group.converge();
  t.deepEqual(await behind.commands(), await (await group.leader()).commands());
});

test("3.4.33: a full disk ends a snapshot, not the member", async (t) => {
  const group = await DriverGroup.start(1, { ...SHORT, snapshotLogBytes: 1_000 });
  const [member] = group.all as [TestMember];
  const open = member.disk.open.bind(member.disk);
  let isFull = true;
  member.disk.open = async (path, options) => {
    const file = await open(path, options);
    const write = file.writeAt.bind(file);
    file.writeAt = async (parts, position) => {
      if (isFull) throw new LumeoError("NO_SPACE", "Cannot write: no space is left (ENOSPC)");
      await write(parts, position);
    };
    return file;
  };
  await putAll(group, texts(100, "a"));
  await group.world.sleep(1_000);
  t.deepEqual(member.fatal, []);
  t.deepEqual(await member.disk.list("snapshots"), [], "nothing is left of it");
  isFull = false;
  await putAll(group, texts(100, "b"));
  await group.world.sleep(1_000);
  t.is((await member.disk.list("snapshots")).length, 1, "space has come back");
});

async function* cut(
  bytes: AsyncIterable<Uint8Array>,
  after: number,
  taken: number[],
): AsyncIterable<Uint8Array> {
  let rest = after;
  for await (const piece of bytes) {
    const part = piece.subarray(0, rest);
    rest -= part.byteLength;
    taken.push(part.byteLength);
    yield part;
    if (part.byteLength < piece.byteLength) {
      throw new LumeoError("CONNECTION_LOST", "The stream has broken");
    }
  }
}
