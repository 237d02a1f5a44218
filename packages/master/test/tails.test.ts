// Who looks after tails, on virtual time: primaries that fail are followed by others, members that
// leave bring a seal about, and names change only when what was appended to them is sealed.

import { LumeoError, SILENT_LOGGER, serverId } from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import { fileExpiryDuty } from "../src/duties/attribute-duties.js";
import { DutyRunner } from "../src/duties/duty.js";
import { MetadataLog } from "../src/duties/metadata-log.js";
import { tailsDuty } from "../src/duties/tails/tails-duty.js";
import { Fleet } from "../src/fleet/servers.js";
import type { Reply } from "../src/metadata/command.js";
import { NO_POLICY } from "../src/metadata/directory-record.js";
import { stat } from "../src/metadata/queries.js";
import { getTail } from "../src/metadata/tail-table.js";
import { LoneReplication } from "./lone-replication.js";
import { openTailOf } from "./tail-driver.js";
import { ObedientPrimaries, tailOffice } from "./tail-office.js";

const LIMITS = { suspectMs: 3_000, deadMs: 10_000, steadyMs: 0 };
const LOAD = { chunkCount: 0, usedBytes: 0, capacityBytes: 1e12, freeBytes: 1e12 };

class Office {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly replication = new LoneReplication();
  readonly state = this.replication.state;
  readonly fleet = new Fleet(LIMITS, this.clock.monotonicMs());
  readonly log = new MetadataLog({
    replication: this.replication,
    reader: this.state,
    clock: this.clock,
  });
  readonly primaries = new ObedientPrimaries();
  readonly care = tailOffice(this, this.primaries);
  readonly silent = new Set<number>();
  runner: DutyRunner | undefined;

  async start(): Promise<void> {
    await this.log.change({ kind: "initCluster", clusterId: "c" });
    for (const id of [1, 2, 3, 4]) {
      const name = `cs${id}`;
      const at = { dataAddress: `${name}:1`, controlAddress: `${name}:2`, labels: {} };
      await this.log.change({ kind: "registerServer", name, storeUuid: name, ...at });
    }
    this.#beat();
    this.clock.every(500, () => this.#beat());
    this.primaries.onBegin = async (server) => {
      if (this.silent.has(Number(server.name.slice(2)))) throw new LumeoError("TIMEOUT", "silent");
      return "begun";
    };
    const { replication, clock } = this;
    const ports = { replication, timers: clock, logger: SILENT_LOGGER };
    this.runner = new DutyRunner([tailsDuty(this.care.keeper)], ports);
  }

  async open(path: string, copies = 3) {
    const members = [1, 2, 3].slice(0, copies).map(serverId);
    const reply: Reply = await this.log.change(openTailOf(path, { members }));
    if (reply.kind !== "tailOpened") throw new Error(JSON.stringify(reply));
    return reply.handle;
  }

  /** Primaries that seal tell the masters before they answer. */
  sealWith(lengthBytes: number): void {
    this.primaries.onSeal = async (_server, { handle, epoch }) => {
      const content = { chunkEpoch: epoch, lengthBytes, crc32c: 0 };
      const reply = await this.log.change({ kind: "sealTail", handle, epoch, ...content });
      return reply.kind === "done";
    };
  }

  sizeOf(path: string): number | undefined {
    const found = stat(this.state, path);
    return found.kind === "found" && found.inode.kind === "file"
      ? found.inode.sizeBytes
      : undefined;
  }

  #beat(): void {
    for (const id of [1, 2, 3, 4]) {
      if (this.silent.has(id)) continue;
      const load = { ...LOAD, isReadOnly: false, writesInFlight: 0 };
      const report = { load, damaged: [], isFirst: false };
      this.fleet.heartbeat(serverId(id), report, this.clock.monotonicMs());
    }
  }
}

async function office(): Promise<Office> {
  const made = new Office();
  await made.start();
  await made.world.sleep(100);
  return made;
}

test("the primary of a new tail is told of its epoch, once", async (t) => {
  const o = await office();
  const handle = await o.open("/log");
  await o.world.sleep(2_000);
  t.deepEqual(
    o.primaries.begun.map(({ name, order }) => [name, order.handle, order.epoch as number]),
    [["cs1", handle, 1]],
  );
  t.is(o.primaries.begun[0]?.order.previous, undefined);
});

test("a primary that a client cannot reach is asked, and left alone if it answers", async (t) => {
  const o = await office();
  const handle = await o.open("/log");
  await o.world.sleep(1_000);
  await o.care.keeper.complain(handle, { epoch: 1 as never, isOver: false, why: "test" });
  await o.world.sleep(1_000);
  t.is(o.primaries.begun.length, 2);
  t.like(getTail(o.state, handle)?.authority.newest, { epoch: 1 });
});

test("a primary that is silent is followed by another member when its lease is over", async (t) => {
  const o = await office();
  const handle = await o.open("/log");
  await o.world.sleep(6_000);
  t.true(o.care.keeper.leases.renew(handle, o.clock.monotonicMs()));
  o.silent.add(1);
  const complaint = { epoch: 1 as never, isOver: false, why: "test" };
  const cared = o.care.keeper.complain(handle, complaint);
  await o.world.sleep(3_400);
  t.like(getTail(o.state, handle)?.authority.newest, { epoch: 1 });
  t.false(o.care.keeper.leases.renew(handle, o.clock.monotonicMs()));
  await o.world.sleep(200); // 3 s, a hundredth, and the slack
  await cared;
  t.like(getTail(o.state, handle)?.authority.newest, { epoch: 2, primary: 2 });
  const last = o.primaries.begun.at(-1);
  t.is(last?.name, "cs2");
  t.is(last?.order.previous?.epoch as number, 1);
});

test("a server that stands still is asked once for all the tails that it writes", async (t) => {
  const o = await office();
  const handles = [];
  for (const path of ["/a", "/b", "/c"]) handles.push(await o.open(path));
  await o.world.sleep(6_000);
  let asked = 0;
  o.primaries.onBegin = async ({ name }) => {
    if (name !== "cs1") return "begun";
    asked++;
    await o.world.sleep(1_000);
    throw new LumeoError("TIMEOUT", "silent");
  };
  const complaint = { epoch: 1 as never, isOver: false, why: "test" };
  for (const [i, handle] of handles.entries()) {
    const cared = o.care.keeper.complain(handle, complaint);
    await o.world.sleep(i === 0 ? 1_100 : 10);
    await cared;
    t.like(getTail(o.state, handle)?.authority.newest, { epoch: 2, primary: 2 });
  }
  t.is(asked, 1);
});

test("a primary that restarted gets another epoch, or another member does", async (t) => {
  const o = await office();
  const handle = await o.open("/log");
  await o.world.sleep(6_000);
  o.primaries.onBegin = async (_server, { epoch }) => (epoch === 1 ? "ended" : "begun");
  await o.care.keeper.complain(handle, { epoch: 1 as never, isOver: true, why: "restarted" });
  await o.world.sleep(500);
  t.like(getTail(o.state, handle)?.authority.newest, { epoch: 2, primary: 2 });
});

test("nothing is granted while a majority of those that must answer is away", async (t) => {
  const o = await office();
  const handle = await o.open("/log");
  await o.world.sleep(6_000);
  for (const id of [1, 2]) o.silent.add(id);
  await o.world.sleep(20_000);
  t.like(getTail(o.state, handle)?.authority.newest, { epoch: 1 });
  o.silent.delete(2);
  await o.world.sleep(2_000);
  t.true((getTail(o.state, handle)?.authority.newest.epoch ?? 9) > 1);
});

test("of two members the one that is left goes on, with another in the place of the lost one", async (t) => {
  const o = await office();
  const handle = await o.open("/log", 2);
  await o.world.sleep(6_000);
  o.silent.add(1);
  await o.world.sleep(8_000);
  const waiting = getTail(o.state, handle)?.authority.newest;
  t.like(waiting, { primary: 2, members: [1, 2].map(serverId) }, "it may come back");
  await o.world.sleep(8_000);
  const authority = getTail(o.state, handle)?.authority;
  t.like(authority?.newest, { primary: 2, members: [3, 2].map(serverId) });
  t.deepEqual(authority?.newest.previous?.members, [1, 2].map(serverId));
});

test("what too many lost servers had is given up only if an operator says so", async (t) => {
  const o = await office();
  const handle = await o.open("/log");
  await o.world.sleep(6_000);
  const { keeper, gate } = o.care;
  const nothingLost = { code: "INVALID_ARGUMENT", message: /enough of the servers/ };
  await t.throwsAsync(keeper.salvage(handle, true), nothingLost);
  for (const id of [1, 2]) o.silent.add(id);
  await o.world.sleep(5_000);
  const mayComeBack = { code: "INVALID_ARGUMENT", message: /start them/ };
  await t.throwsAsync(keeper.salvage(handle, true), mayComeBack);
  await o.world.sleep(20_000);
  t.like(getTail(o.state, handle)?.authority.newest, { epoch: 1 });
  const work = gate.pass(["/log"], async () => {});
  const refused = t.throwsAsync(work, { message: /cs1 and cs2 do not.*chunk salvage/ });
  await o.world.sleep(20_000);
  await refused;
  const salvage = { survivors: [serverId(3)], lost: [1, 2].map(serverId) };
  t.deepEqual(await keeper.salvage(handle, false), salvage);
  t.like(getTail(o.state, handle)?.authority.newest, { epoch: 1 }, "it was only asked");
  o.sealWith(7);
  t.deepEqual(await keeper.salvage(handle, true), salvage);
  const newest = getTail(o.state, handle)?.authority.newest;
  t.like(newest, { epoch: 2, primary: 3, previous: { epoch: 1, members: [serverId(3)] } });
  // Those that were given up would contradict, when they come back: there is one other server.
  t.deepEqual(newest?.members, [3, 4].map(serverId));
});

test("a primary that stands still while it seals is followed by another within seconds", async (t) => {
  const o = await office();
  o.sealWith(7);
  const { onSeal } = o.primaries;
  o.primaries.onSeal = (server, tail, signal) => {
    if (!o.silent.has(Number(server.name.slice(2)))) return onSeal(server, tail, signal);
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  };
  const { onBegin } = o.primaries;
  o.primaries.onBegin = async (server, order) => {
    const answer = await onBegin(server, order);
    const { handle, epoch } = order;
    await o.log.change({ kind: "activateTailEpoch", handle, epoch });
    return answer;
  };
  await o.open("/log");
  await o.world.sleep(6_000);
  o.silent.add(1);
  const work = o.care.gate.pass(["/log"], async () => o.sizeOf("/log"));
  await o.world.sleep(2_500);
  t.deepEqual(
    o.primaries.sealed.map(({ name }) => name),
    ["cs1", "cs2"],
  );
  t.is(await work, 7);
});

test("a primary that takes long to seal, and is there, is waited for, though an answer is lost", async (t) => {
  const o = await office();
  o.sealWith(9);
  const { onBegin } = o.primaries;
  let isLost = false;
  o.primaries.onBegin = (...order) => {
    isLost = !isLost && 0 < o.primaries.sealed.length;
    if (isLost) throw new LumeoError("TIMEOUT", "every second answer is lost");
    return onBegin(...order);
  };
  const { onSeal } = o.primaries;
  o.primaries.onSeal = async (server, tail, signal) => {
    await o.world.sleep(8_000);
    signal.throwIfAborted();
    return onSeal(server, tail, signal);
  };
  await o.open("/log");
  await o.world.sleep(6_000);
  const work = o.care.gate.pass(["/log"], async () => o.sizeOf("/log"));
  await o.world.sleep(8_500);
  t.is(await work, 9);
  t.deepEqual(
    o.primaries.sealed.map(({ name }) => name),
    ["cs1"],
  );
});

test("a tail with a member that is dead or drained is sealed", async (t) => {
  const o = await office();
  o.sealWith(7);
  await o.open("/a");
  await o.world.sleep(1_000);
  o.silent.add(3);
  await o.world.sleep(12_000);
  t.is(o.sizeOf("/a"), 7);
  o.silent.delete(3);
  await o.world.sleep(1_000);
  await o.open("/b");
  const drain = { name: "cs2", standing: "draining", setLabels: {}, removeLabels: [] } as const;
  await o.log.change({ kind: "changeNode", ...drain });
  await o.world.sleep(1_000);
  t.is(o.sizeOf("/b"), 7);
});

test("work on a name waits until what is appended below it is sealed", async (t) => {
  const o = await office();
  let finish: () => void = () => {};
  const mayFinish = new Promise<void>((resolve) => {
    finish = resolve;
  });
  o.sealWith(5);
  const seal = o.primaries.onSeal;
  o.primaries.onSeal = async (server, tail, signal) => {
    await mayFinish;
    return seal(server, tail, signal);
  };
  await o.log.change({ kind: "makeDirectory", path: "/d", parents: false });
  await o.open("/d/log");
  await o.open("/other");
  await o.world.sleep(500);
  const steps: string[] = [];
  const work = o.care.gate.pass(
    ["/d"],
    async () => void steps.push(`work at ${o.sizeOf("/d/log")}`),
  );
  await o.world.sleep(100);
  const opening = o.care.gate.open("/d/log", async () => void steps.push("opened"));
  await o.care.gate.open("/other", async () => void steps.push("other opened"));
  await o.world.sleep(1_000);
  t.deepEqual(steps, ["other opened"]);
  finish();
  await o.world.sleep(1_000);
  await Promise.all([work, opening]);
  t.deepEqual(steps, ["other opened", "work at 5", "opened"]);
  t.is(o.sizeOf("/other"), 0);
});

test("work on a name is refused, with the path, if a tail cannot be sealed in time", async (t) => {
  const o = await office();
  o.primaries.onSeal = async () => {
    throw new LumeoError("TIMEOUT", "no answer");
  };
  await o.open("/log");
  await o.world.sleep(500);
  const work = o.care.gate.pass(["/log"], async () => {});
  const refused = t.throwsAsync(work, { code: "UNAVAILABLE", message: /"\/log"/ });
  await o.world.sleep(20_000);
  await refused;
});

/** Appenders who go on asking about a tail, whose primary is there and cannot seal it. */
async function withStuckTail(o: Office): Promise<void> {
  o.sealWith(3);
  const stuck = await o.open("/stuck", 2);
  const { onSeal } = o.primaries;
  o.primaries.onSeal = async (server, tail, signal) => {
    if (tail.handle !== stuck) return onSeal(server, tail, signal);
    // By a timer: a sleep would keep the virtual world going behind the end of the test.
    await new Promise<void>((resolve) => void o.clock.after(10_000, resolve));
    throw new LumeoError("TIMEOUT", "no answer");
  };
  o.clock.every(50, () => void o.care.keeper.wantSeal(stuck, "an appender was refused"));
  await o.world.sleep(1_000);
}

test("work on a name is refused in time though appenders go on asking for the seal", async (t) => {
  const o = await office();
  await withStuckTail(o);
  let refusedAt = Infinity;
  const begunAt = o.clock.monotonicMs();
  const work = o.care.gate.pass(["/stuck"], async () => {});
  const refused = t.throwsAsync(work, { code: "UNAVAILABLE", message: /"\/stuck"/ });
  void refused.then(() => {
    refusedAt = o.clock.monotonicMs();
  });
  await o.world.sleep(60_000);
  t.true(refusedAt - begunAt <= 16_000);
});

test("other tails are looked after though one that is asked for cannot be sealed", async (t) => {
  const o = await office();
  await o.open("/other");
  await o.world.sleep(1_000);
  await withStuckTail(o);
  const drain = { name: "cs3", standing: "draining", setLabels: {}, removeLabels: [] } as const;
  await o.log.change({ kind: "changeNode", ...drain });
  await o.world.sleep(20_000);
  t.is(o.sizeOf("/other"), 3);
});

test("a file whose time is over goes though somebody appends to it all the time", async (t) => {
  const o = await office();
  o.sealWith(3);
  await o.log.change({ kind: "makeDirectory", path: "/d", parents: false });
  const policy = { ...NO_POLICY, ttlMs: 5_000 };
  await o.log.change({ kind: "setPolicy", path: "/d", policy });
  const { replication, clock, log } = o;
  const { gate } = o.care;
  const duty = fileExpiryDuty(log, clock, (path, work) => gate.pass([path], work));
  const runner = new DutyRunner([duty], { replication, timers: clock, logger: SILENT_LOGGER });
  t.teardown(() => runner.close());
  const first = await o.open("/d/log");
  let handle = first;
  let inode: number | undefined;
  let files = 0;
  clock.every(10, () => {
    const tail = getTail(o.state, handle);
    if (tail !== undefined && tail.inode !== inode) files++;
    inode = tail?.inode ?? inode;
    if (tail !== undefined) return;
    void gate.open("/d/log", async () => {
      handle = await o.open("/d/log");
    });
  });
  await o.world.sleep(30_000);
  t.true(3 <= files, `${files} files, one after the other`);
});
