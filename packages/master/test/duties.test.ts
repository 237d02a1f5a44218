// What a leader does unasked, on virtual time.

import {
  type ChunkHandle,
  type LogFields,
  type Logger,
  LumeoError,
  SILENT_LOGGER,
  serverId,
  sessionId,
} from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import { type Duty, DutyRunner } from "../src/duties/duty.js";
import { grantExpiryDuty, sessionExpiryDuty, uploadExpiryDuty } from "../src/duties/expiry-duty.js";
import { feedTrimDuty } from "../src/duties/feed-trim-duty.js";
import { forgetDuty } from "../src/duties/forget-duty.js";
import { foundingDuty } from "../src/duties/founding-duty.js";
import { MetadataLog } from "../src/duties/metadata-log.js";
import type {
  AuditOutcome,
  CopyOutcome,
  Orders,
  ReplicaName,
  Verdict,
} from "../src/duties/orders.js";
import { reapDuty } from "../src/duties/reap-duty.js";
import { verifyDuty } from "../src/duties/verify-duty.js";
import { Fleet } from "../src/fleet/servers.js";
import { changeFloor, changesPage, FEED_START } from "../src/metadata/changes.js";
import { getChunk } from "../src/metadata/chunk-table.js";
import { getClusterId } from "../src/metadata/cluster.js";
import type { Command, Reply } from "../src/metadata/command.js";
import { getGrant } from "../src/metadata/grants.js";
import { orphans } from "../src/metadata/queries.js";
import { getSession } from "../src/metadata/sessions.js";
import { getUpload } from "../src/metadata/uploads.js";
import { LoneReplication } from "./lone-replication.js";
import { commitOf, registrationOf, removalOf, sealed } from "./metadata-driver.js";

const MINUTE = 60_000;
const LIMITS = {
  intervalMs: 10_000,
  grantMs: 60 * MINUTE,
  uploadIdleMs: 30 * MINUTE,
  sessionIdleMs: 60 * MINUTE,
};
const GRACE_MS = 10 * MINUTE;
const LOAD = {
  chunkCount: 0,
  usedBytes: 0,
  capacityBytes: 1,
  freeBytes: 1,
  isReadOnly: false,
  writesInFlight: 0,
};

class RecordedOrders implements Orders {
  readonly deleted: { readonly name: string; readonly handles: readonly ChunkHandle[] }[] = [];
  verdict: Verdict | LumeoError = { kind: "intact", lengthBytes: 4, crc32c: 0 };

  async deleteReplicas(
    server: { name: string },
    replicas: readonly ReplicaName[],
  ): Promise<readonly ChunkHandle[]> {
    this.deleted.push({ name: server.name, handles: replicas.map(({ handle }) => handle) });
    return [];
  }

  async verifyReplica(): Promise<Verdict> {
    if (this.verdict instanceof LumeoError) throw this.verdict;
    return this.verdict;
  }

  async copyReplica(): Promise<CopyOutcome> {
    return { kind: "here" };
  }

  async auditReplica(): Promise<AuditOutcome> {
    return { kind: "intact", readBytes: 0 };
  }

  async closeGrants(): Promise<readonly ChunkHandle[]> {
    return [];
  }
}

class Office {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly replication = new LoneReplication();
  readonly state = this.replication.state;
  readonly orders = new RecordedOrders();
  readonly warnings: (LogFields | undefined)[] = [];
  readonly logger: Logger = {
    ...SILENT_LOGGER,
    warn: (_message, fields) => this.warnings.push(fields),
  };
  readonly fleet = new Fleet(
    { suspectMs: 1e9, deadMs: 1e9, steadyMs: 0 },
    this.clock.monotonicMs(),
  );
  readonly log = new MetadataLog({
    replication: this.replication,
    reader: this.state,
    clock: this.clock,
  });

  start(duties: readonly Duty[] = this.duties()): DutyRunner {
    const { replication, logger } = this;
    return new DutyRunner(duties, { replication, timers: this.clock, logger });
  }

  duties(): readonly Duty[] {
    const parts = {
      log: this.log,
      clock: this.clock,
      fleet: this.fleet,
      orders: this.orders,
      logger: this.logger,
    };
    return [
      foundingDuty(this.log, "the-cluster"),
      grantExpiryDuty(this.log, this.clock, LIMITS),
      uploadExpiryDuty(this.log, this.clock, LIMITS),
      sessionExpiryDuty(this.log, this.clock, LIMITS),
      reapDuty(this.log),
      forgetDuty(parts, { intervalMs: 10_000, graceMs: GRACE_MS }),
      verifyDuty(parts),
    ];
  }

  async change(command: Command): Promise<Reply> {
    const reply = await this.log.change(command);
    if (reply.kind === "refused") throw new Error(reply.message);
    return reply;
  }

  async register(name: string): Promise<void> {
    const reply = await this.change(registrationOf(name));
    if (reply.kind !== "registered") throw new Error(reply.kind);
    const report = { load: LOAD, damaged: [], isFirst: true };
    this.fleet.heartbeat(reply.server, report, this.clock.monotonicMs());
  }

  async grant(handles: number): Promise<readonly ChunkHandle[]> {
    const placements = [[serverId(1), serverId(2)]];
    const reply = await this.change({ kind: "allocate", placements, handles });
    const first = (reply.kind === "allocated" ? (reply.grants[0] ?? 0) : 0) * 64;
    return Array.from({ length: handles }, (_, slot) => (first + slot) as ChunkHandle);
  }
}

test("the first leader founds the cluster", async (t) => {
  const office = new Office();
  const runner = office.start();
  await office.world.sleep(10);
  t.is(getClusterId(office.state), "the-cluster");
  await runner.close();
});

test("a founding that fails is tried again", async (t) => {
  const office = new Office();
  office.replication.failures.push(new LumeoError("LEADERSHIP_LOST", "lost"));
  const runner = office.start([foundingDuty(office.log, "the-cluster")]);
  await office.world.sleep(500);
  t.is(getClusterId(office.state), undefined);
  t.like(office.warnings, [{ component: "founding", code: "LEADERSHIP_LOST" }]);
  await office.world.sleep(1_000);
  t.is(getClusterId(office.state), "the-cluster");
  await runner.close();
});

test("a removed tree is reaped, and its chunks are deleted when their grace is over", async (t) => {
  const office = new Office();
  const runner = office.start();
  await office.world.sleep(10);
  await office.register("cs1");
  await office.register("cs2");
  const all: ChunkHandle[] = [];
  for (let directory = 0; directory < 4; directory++) {
    for (let i = 0; i < 5; i++) {
      const handles = await office.grant(60);
      all.push(...handles);
      for (const handle of handles) {
        const path = `/t/${directory}/${handle}`;
        await office.change(commitOf(path, [handle], { makeParents: true }));
      }
    }
  }
  await office.change(removalOf("/t", true));
  await office.world.sleep(MINUTE);
  t.deepEqual(await orphans(office.state, 1), []);
  t.true(all.every((handle) => getChunk(office.state, handle)?.releasedAt !== undefined));
  await office.world.sleep(GRACE_MS - 2 * MINUTE);
  t.true(all.every((handle) => getChunk(office.state, handle) !== undefined));
  await office.world.sleep(3 * MINUTE);
  t.true(all.every((handle) => getChunk(office.state, handle) === undefined));
  for (const name of ["cs1", "cs2"]) {
    const orders = office.orders.deleted.filter((order) => order.name === name);
    const handles = orders.flatMap((order) => order.handles);
    t.deepEqual(
      [...handles].sort((a, b) => a - b),
      all,
    );
  }
  await runner.close();
});

test("grants, uploads and sessions that nobody uses end, those in use stay", async (t) => {
  const office = new Office();
  const runner = office.start();
  await office.world.sleep(10);
  const [handle] = await office.grant(1);
  const begun = await office.change({ kind: "beginUpload", path: "/idle" });
  const used = await office.change({ kind: "beginUpload", path: "/used" });
  await office.change({ kind: "openSession" });
  if (begun.kind !== "uploadBegun" || used.kind !== "uploadBegun") return t.fail();
  const grant = Math.floor((handle ?? 0) / 64) as never;
  const session = sessionId(1);
  await office.world.sleep(29 * MINUTE);
  const chunks = (await office.grant(1)).map(sealed);
  await office.change({ kind: "addChunks", upload: used.upload, first: 0, chunks });
  await office.world.sleep(20 * MINUTE);
  t.is(getUpload(office.state, begun.upload), undefined);
  t.not(getUpload(office.state, used.upload), undefined);
  t.not(getGrant(office.state, grant), undefined);
  t.not(getSession(office.state, session), undefined);
  await office.world.sleep(12 * MINUTE);
  t.is(getGrant(office.state, grant), undefined);
  t.is(getSession(office.state, session), undefined);
  t.deepEqual(office.warnings, []);
  await runner.close();
});

test("duties rest while another master leads, and go on in the next office", async (t) => {
  const office = new Office();
  office.replication.lead(false);
  const runner = office.start();
  await office.world.sleep(MINUTE);
  t.is(office.replication.proposals, 0);
  office.replication.lead(true);
  await office.world.sleep(10);
  t.is(getClusterId(office.state), "the-cluster");
  await runner.close();
  const { proposals } = office.replication;
  await office.world.sleep(2 * 60 * MINUTE);
  t.is(office.replication.proposals, proposals);
});

test("a duty does not overlap itself, and a lost office ends its round", async (t) => {
  const office = new Office();
  let running = 0;
  let rounds = 0;
  let finish = (): void => {};
  const slow: Duty = {
    name: "slow",
    intervalMs: 10,
    async work() {
      t.is(++running, 1);
      rounds++;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      running--;
      return "more";
    },
  };
  const runner = office.start([slow]);
  await office.world.sleep(1_000);
  t.is(rounds, 1);
  finish();
  await office.world.sleep(1_000);
  t.is(rounds, 2);
  office.replication.lead(false);
  finish();
  await office.world.sleep(1_000);
  t.is(rounds, 2);
  await runner.close();
});

test("a complaint marks a copy as damaged only if its server finds it so", async (t) => {
  const office = new Office();
  const runner = office.start();
  await office.world.sleep(10);
  await office.register("cs1");
  const [server, handle] = [serverId(1), 100 as ChunkHandle];
  office.fleet.suspect({ server, handle });
  await office.world.sleep(1_000);
  t.false(office.fleet.isDamaged(server, handle));
  office.orders.verdict = { kind: "bad", why: "block 3" };
  office.fleet.suspect({ server, handle });
  await office.world.sleep(1_000);
  t.true(office.fleet.isDamaged(server, handle));
  await runner.close();
});

test("a check whose order did not arrive goes with the next heartbeat", async (t) => {
  const office = new Office();
  const runner = office.start();
  await office.world.sleep(10);
  await office.register("cs1");
  const [server, handle] = [serverId(1), 100 as ChunkHandle];
  office.orders.verdict = new LumeoError("UNAVAILABLE", "nobody answers");
  office.fleet.suspect({ server, handle });
  await office.world.sleep(1_000);
  t.false(office.fleet.isDamaged(server, handle));
  t.deepEqual(office.fleet.takeDeferred(server), [handle]);
  await runner.close();
});

test("old changes leave the feed, by age and by distance, and the floor tells which", async (t) => {
  const office = new Office();
  const { log, clock, state, replication } = office;
  const applied = () => replication.status.applied;
  const limits = { intervalMs: 1_000, changeKeepMs: MINUTE, changeKeepRevisions: 5_000 };
  const runner = office.start([feedTrimDuty({ log, clock, applied }, limits)]);
  const make = (name: string) =>
    office.change({ kind: "makeDirectory", path: name, parents: false });
  const kept = async () =>
    (await changesPage(state, FEED_START, 10_000)).map((one) => one.revision);
  await office.change({ kind: "initCluster", clusterId: "c" });
  await make("/early");
  const early = applied();
  await office.world.sleep(30_000);
  await make("/late");
  const late = applied();
  await office.world.sleep(20_000);
  t.deepEqual(await kept(), [early, late]);
  await office.world.sleep(20_000);
  t.deepEqual(await kept(), [late]);
  t.is(changeFloor(state), early);
  for (let i = 0; i < 8_000; i++) await make(`/${i}`);
  const newest = applied();
  await office.world.sleep(10_000);
  const [first = 0] = await kept();
  t.is(changeFloor(state), first - 1);
  t.true(newest - 5_500 <= first && first <= newest - 4_900, `${first} of ${newest}`);
  const { proposals } = replication;
  await office.world.sleep(10_000);
  t.is(replication.proposals, proposals);
  await runner.close();
});
