import {
  CELL_BYTES_MIN,
  CODE_DEFAULT,
  chunkHandle,
  epoch,
  type GrantId,
  handleIn,
  serverId,
} from "@lumeofs/base";
import test from "ava";
import { getGrant } from "../src/metadata/grants.js";
import { movesPage } from "../src/metadata/healing-queries.js";
import { nodeOf } from "../src/metadata/nodes.js";
import { HealingOffice, LIMITS } from "./healing-office.js";
import { codedAs, commitOf, sealed } from "./metadata-driver.js";
import { audit } from "./state-audit.js";
import { openTailOf, servers } from "./tail-driver.js";

const FOUR = ["cs1", "cs2", "cs3", "cs4"];

test("what a lost server had is made elsewhere, and read again by somebody else", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handles = [];
  for (let i = 0; i < 20; i++) handles.push(await office.file(`/${i}`, [1, 2, 3]));
  office.down(1);
  await office.seconds(55);
  t.deepEqual(await office.jobs(), []);
  await office.seconds(20);
  t.like(await office.jobs(), [
    {
      kind: "repair",
      subject: 1,
      state: "done",
      total: { chunks: 20, bytes: 80 },
      done: { chunks: 20, bytes: 80 },
      failures: 0,
      note: "every copy was read again",
    },
  ]);
  for (const handle of handles) {
    t.deepEqual(office.members(handle), [2, 3, 4]);
    const audits = office.history.filter((one) => one.startsWith(`audit ${handle} on cs4`));
    t.is(audits.length, 1);
  }
  t.true(office.mostAtOnce <= LIMITS.movesPerServer);
  t.deepEqual(await movesPage(office.state, 0, 10), []);
  t.deepEqual(await audit(office.state), []);
});

test("a short absence moves nothing, and neither does one in maintenance", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  await office.file("/a", [1, 2, 3]);
  office.down(1);
  await office.seconds(40);
  office.up(1);
  await office.seconds(120);
  const maintenance = { standing: "maintenance", setLabels: {}, removeLabels: [] } as const;
  await office.change({ kind: "changeNode", name: "cs1", ...maintenance });
  office.down(1);
  await office.seconds(600);
  t.deepEqual([await office.jobs(), office.history], [[], []]);
});

test("who asks how the chunks are is told soon what is there now, not what was there", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3"]);
  t.is(office.seen.round?.figures.chunks, 0);
  await office.file("/a", [1, 2, 3]);
  await office.seconds(60);
  t.is(office.seen.round?.figures.chunks, 0, "nothing is wrong and nobody has asked");
  office.seen.asked(office.clock.monotonicMs());
  await office.seconds(2);
  t.is(office.seen.round?.figures.chunks, 1);
});

test("chunks with the fewest readable copies are healed first", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3", "cs4", "cs5", "cs6"], {
    limits: { ...LIMITS, movesPerServer: 1 },
  });
  office.copyMs = 200;
  const two = [];
  for (let i = 0; i < 30; i++) two.push(await office.file(`/${i}`, [1, 3, 4]));
  const one = await office.file("/one", [1, 2, 5]);
  office.down(1);
  office.down(2);
  await office.seconds(90);
  const first = office.history.findIndex((entry) => entry.startsWith(`copy ${one} `));
  t.true(0 <= first && first < 3, `${first}`);
  for (const handle of [...two, one]) {
    t.is(new Set(office.members(handle)).size, 3);
    t.false(office.members(handle).some((member) => member <= 2));
  }
});

test("a server that is back calls its repair off, and keeps what was not replaced", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  for (let i = 0; i < 40; i++) await office.file(`/${i}`, [1, 2, 3]);
  office.copyMs = 20_000;
  office.down(1);
  await office.seconds(75);
  office.up(1);
  await office.seconds(40);
  const [job] = await office.jobs();
  t.like(job, { kind: "repair", state: "cancelled", note: "cs1 is back", moves: 0 });
  t.true((job?.done.chunks ?? 0) < 40);
  const { length } = office.history;
  await office.seconds(60);
  t.is(office.history.length, length);
  t.deepEqual(await audit(office.state), []);
});

test("the next leader takes up what the one before has begun", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handles = [];
  for (let i = 0; i < 10; i++) handles.push(await office.file(`/${i}`, [1, 2, 3]));
  office.copyMs = 5_000;
  office.down(1);
  await office.seconds(72);
  t.true(0 < (await movesPage(office.state, 0, 10)).length);
  office.replication.lead(false);
  office.fleet.reset(office.clock.monotonicMs());
  const ordered = office.history.length;
  const [first] = office.mandates;
  t.true(office.mandates.every((mandate) => mandate === first));
  await office.seconds(10);
  t.is(office.history.length, ordered, "who does not lead any more gives no orders");
  const { length } = office.mandates;
  office.copyMs = 10;
  office.replication.lead(true);
  await office.seconds(30);
  t.like(await office.jobs(), [{ state: "done", done: { chunks: 10 }, moves: 0 }]);
  const later = new Set(office.mandates.slice(length));
  t.is(later.size, 1);
  for (const mandate of later) t.true((first ?? 0) < mandate);
  for (const handle of handles) t.deepEqual(office.members(handle), [2, 3, 4]);
  t.deepEqual(await audit(office.state), []);
});

test("where no server can take a copy, the job says so, and goes on when one comes", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3", "cs4"]);
  const handle = await office.file("/a", [1, 2, 3]);
  office.down(4);
  office.down(1);
  await office.seconds(90);
  t.like((await office.jobs())[0], {
    state: "running",
    total: { chunks: 1, bytes: 4 },
    note: "1 chunks found no server that can take a copy",
  });
  office.up(4);
  await office.seconds(30);
  t.like((await office.jobs())[0], { state: "done", done: { chunks: 1, bytes: 4 } });
  t.deepEqual(office.members(handle), [2, 3, 4]);
});

test("a damaged copy is replaced where it is, from an intact one", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handle = await office.file("/a", [1, 2, 3]);
  office.damage(2, handle);
  await office.seconds(5);
  t.is(office.machine(2).copies.get(handle), "good");
  t.deepEqual(office.members(handle), [1, 2, 3]);
  t.like(await office.jobs(), [{ kind: "mend", subject: 2, state: "done", done: { chunks: 1 } }]);
  t.false(office.fleet.isDamaged(serverId(2), handle));
  await office.seconds(600);
  t.is((await office.jobs()).length, 1);
});

test("a disk that fails the healed copy too is not asked for ever: another server is", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handle = await office.file("/a", [1, 2, 3]);
  office.refusing.add(serverId(2));
  office.damage(2, handle);
  await office.seconds(10);
  t.deepEqual(office.members(handle), [1, 3, 4]);
  t.like(await office.jobs(), [{ state: "done", done: { chunks: 1 }, failures: 1 }]);
});

test("a target that failed is asked again where there is no other", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const lost = await office.file("/lost", [1, 2, 3]);
  office.refusing.add(serverId(4));
  office.down(1);
  await office.seconds(75);
  t.like(await office.jobs(), [{ kind: "repair", state: "running", done: { chunks: 0 } }]);
  office.refusing.clear();
  await office.seconds(60);
  t.deepEqual(office.members(lost), [2, 3, 4]);

  office.down(4);
  office.refusing.add(serverId(2));
  office.damage(2, lost);
  await office.seconds(20);
  office.refusing.clear();
  await office.seconds(60);
  t.is(office.machine(2).copies.get(lost), "good");
});

test("damage of a copy that no chunk names is no reason for a job", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handle = await office.file("/a", [1, 2, 3]);
  office.damage(4, handle);
  await office.seconds(30);
  t.deepEqual([await office.jobs(), office.fleet.damagedCount(serverId(4))], [[], 0]);
});

test("damage that is told before its chunk is in a file is mended when it is", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const placements = [[1, 2, 3].map(serverId)];
  const granted = await office.change({ kind: "allocate", placements, handles: 2 });
  const [grant] = granted.kind === "allocated" ? granted.grants : [];
  const handle = handleIn(grant as GrantId, 1);
  for (const holder of [1, 2, 3]) office.machine(holder).copies.set(handle, "good");
  office.damage(2, handle);
  await office.seconds(5);
  t.deepEqual(await office.jobs(), [], "nobody counts on it yet");
  await office.change(commitOf("/a", [handle], {}));
  await office.seconds(5);
  t.is(office.machine(2).copies.get(handle), "good");
  t.like(await office.jobs(), [{ kind: "mend", subject: 2, state: "done", done: { chunks: 1 } }]);
});

test("a drained server holds nothing at the end, and may come back", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handles = [];
  for (let i = 0; i < 10; i++) handles.push(await office.file(`/${i}`, [1, 2, 3]));
  await office.change({ kind: "createJob", job: "drain", subject: serverId(2) });
  await office.seconds(10);
  t.like(await office.jobs(), [{ kind: "drain", state: "done", done: { chunks: 10 } }]);
  for (const handle of handles) t.deepEqual([...office.members(handle)].sort(), [1, 3, 4]);
  t.is(nodeOf(office.state, "cs2").standing, "draining");
  t.deepEqual(await audit(office.state), []);
});

test("a chunk that lands late on a drained server leaves it too", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  await office.change({ kind: "createJob", job: "drain", subject: serverId(2) });
  await office.seconds(5);
  t.like(await office.jobs(), [{ state: "done", note: "nothing was to be done" }]);
  const handle = await office.file("/late", [1, 2, 3]);
  await office.seconds(11 * 60);
  t.deepEqual(office.members(handle), [1, 3, 4]);
  t.like((await office.jobs())[1], { kind: "drain", state: "done", done: { chunks: 1 } });
});

test("a server leaves for good only when no writer may still commit what is there", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handle = await office.file("/a", [1, 2, 3]);
  const placements = [
    [2, 3],
    [1, 2],
    [1, 3],
  ].map((members) => members.map(serverId));
  const granted = await office.change({ kind: "allocate", placements, handles: 2 });
  const grants = granted.kind === "allocated" ? granted.grants : [];
  const written = handleIn(grants[0] as GrantId, 1);
  office.written.add(written).add(handle);
  for (const holder of [2, 3]) office.machine(holder).copies.set(written, "good");
  await office.change({ kind: "createJob", job: "decommission", subject: serverId(2) });
  await office.seconds(20);
  t.deepEqual(office.members(handle), [1, 3, 4]);
  t.like(await office.jobs(), [{ state: "running", note: "waits for 1 grants of writers to end" }]);
  const left = grants.map((grant) => getGrant(office.state, grant) !== undefined);
  t.deepEqual(left, [true, false, true], "the unused one that names it is gone");
  await office.change(commitOf("/b", [written], {}));
  await office.seconds(5);
  t.false(office.members(written).includes(2), "it was moved, too");
  t.like(await office.jobs(), [{ state: "done", done: { chunks: 2 } }]);
  t.is(nodeOf(office.state, "cs2").standing, "decommissioned");
  t.deepEqual(await audit(office.state), []);
});

test("a grant is used though the server that leaves has an empty unit of its chunk", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3", "cs4", "cs5", "cs6", "cs7"]);
  const units = [1, 5, 2, 3, 4, 6]; // 4+2: of a short chunk units 1 to 3 are nowhere
  const placements = [units, [2, 3, 1, 4, 5, 6], [4, 2]].map((members) => members.map(serverId));
  const granted = await office.change({ kind: "allocate", placements, handles: 2 });
  const grants = granted.kind === "allocated" ? granted.grants : [];
  const written = handleIn(grants[0] as GrantId, 0);
  office.written.add(written);
  for (const holder of [1, 4, 6]) office.machine(holder).copies.set(written, "good");
  const lives = () => grants.map((grant) => getGrant(office.state, grant) !== undefined);
  await office.change({ kind: "createJob", job: "decommission", subject: serverId(2) });
  await office.seconds(10);
  t.deepEqual(lives(), [true, false, false]);
  t.like(await office.jobs(), [{ state: "running", note: "waits for 1 grants of writers to end" }]);
  const code = { ...CODE_DEFAULT, cellBytes: CELL_BYTES_MIN };
  const chunk = { ...codedAs(code, written), lengthBytes: 60 };
  const commit = commitOf("/b", [written], { chunks: [chunk], chunkSizeBytes: 60, code });
  await office.change(commit);
  for (const [unit, holder] of units.entries()) office.machine(holder).crcs.set(written, unit);
  await office.seconds(10);
  t.deepEqual(office.members(written), [1, 5, 7, 3, 4, 6]);
  t.like(await office.jobs(), [{ state: "done" }]);
});

test("where the first holder of a grant's chunks is away, the last one is asked", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3", "cs4", "cs5", "cs6", "cs7"]);
  const named = [
    [1, 5, 2, 3, 4, 6],
    [1, 2],
    [1, 2, 7],
  ];
  const placements = named.map((members) => members.map(serverId));
  const granted = await office.change({ kind: "allocate", placements, handles: 1 });
  const grants = granted.kind === "allocated" ? granted.grants : [];
  office.down(1);
  office.down(7);
  await office.change({ kind: "createJob", job: "decommission", subject: serverId(2) });
  await office.seconds(10);
  const left = grants.map((grant) => getGrant(office.state, grant) !== undefined);
  t.deepEqual(left, [false, false, true], "of the third one nobody knows");
});

test("a grant is closed only where it may be ended at once", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const placements = [[1, 2, 3].map(serverId)];
  const granted = await office.change({ kind: "allocate", placements, handles: 2 });
  const grants = granted.kind === "allocated" ? granted.grants : [];
  const lives = () => grants.map((grant) => getGrant(office.state, grant) !== undefined);
  for (const holder of [1, 3]) office.down(holder);
  await office.change({ kind: "createJob", job: "decommission", subject: serverId(2) });
  await office.seconds(10);
  const closed = () => office.history.filter((one) => one.startsWith("close"));
  t.deepEqual([closed(), lives()], [[], [true]], "nobody else can say what is under it");
  office.up(3);
  await office.seconds(10);
  t.deepEqual(closed().slice(0, 2), ["close 1 grants on cs2", "close 1 grants on cs3"]);
  t.deepEqual(lives(), [false]);
});

test("a server leaves for good only when no chunk grows there any more", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const opened = await office.change(openTailOf("/log", { members: servers(1, 2, 3) }));
  const handle = opened.kind === "tailOpened" ? opened.handle : chunkHandle(1);
  await office.change({ kind: "createJob", job: "decommission", subject: serverId(2) });
  await office.seconds(20);
  t.like(await office.jobs(), [
    { state: "running", note: "waits for 1 growing chunks to be sealed" },
  ]);
  const content = { lengthBytes: 64, crc32c: sealed(64).crc32c };
  const under = { epoch: epoch(1), chunkEpoch: epoch(1) };
  for (const id of [1, 2, 3]) office.machine(id).copies.set(handle, "good");
  for (const id of [1, 2, 3]) office.machine(id).crcs.set(handle, content.crc32c);
  await office.change({ kind: "sealTail", handle, ...under, ...content });
  await office.seconds(20);
  t.deepEqual(office.members(handle), [1, 3, 4]);
  t.like(await office.jobs(), [{ state: "done", done: { chunks: 1 } }]);
  t.is(nodeOf(office.state, "cs2").standing, "decommissioned");
});

test("a server that does not answer keeps its grants until they expire", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const placements = [[2].map(serverId)];
  const granted = await office.change({ kind: "allocate", placements, handles: 1 });
  office.down(2);
  await office.change({ kind: "createJob", job: "decommission", subject: serverId(2) });
  await office.seconds(20);
  t.like(await office.jobs(), [{ state: "running", note: "waits for 1 grants of writers to end" }]);
  const grants = granted.kind === "allocated" ? granted.grants : [];
  const unusedSince = office.clock.wallMs();
  await office.change({ kind: "expireGrants", grants, unusedSince });
  await office.seconds(5);
  t.like(await office.jobs(), [{ state: "done", done: { chunks: 0 } }]);
});

test("a paused job begins nothing, and goes on when it is resumed", async (t) => {
  const office = await HealingOffice.open(t, FOUR);
  const handle = await office.file("/a", [1, 2, 3]);
  const reply = await office.change({ kind: "createJob", job: "drain", subject: serverId(2) });
  const job = reply.kind === "jobCreated" ? reply.job : undefined;
  if (job === undefined) return t.fail();
  await office.change({ kind: "changeJob", job, to: "paused", note: "" });
  await office.seconds(60);
  t.deepEqual(office.members(handle), [1, 2, 3]);
  t.like(await office.jobs(), [{ state: "paused", total: { chunks: 1 } }]);
  await office.change({ kind: "changeJob", job, to: "running", note: "" });
  await office.seconds(10);
  t.deepEqual(office.members(handle), [1, 3, 4]);
});

test("copies are kept in different racks while there is another one with room", async (t) => {
  const racks = { cs1: "a", cs2: "b", cs3: "c", cs4: "b", cs5: "a" };
  const office = await HealingOffice.open(t, Object.keys(racks), { racks });
  const handle = await office.file("/a", [1, 2, 3]);
  office.down(1);
  await office.seconds(80);
  t.deepEqual(office.members(handle), [2, 3, 5]);
  office.down(5);
  await office.seconds(80);
  t.deepEqual(office.members(handle), [2, 3, 4], "rack b has two: there is no other");
});

test("a rebalance evens servers out and ends; a second one has nothing to do", async (t) => {
  const office = await HealingOffice.open(t, [...FOUR, "cs5", "cs6"]);
  for (let i = 0; i < 30; i++) await office.file(`/${i}`, [1, 2, 3]);
  await office.change({ kind: "createJob", job: "rebalance", subject: undefined });
  await office.seconds(30);
  const counts = new Map<number, number>();
  for (let i = 1; i <= 30; i++) {
    const handle = [...office.machine(1).copies.keys()][i - 1];
    if (handle === undefined) continue;
    for (const member of office.members(handle)) {
      counts.set(member, (counts.get(member) ?? 0) + 1);
    }
  }
  for (let id = 1; id <= 6; id++) t.true(Math.abs((counts.get(id) ?? 0) - 15) <= 1, `${id}`);
  const [job] = await office.jobs();
  t.like(job, { kind: "rebalance", state: "done", moves: 0 });
  t.is(job?.done.chunks, job?.total.chunks);
  await office.change({ kind: "createJob", job: "rebalance", subject: undefined });
  await office.seconds(10);
  t.like((await office.jobs())[1], { state: "done", done: { chunks: 0, bytes: 0 } });
  t.deepEqual(await audit(office.state), []);
});
