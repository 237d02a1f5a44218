// Healing of chunks that are kept as units, in virtual time: docs/design/0030-coded-files.md.

import { type ChunkHandle, serverId } from "@lumeofs/base";
import test from "ava";
import { getChunk } from "../src/metadata/chunk-table.js";
import { movesPage } from "../src/metadata/healing-queries.js";
import { assignedChunks } from "../src/rpc/assigned-chunks.js";
import { HealingOffice, LIMITS } from "./healing-office.js";
import { audit } from "./state-audit.js";

const SIX = [1, 2, 3, 4, 5, 6];
const NAMES = SIX.map((n) => `cs${n}`);
/** All six units of 4+2 have bytes. */
const LONG = 10_000;
/** Units 1, 2 and 3 have none. */
const SHORT = 40;

/** Every unit is with its member, and is the right one. */
function isWhole(office: HealingOffice, handle: ChunkHandle): boolean {
  const chunk = getChunk(office.state, handle);
  return (chunk?.members ?? []).every((member, unit) => {
    const { copies, crcs } = office.machine(member);
    return copies.get(handle) === "good" && crcs.get(handle) === unit;
  });
}

test("what two lost servers had is rebuilt in its place, and read again by others", async (t) => {
  const office = await HealingOffice.open(t, [...NAMES, "cs7", "cs8"]);
  const handles = [];
  for (let i = 0; i < 20; i++) handles.push(await office.coded(`/${i}`, SIX, LONG));
  office.down(2);
  office.down(5);
  await office.seconds(100);
  t.like(await office.jobs(), [
    { kind: "repair", subject: 2, state: "done", done: { chunks: 20, bytes: 20 * 2_560 } },
    { kind: "repair", subject: 5, state: "done", done: { chunks: 20, bytes: 20 * 2_560 } },
  ]);
  for (const handle of handles) {
    const members = office.members(handle);
    t.deepEqual(
      [0, 2, 3, 5].map((unit) => members[unit]),
      [1, 3, 4, 6],
    );
    t.deepEqual([members[1], members[4]].sort(), [7, 8]);
    t.true(isWhole(office, handle));
    const rebuilt = office.history.filter((one) => one.startsWith(`rebuild ${handle} `));
    t.is(rebuilt.length, 2);
    t.is(office.history.filter((one) => one.startsWith(`audit ${handle} on cs`)).length, 2);
  }
  t.false(office.history.some((one) => one.startsWith("copy")));
  t.true(office.mostAtOnce <= LIMITS.movesPerServer);
  t.deepEqual(await movesPage(office.state, 0, 10), []);
  t.deepEqual(await audit(office.state), []);
  t.like(office.seen.round?.figures, { underReplicated: 0, lost: 0, damaged: 0 });
});

test("a unit that leaves a drained server is copied from there, not rebuilt", async (t) => {
  const office = await HealingOffice.open(t, [...NAMES, "cs7"]);
  const long = await office.coded("/long", SIX, LONG);
  const short = await office.coded("/short", SIX, SHORT);
  await office.change({ kind: "createJob", job: "drain", subject: serverId(3) });
  await office.seconds(20);
  t.deepEqual(office.members(long), [1, 2, 7, 4, 5, 6]);
  t.deepEqual(office.members(short), [1, 2, 7, 4, 5, 6]);
  t.true(isWhole(office, long));
  t.like(await office.jobs(), [{ state: "done", done: { chunks: 2, bytes: 2_560 } }]);
  t.deepEqual(
    office.history.filter((one) => !one.startsWith("close")),
    [`copy ${long} unit 2 to cs7`, `audit ${long} on cs7 by cs3`],
    "for a unit without bytes nobody is asked",
  );
});

test("a damaged unit is rebuilt where it is, and a disk that fails it again is left", async (t) => {
  const office = await HealingOffice.open(t, [...NAMES, "cs7"]);
  const handle = await office.coded("/a", SIX, LONG);
  office.damage(4, handle);
  await office.seconds(10);
  t.deepEqual(office.members(handle), SIX);
  t.true(isWhole(office, handle));
  t.like(await office.jobs(), [{ kind: "mend", subject: 4, state: "done", done: { chunks: 1 } }]);
  office.refusing.add(serverId(4));
  office.damage(4, handle);
  await office.seconds(20);
  t.deepEqual(office.members(handle), [1, 2, 3, 7, 5, 6]);
  t.true(isWhole(office, handle));
});

test("a unit without bytes is missed by nobody", async (t) => {
  const office = await HealingOffice.open(t, [...NAMES, "cs7"]);
  const handle = await office.coded("/short", SIX, SHORT);
  const assigned = async (id: number) => {
    const query = { server: serverId(id), after: 0, grantMs: 1_000 };
    return (await assignedChunks(office.state, query)).handles;
  };
  t.deepEqual([await assigned(1), await assigned(3), await assigned(6)], [[handle], [], [handle]]);
  office.fleet.markDamaged(serverId(3), handle);
  await office.seconds(30);
  t.deepEqual([await office.jobs(), office.fleet.damagedCount(serverId(3))], [[], 0]);
  office.down(3);
  await office.seconds(80);
  t.like(await office.jobs(), [{ kind: "repair", state: "done", done: { chunks: 1, bytes: 0 } }]);
  t.deepEqual([office.members(handle), office.history], [[1, 2, 7, 4, 5, 6], []]);
});

test("a chunk that can lose nothing more comes first, however it is kept", async (t) => {
  const office = await HealingOffice.open(t, [...NAMES, "cs7", "cs8", "cs9"], {
    limits: { ...LIMITS, movesPerServer: 1 },
  });
  office.copyMs = 200;
  const calm = [];
  for (let i = 0; i < 20; i++) {
    calm.push(await office.coded(`/c${i}`, [1, 3, 4, 5, 6, 7], LONG));
    calm.push(await office.file(`/r${i}`, [1, 3, 4]));
  }
  const coded = await office.coded("/coded", SIX, LONG);
  const replicated = await office.file("/replicated", [1, 2, 8]);
  office.down(1);
  office.down(2);
  await office.seconds(120);
  const made = office.history.filter((one) => !one.startsWith("audit"));
  const endangered = [`rebuild ${coded} `, `copy ${replicated} `];
  for (const one of endangered) {
    const first = made.findIndex((entry) => entry.startsWith(one));
    t.true(0 <= first && first < 5, `${one}${first}`);
  }
  for (const handle of [...calm, coded, replicated]) {
    t.false(office.members(handle).some((member) => member <= 2));
  }
});

test("with more than m units gone nothing is rebuilt, what leaves still moves, and a return heals", async (t) => {
  const office = await HealingOffice.open(t, [...NAMES, "cs7", "cs8", "cs9", "cs10"]);
  const handle = await office.coded("/a", SIX, LONG);
  for (const id of [1, 2, 3]) office.down(id);
  await office.change({ kind: "createJob", job: "drain", subject: serverId(4) });
  await office.seconds(100);
  const members = office.members(handle);
  t.deepEqual(members.slice(0, 3), [1, 2, 3]);
  t.not(members[3], 4);
  t.deepEqual(
    office.history.filter((one) => one.startsWith("rebuild")),
    [],
  );
  t.like(office.seen.round?.figures, { underReplicated: 1, lost: 1 });
  const notes = (await office.jobs()).filter(({ kind }) => kind === "repair");
  t.is(notes.length, 3);
  t.regex(notes[0]?.note ?? "", /1 chunks have no copy, or too few units, that can be read/);
  office.up(2);
  await office.seconds(60);
  t.true(isWhole(office, handle));
  t.is(office.members(handle)[1], 2, "it is as it was");
  t.like(office.seen.round?.figures, { underReplicated: 0, lost: 0 });
  t.deepEqual(await audit(office.state), []);
});

test("when all that was lost is back, nothing is moved, and soon nothing is missing", async (t) => {
  const office = await HealingOffice.open(t, NAMES);
  const handle = await office.coded("/a", SIX, LONG);
  for (const id of [1, 2, 3]) office.down(id);
  await office.seconds(100);
  t.like(office.seen.round?.figures, { underReplicated: 1, lost: 1 });
  for (const id of [1, 2, 3]) office.up(id);
  await office.seconds(30);
  t.like(office.seen.round?.figures, { underReplicated: 0, lost: 0, unreadable: 0 });
  t.deepEqual([office.members(handle), office.history], [SIX, []]);
});

test("the next leader takes up rebuildings that the one before has begun", async (t) => {
  const office = await HealingOffice.open(t, [...NAMES, "cs7", "cs8"]);
  const handles = [];
  for (let i = 0; i < 10; i++) handles.push(await office.coded(`/${i}`, SIX, LONG));
  office.copyMs = 5_000;
  office.down(1);
  await office.seconds(72);
  t.true(0 < (await movesPage(office.state, 0, 10)).length);
  office.replication.lead(false);
  office.fleet.reset(office.clock.monotonicMs());
  await office.seconds(10);
  office.copyMs = 10;
  office.replication.lead(true);
  await office.seconds(40);
  t.like(await office.jobs(), [{ state: "done", done: { chunks: 10 }, moves: 0 }]);
  for (const handle of handles) t.true(isWhole(office, handle));
  t.deepEqual(await audit(office.state), []);
});

test("units are spread over racks as evenly as they can be, and a rebalance keeps that", async (t) => {
  const racks = Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [`cs${i + 1}`, "abc"[i % 3] ?? ""]),
  );
  const office = await HealingOffice.open(t, Object.keys(racks), { racks });
  const handles: ChunkHandle[] = [];
  for (let i = 0; i < 12; i++) handles.push(await office.coded(`/${i}`, SIX, LONG));
  const isEven = () => {
    for (const handle of handles) {
      const inRack = new Map<string, number>();
      for (const member of office.members(handle)) {
        const rack = racks[`cs${member}`] ?? "";
        inRack.set(rack, (inRack.get(rack) ?? 0) + 1);
      }
      t.deepEqual([...inRack.values()], [2, 2, 2], `chunk ${handle}`);
      t.true(isWhole(office, handle));
    }
  };
  await office.change({ kind: "createJob", job: "rebalance", subject: undefined });
  await office.seconds(40);
  t.like(await office.jobs(), [{ kind: "rebalance", state: "done" }]);
  isEven();
  const counts = new Map<number, number>();
  for (const member of handles.flatMap((handle) => office.members(handle))) {
    counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  t.is(counts.size, 9);
  t.true(Math.max(...counts.values()) - Math.min(...counts.values()) <= 2, [...counts].join(" "));
  office.down(1);
  await office.seconds(100);
  isEven();
});
