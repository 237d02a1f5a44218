// History that nobody needs and things in the trash whose time is over, on virtual time.

import { SILENT_LOGGER } from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import { DutyRunner } from "../src/duties/duty.js";
import { MetadataLog } from "../src/duties/metadata-log.js";
import { reapDuty } from "../src/duties/reap-duty.js";
import { historySweepDuty, trashExpiryDuty } from "../src/duties/sweep-duty.js";
import type { Command, Reply } from "../src/metadata/command.js";
import { NO_POLICY } from "../src/metadata/directory-record.js";
import { trashPage, versionsPage } from "../src/metadata/past-queries.js";
import { LoneReplication } from "./lone-replication.js";
import { commitOf, removalOf } from "./metadata-driver.js";
import { audit } from "./state-audit.js";

const MINUTE = 60_000;

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

  async start(): Promise<DutyRunner> {
    await this.change({ kind: "initCluster", clusterId: "c" });
    const { log, clock, replication } = this;
    const duties = [historySweepDuty(log), trashExpiryDuty(log, clock), reapDuty(log)];
    return new DutyRunner(duties, { replication, timers: clock, logger: SILENT_LOGGER });
  }

  async change(command: Command): Promise<Reply> {
    const reply = await this.log.change(command);
    if (reply.kind === "refused") throw new Error(reply.message);
    return reply;
  }

  async versions(path: string): Promise<number> {
    const page = await versionsPage(this.state, { path, before: 0, countMax: 10_000 });
    return page.kind === "page" ? page.found.length : 0;
  }
}

test("versions beyond the policy go, also of one file that fills pages of history", async (t) => {
  const office = new Office();
  const runner = await office.start();
  await office.change({ kind: "setPolicy", path: "/", policy: { ...NO_POLICY, versions: 3 } });
  for (let i = 0; i < 5_000; i++) await office.change(commitOf("/hot", []));
  for (let i = 0; i < 5; i++) await office.change(commitOf("/cold", []));
  t.is(await office.versions("/hot"), 4_999);
  await office.world.sleep(3 * MINUTE);
  t.is(await office.versions("/hot"), 3);
  t.is(await office.versions("/cold"), 3);
  const { proposals } = office.replication;
  await office.world.sleep(10 * MINUTE);
  t.is(office.replication.proposals, proposals); // nothing to do costs nothing in the log
  await runner.close();
});

test("a leader that follows another one begins the round anew and finishes it", async (t) => {
  const office = new Office();
  const runner = await office.start();
  await office.change({ kind: "setPolicy", path: "/", policy: { ...NO_POLICY, versions: 1 } });
  for (let i = 0; i < 6_000; i++) await office.change(commitOf(`/f${i % 2_000}`, []));
  office.replication.lead(false);
  office.replication.lead(true);
  await office.world.sleep(50); // in the middle of a round
  office.replication.lead(false);
  await office.world.sleep(MINUTE);
  office.replication.lead(true);
  await office.world.sleep(3 * MINUTE);
  t.is(await office.versions("/f0"), 1);
  t.is(await office.versions("/f1999"), 1);
  t.deepEqual(await audit(office.state), []);
  await runner.close();
});

test("a snapshot keeps what it shows, and a removed one keeps nothing", async (t) => {
  const office = new Office();
  const runner = await office.start();
  await office.change({ kind: "makeDirectory", path: "/d", parents: false });
  for (let i = 0; i < 300; i++) await office.change(commitOf(`/d/${i}`, []));
  const before = office.state.size;
  await office.change({ kind: "createSnapshot", path: "/d", name: "s" });
  await office.change({ kind: "makeDirectory", path: "/d/e", parents: false });
  for (let i = 0; i < 300; i++) await office.change(removalOf(`/d/${i}`, false));
  await office.world.sleep(3 * MINUTE);
  t.true(before < office.state.size);
  await office.change({ kind: "removeSnapshot", path: "/d", name: "s" });
  await office.world.sleep(3 * MINUTE);
  t.deepEqual(await audit(office.state), []);
  const inodes = office.state.dump().match(/^10/gm) ?? [];
  t.is(inodes.length, 3); // the root, d and e
  await runner.close();
});

test("the trash is emptied page by page as its things come of age", async (t) => {
  const office = new Office();
  const runner = await office.start();
  const policy = { ...NO_POLICY, trashMs: 5 * MINUTE };
  await office.change({ kind: "setPolicy", path: "/", policy });
  const remove = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      await office.change(commitOf(`/d${i}/f`, [], { makeParents: true }));
      await office.change(removalOf(`/d${i}`, true));
    }
  };
  await remove(700);
  await office.world.sleep(3 * MINUTE);
  await remove(10);
  await office.world.sleep(3 * MINUTE);
  t.is((await trashPage(office.state, { after: 0, countMax: 1_000 })).found.length, 10);
  await office.world.sleep(3 * MINUTE);
  t.is((await trashPage(office.state, { after: 0, countMax: 1_000 })).found.length, 0);
  t.deepEqual(await audit(office.state), []);
  await runner.close();
});
