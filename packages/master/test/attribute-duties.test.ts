// Files and locks whose time is over, on virtual time.

import { LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import { fileExpiryDuty, lockExpiryDuty, type WhenSealed } from "../src/duties/attribute-duties.js";
import { DutyRunner } from "../src/duties/duty.js";
import { MetadataLog } from "../src/duties/metadata-log.js";
import type { Command, Reply } from "../src/metadata/command.js";
import { getCount } from "../src/metadata/counters.js";
import { NO_POLICY } from "../src/metadata/directory-record.js";
import { getLock } from "../src/metadata/locks.js";
import { stat } from "../src/metadata/queries.js";
import { LoneReplication } from "./lone-replication.js";
import { commitOf, registrationOf } from "./metadata-driver.js";
import { openTailOf } from "./tail-driver.js";

class Office {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly replication = new LoneReplication();
  readonly state = this.replication.state;
  readonly log = new MetadataLog({
    replication: this.replication,
    reader: this.state,
    clock: this.clock,
  });

  async start(whenSealed: WhenSealed = (_path, work) => work()): Promise<DutyRunner> {
    await this.change({ kind: "initCluster", clusterId: "c" });
    const duties = [
      fileExpiryDuty(this.log, this.clock, whenSealed),
      lockExpiryDuty(this.log, this.clock),
    ];
    const { replication, clock } = this;
    return new DutyRunner(duties, { replication, timers: clock, logger: SILENT_LOGGER });
  }

  async change(command: Command): Promise<Reply> {
    const reply = await this.log.change(command);
    if (reply.kind === "refused") throw new Error(reply.message);
    return reply;
  }

  isThere(path: string): boolean {
    return stat(this.state, path).kind === "found";
  }
}

test("files go when their time is over, by their own wish or by policy, and few at a time", async (t) => {
  const office = new Office();
  const runner = await office.start();
  await office.change({ kind: "makeDirectory", path: "/tmp", parents: false });
  const policy = { ...NO_POLICY, ttlMs: 10_000 };
  await office.change({ kind: "setPolicy", path: "/tmp", policy });
  for (let i = 0; i < 450; i++) await office.change(commitOf(`/tmp/${i}`, []));
  await office.change(commitOf("/tmp/long", [], { ttlMs: 20_000 }));
  await office.change(commitOf("/tmp/ever", [], { ttlMs: 0 }));
  await office.world.sleep(9_900);
  t.true(office.isThere("/tmp/0") && office.isThere("/tmp/449"));
  await office.world.sleep(2_000);
  t.false(office.isThere("/tmp/0") || office.isThere("/tmp/449"));
  t.true(office.isThere("/tmp/long"));
  await office.world.sleep(10_000);
  t.false(office.isThere("/tmp/long"));
  t.true(office.isThere("/tmp/ever"));
  t.like(stat(office.state, "/tmp"), { inode: { usage: { files: 1 }, childCount: 1 } });
  const { proposals } = office.replication;
  await office.world.sleep(60_000);
  t.is(office.replication.proposals, proposals); // nothing to do costs nothing in the log
  await runner.close();
});

test("files go in time though many others that are due cannot be sealed", async (t) => {
  const office = new Office();
  const sealing = new Set<string>();
  let most = 0;
  const runner = await office.start(async (path) => {
    sealing.add(path);
    most = Math.max(most, sealing.size);
    await office.world.sleep(15_000);
    sealing.delete(path);
    throw new LumeoError("UNAVAILABLE", "what is appended to it could not be completed in time");
  });
  await office.change({ kind: "makeDirectory", path: "/tmp", parents: false });
  for (const id of [1, 2, 3]) await office.change(registrationOf(`cs${id}`));
  const policy = { ...NO_POLICY, ttlMs: 10_000 };
  await office.change({ kind: "setPolicy", path: "/tmp", policy });
  for (let i = 0; i < 300; i++) await office.change(openTailOf(`/tmp/growing${i}`));
  await office.world.sleep(10);
  for (let i = 0; i < 3; i++) await office.change(commitOf(`/tmp/${i}`, []));
  await office.world.sleep(12_000);
  t.false(office.isThere("/tmp/0") || office.isThere("/tmp/2"));
  t.true(office.isThere("/tmp/growing0") && office.isThere("/tmp/growing299"));
  t.is(most, 32);
  await runner.close();
});

test("lapsed locks are cleared away, all of many, and those that are held stay", async (t) => {
  const office = new Office();
  const runner = await office.start();
  for (let i = 0; i < 600; i++) {
    await office.change({ kind: "acquireLock", name: `job-${i}`, holder: "", ttlMs: 1_000 });
  }
  await office.change({ kind: "acquireLock", name: "kept", holder: "", ttlMs: 3_600_000 });
  await office.world.sleep(70_000);
  t.is(getCount(office.state, "locks"), 1);
  t.is(getLock(office.state, "job-599"), undefined);
  t.not(getLock(office.state, "kept"), undefined);
  await runner.close();
});
