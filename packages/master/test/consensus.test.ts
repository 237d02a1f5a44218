// Real members: LevelDB on disk, gRPC on loopback, real time. What is decided by chance and by
// faults is tested on virtual time in driver.test.ts and in the simulation.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Disk,
  LumeoError,
  MiB,
  type NodeId,
  nodeId,
  ResourceStack,
  SILENT_LOGGER,
} from "@lumeofs/base";
import { FileDisk, openMetrics, SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import { type RpcMethod, RpcServer } from "@lumeofs/node/rpc";
import { findFreePorts } from "@lumeofs/testkit";
import test from "ava";
import { DRIVER_LIMITS_DEFAULT, RAFT_OPTIONS_DEFAULT } from "../src/consensus/config.js";
import { Consensus } from "../src/consensus/consensus.js";
import { ConsensusMeter } from "../src/consensus-metrics.js";
import { METRICS } from "../src/metrics.js";
import { OperationRoom } from "../src/rpc/operation-room.js";
import { RaftTransport } from "../src/rpc/raft-service.js";
import { openLevelState } from "../src/state/level-state.js";
import { MachineState } from "../src/state/machine-state.js";
import { remember } from "./driver-group.js";

const LIMITS = { ...DRIVER_LIMITS_DEFAULT, compactEntries: 50, tailEntries: 10 };
const RAFT = { ...RAFT_OPTIONS_DEFAULT, electionTicks: 10 };
const TICK_MS = 20;

class RealMember {
  readonly fatal: unknown[] = [];

  private constructor(
    readonly consensus: Consensus,
    readonly state: MachineState,
    private readonly open: ResourceStack,
  ) {}

  static async start(
    folder: string,
    id: NodeId,
    members: Readonly<Record<NodeId, string>>,
    seenDisk: (disk: Disk) => Disk = (disk) => disk,
  ): Promise<RealMember> {
    await using opening = new ResourceStack();
    const timers = new SystemTimers();
    const disk = seenDisk(await FileDisk.open(folder));
    const store = opening.use(await openLevelState({ folder, disk, timers }));
    const state = new MachineState(store, remember);
    const links = opening.use(
      new RaftTransport({
        ...{ clusterId: "test", self: id, hints: members, timers, logger: SILENT_LOGGER },
      }),
    );
    const port = Number(members[id]?.split(":")[1]);
    opening.use(await listen(port, links.methods));
    const fatal: unknown[] = [];
    const consensus = opening.use(
      await Consensus.start(
        {
          ...{ id, founders: members, address: members[id] ?? "", folder },
          ...{ tickMs: TICK_MS, raft: RAFT, limits: LIMITS },
        },
        {
          disk,
          state,
          links,
          timers,
          clock: new SystemClock(),
          random: new SystemRandom(),
          logger: SILENT_LOGGER,
          onFatal: (error) => fatal.push(error),
        },
      ),
    );
    return new RealMember(consensus, state, opening.move());
  }

  close(): Promise<void> {
    return this.open.close();
  }
}

/**
 * Listens on a port that was listened on before. A closed socket lives on for a moment in each
 * child that another test thread was just forking; it is gone once that child runs its program.
 */
async function listen(port: number, methods: readonly RpcMethod[]): Promise<RpcServer> {
  for (;;) {
    const options = { host: "127.0.0.1", port, logger: SILENT_LOGGER, closeGraceMs: 200 };
    try {
      return await RpcServer.start(options, methods);
    } catch (error) {
      if (!(error instanceof LumeoError) || error.code !== "CONFIG") throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function freeAddresses(ids: readonly NodeId[]): Promise<Record<NodeId, string>> {
  const ports = await findFreePorts(ids.length);
  return Object.fromEntries(ids.map((id, i) => [id, `127.0.0.1:${ports[i]}`]));
}

async function until<T>(find: () => T | undefined | false): Promise<T> {
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Proposes at whoever leads, again after a refusal. */
async function put(members: readonly RealMember[], text: string): Promise<void> {
  for (;;) {
    const leader = await until(() =>
      members.find(({ consensus }) => consensus.status.role === "leader"),
    );
    const done = await leader.consensus.propose(new TextEncoder().encode(text)).then(
      () => true,
      (error) => {
        if (error.outcome === "rejected") return false;
        throw error;
      },
    );
    if (done) return;
  }
}

async function commands(member: RealMember): Promise<readonly string[]> {
  const [from, to] = [new Uint8Array([0x01]), new Uint8Array([0x80])];
  const pairs = await member.state.reader.range(from, to, 1_000_000);
  return pairs.map(([, value]) => new TextDecoder().decode(value));
}

test("Members on LevelDB and gRPC replicate, restart, and bring one back by a snapshot", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "lumeo-consensus-"));
  const ids = ["m1", "m2", "m3"].map(nodeId);
  const addresses = await freeAddresses(ids);
  const start = (id: NodeId) => RealMember.start(join(root, id), id, addresses);
  let members: RealMember[] = [];
  try {
    members = await Promise.all(ids.map(start));
    const all = Array.from({ length: 30 }, (_, i) => `a${i}`);
    for (const text of all) await put(members, text);
    const leader = await until(() => members.find((m) => m.consensus.status.role === "leader"));
    const slow = members.find((member) => member !== leader) as RealMember;
    const slowId = slow.consensus.status.id;
    await slow.close();
    members = members.filter((member) => member !== slow);
    for (let i = 0; i < 10; i++) {
      const texts = Array.from({ length: 20 }, (_, j) => `b${i}-${j}`);
      await Promise.all(texts.map((text) => put(members, text)));
      all.push(...texts);
    }
    await until(() => members.every((m) => 40 < m.consensus.status.logFirst));
    members.push(await start(slowId));
    await put(members, "last");
    all.push("last");
    await until(() =>
      members.every((m) => m.consensus.status.applied === members[0]?.consensus.status.commit),
    );
    for (const member of members) t.deepEqual(await commands(member), all);
    await Promise.all(members.map((member) => member.close()));
    members = await Promise.all(ids.map(start));
    await put(members, "again");
    all.push("again");
    await until(() =>
      members.every((m) => m.consensus.status.applied === members[0]?.consensus.status.commit),
    );
    for (const member of members) t.deepEqual(await commands(member), all);
  } finally {
    await Promise.all(members.map((member) => member.close()));
    await rm(root, { recursive: true, force: true });
  }
});

test("3.4.33: a leader whose disk is nearly full refuses, hands over, and comes back", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "lumeo-space-"));
  const ids = ["m1", "m2", "m3"].map(nodeId);
  const addresses = await freeAddresses(ids);
  const freeBytes = new Map(ids.map((id) => [id, 1_000 * MiB]));
  const start = (id: NodeId) =>
    RealMember.start(join(root, id), id, addresses, (disk) => {
      const space = async () => ({ totalBytes: 2_000 * MiB, freeBytes: freeBytes.get(id) ?? 0 });
      return Object.assign(disk, { space });
    });
  let members: RealMember[] = [];
  try {
    members = await Promise.all(ids.map(start));
    await put(members, "a");
    const leader = await until(() => members.find((m) => m.consensus.status.role === "leader"));
    const { id } = leader.consensus.status;
    freeBytes.set(id, 100 * MiB);
    await until(() => leader.consensus.space.freeBytes === 100 * MiB);
    const refused = await t.throwsAsync(leader.consensus.propose(new Uint8Array(1)));
    t.is((refused as LumeoError).code, "NO_SPACE");
    freeBytes.set(id, 10 * MiB);
    const next = await until(() =>
      members.find((m) => m !== leader && m.consensus.status.role === "leader"),
    );
    t.true(leader.consensus.space.isCritical);
    const written = leader.consensus.status.logLast;
    for (let i = 0; i < 50; i++) await put([next], `b${i}`);
    t.is(leader.consensus.status.logLast, written, "it writes nothing more");
    freeBytes.set(id, 1_000 * MiB);
    await until(() => leader.consensus.status.applied === next.consensus.status.applied);
    t.deepEqual(await commands(leader), await commands(next));
    t.deepEqual(leader.fatal, []);
  } finally {
    await Promise.all(members.map((member) => member.close()));
    await rm(root, { recursive: true, force: true });
  }
});

test("The metrics of a member say what it has done", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "lumeo-figures-"));
  const id = nodeId("m1");
  const member = await RealMember.start(join(root, "m1"), id, await freeAddresses([id]));
  try {
    const { metrics, exposition } = await openMetrics(METRICS);
    const { consensus } = member;
    const room = new OperationRoom();
    const meter = new ConsensusMeter(metrics, { consensus, room, folder: join(root, "m1") });
    const stop = meter.begin();
    for (let i = 0; i < 20; i++) await put([member], `a${i}`);
    await meter.read();
    await meter.read();
    stop();
    const text = await exposition.text();
    const value = (name: string): number =>
      Number(
        text
          .split("\n")
          .find((line) => line.startsWith(`${name} `))
          ?.split(" ")[1],
      );
    t.is(value('lumeo_raft_proposals_total{outcome="applied"}'), 20);
    t.is(value("lumeo_raft_proposals_pending"), 0);
    t.is(value("lumeo_master_is_leader"), 1);
    t.is(value("lumeo_raft_leader_changes_total"), 1);
    t.is(value("lumeo_raft_apply_lag_entries"), 0);
    t.true(20 <= value("lumeo_raft_log_write_seconds_count"));
    t.true(21 <= value("lumeo_raft_log_entries"));
    t.true(0 < value('lumeo_master_disk_bytes{part="log"}'));
    t.true(0 < value("lumeo_master_disk_free_bytes"));
  } finally {
    await member.close();
    await rm(root, { recursive: true, force: true });
  }
});
