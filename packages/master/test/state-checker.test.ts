// Masters that compare their states, on virtual time: what each concludes, and what it does then.

import { createHash } from "node:crypto";
import { MiB, type NodeId, nodeId, SILENT_LOGGER } from "@lumeofs/base";
import { Lifetime, MemoryDisk, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import { quarantine, refuseQuarantined } from "../src/integrity/quarantine.js";
import { CHECKS_KEPT, StateChecker } from "../src/integrity/state-checker.js";
import type { Verdict } from "../src/integrity/verdict.js";
import { encodeProposal } from "../src/metadata/command-codec.js";
import { isStateCheck } from "../src/metadata/state-check.js";
import { logIndex, term } from "../src/raft/entry.js";

const PATIENCE_MS = 10_000;

class Master {
  readonly disk = new MemoryDisk();
  readonly verdicts: Verdict[] = [];
  readonly fatal: unknown[] = [];
  readonly checker: StateChecker;
  applied = logIndex(0);
  isReachable = true;

  constructor(
    readonly id: NodeId,
    masters: ReadonlyMap<NodeId, Master>,
    world: World,
  ) {
    const clock = new SimClock(world, new Lifetime(world));
    const parts = {
      self: id,
      group: () => {
        const voters = [...masters.keys()];
        const addresses = Object.fromEntries(voters.map((one) => [one, `${one}:1`]));
        return { voters: { voters, votersOutgoing: [] }, addresses };
      },
      hash: async (pieces: AsyncIterable<Uint8Array>) => {
        const hash = createHash("sha256");
        for await (const piece of pieces) hash.update(piece);
        return hash.digest("hex");
      },
      ask: async (address: string, own: Parameters<StateChecker["learn"]>[0]) => {
        await world.sleep(2);
        const peer = masters.get(nodeId(address.split(":")[0] ?? "")) as Master;
        if (!peer.isReachable || !this.isReachable) throw new Error("not reachable");
        peer.checker.learn(own);
        return peer.checker.resultAt(own.index);
      },
      quarantine: (why: string) => quarantine(this.disk, why),
      applied: () => this.applied,
      clock,
      timers: clock,
      logger: SILENT_LOGGER,
      judged: (verdict: Verdict) => this.verdicts.push(verdict),
      onFatal: (error: unknown) => {
        this.fatal.push(error);
        this.isReachable = false;
      },
    };
    const limits = { bytesPerSecond: MiB, pollMs: 100, patienceMs: PATIENCE_MS };
    this.checker = new StateChecker(parts, limits);
  }

  /** The check at this index has been applied; the state is this text. */
  apply(index: number, state: string): void {
    this.applied = logIndex(index);
    const pieces = async function* () {
      yield new TextEncoder().encode(state);
    };
    const close = async () => {};
    this.checker.begin({ index: this.applied, term: term(1), pieces, close });
  }
}

function masters(count: number): { readonly world: World; readonly all: readonly Master[] } {
  const world = new World(1);
  const map = new Map<NodeId, Master>();
  for (let i = 1; i <= count; i++) {
    const id = nodeId(`m${i}`);
    map.set(id, new Master(id, map, world));
  }
  return { world, all: [...map.values()] };
}

async function judged(world: World, all: readonly Master[]): Promise<readonly string[]> {
  const isOver = () => all.every(({ verdicts }) => 0 < verdicts.length);
  for (let i = 0; i < 1_000 && !isOver(); i++) await world.sleep(100);
  return all.map(({ verdicts }) => verdicts.at(-1)?.kind ?? "none");
}

test("Masters with the same state pass, also one that gets there late", async (t) => {
  const { world, all } = masters(3);
  all[0]?.apply(7, "state");
  all[1]?.apply(7, "state");
  await world.sleep(3_000);
  t.deepEqual(
    all.map(({ verdicts }) => verdicts.length),
    [0, 0, 0],
    "the third may differ",
  );
  all[2]?.apply(7, "state");
  t.deepEqual(await judged(world, all), ["passed", "passed", "passed"]);
  for (const { fatal } of all) t.deepEqual(fatal, []);
});

test("A master in the minority stops for good, and the others learn which one it was", async (t) => {
  const { world, all } = masters(3);
  const [first, second, third] = all as [Master, Master, Master];
  first.apply(7, "state");
  second.apply(7, "stata");
  third.apply(7, "state");
  t.deepEqual(await judged(world, all), ["passed", "minority", "passed"]);
  t.like(second.fatal[0], { code: "CORRUPT" });
  await t.throwsAsync(() => refuseQuarantined(second.disk), {
    message: /"m2" at entry 7 differs from that of "m1", "m3".*lumeo master add/s,
  });
  await t.notThrowsAsync(() => refuseQuarantined(first.disk));
  for (const { verdicts } of [first, third]) {
    t.deepEqual(verdicts, [{ kind: "passed", different: [second.id], unknown: [] }]);
  }
});

test("A master that is not reachable is unknown, not passed, and a lone one concludes nothing", async (t) => {
  const { world, all } = masters(3);
  const [first, second, third] = all as [Master, Master, Master];
  third.isReachable = false;
  for (const master of all) master.apply(7, "state");
  t.deepEqual(await judged(world, all), ["passed", "passed", "incomplete"]);
  t.deepEqual(first.verdicts, [{ kind: "passed", different: [], unknown: [third.id] }]);
  t.deepEqual(third.verdicts, [{ kind: "incomplete", unknown: [first.id, second.id] }]);
});

test("Where no majority agrees there is an alarm, and nobody stops", async (t) => {
  const { world, all } = masters(3);
  for (const [i, master] of all.entries()) master.apply(7, `state ${i}`);
  t.deepEqual(await judged(world, all), ["noMajority", "noMajority", "noMajority"]);
  for (const { fatal } of all) t.deepEqual(fatal, []);
});

test("A master that has no result of an entry says so, or that it is not there yet", (t) => {
  const { all } = masters(1);
  const [master] = all as [Master];
  t.deepEqual(master.checker.resultAt(logIndex(9)), { kind: "pending" });
  master.applied = logIndex(9);
  t.deepEqual(master.checker.resultAt(logIndex(9)), { kind: "unknown" });
});

test("Only so many checks are remembered, and strangers are not listened to", (t) => {
  const { all } = masters(2);
  const [first, second] = all as [Master, Master];
  for (let index = 1; index <= 2 * CHECKS_KEPT; index++) {
    first.checker.learn({ index: logIndex(index), from: second.id, hex: "a" });
  }
  t.is(first.checker.reportAt(logIndex(1)), undefined);
  t.not(first.checker.reportAt(logIndex(2 * CHECKS_KEPT)), undefined);
  first.checker.learn({ index: logIndex(999), from: nodeId("m9"), hex: "a" });
  t.is(first.checker.reportAt(logIndex(999)), undefined);
});

test("The state is read no faster than allowed", async (t) => {
  const { world, all } = masters(1);
  const [master] = all as [Master];
  master.apply(7, "x".repeat(3 * MiB));
  await judged(world, all);
  t.true(2_900 <= world.now, `${world.now} ms for 3 MiB`);
});

test("A check is told from every other entry of the log", (t) => {
  const at = 1_700_000_000_000 as never;
  const check = { at, request: undefined, command: { kind: "checkState" } } as const;
  t.true(isStateCheck(encodeProposal(check)));
  const others = [
    { kind: "openSession" },
    { kind: "makeDirectory", path: "/!", parents: false },
    { kind: "expireLocks", names: [] },
  ] as const;
  for (const command of others) {
    t.false(isStateCheck(encodeProposal({ at, request: undefined, command })));
  }
});
