// More than a member can take: everybody is answered, what waits is bounded, and it goes on after.

import test from "ava";
import { DriverGroup, type TestMember } from "./driver-group.js";

const COMMAND = new Uint8Array(100);
const LIMITS = { proposalBytesMax: 200_000, applyLagMax: 500 };

interface Counts {
  ok: number;
  refused: number;
  other: number;
  underWay: number;
}

/** Proposes without end, many callers, each again as soon as it was answered. */
function flood(member: TestMember, callers: number, until: () => boolean): Counts {
  const counts = { ok: 0, refused: 0, other: 0, underWay: 0 };
  const call = async (): Promise<void> => {
    while (!until()) {
      counts.underWay += 1;
      const code = await member.driver?.propose(COMMAND).then(
        () => "OK",
        (error) => error.code as string,
      );
      counts.underWay -= 1;
      if (code === "OK") counts.ok += 1;
      else if (code === "OVERLOADED") counts.refused += 1;
      else counts.other += 1;
      await member.group.world.sleep(code === "OK" ? 0 : 50);
    }
  };
  for (let i = 0; i < callers; i++) void call();
  return counts;
}

test("2.12: a leader whose state is not flushed refuses, holds no more, and goes on after", async (t) => {
  const group = new DriverGroup(3, LIMITS);
  group.stateLimits = { flushDelayMs: 50, flushBytes: 10_000, waitingBytesMax: 50_000 };
  for (const member of group.all) await group.settled(member.start());
  const leader = await group.leader();
  leader.stateMs = 5_000;
  let isOver = false;
  const counts = flood(leader, 2_000, () => isOver);
  for (let i = 0; i < 20; i++) {
    await group.world.sleep(250);
    t.true(counts.underWay <= 2_000);
    const { commit, applied } = leader.driver?.status ?? { commit: 0, applied: 0 };
    t.true(commit - applied <= LIMITS.applyLagMax + 400, `${commit - applied} are not applied`);
  }
  t.true(500 < counts.refused, `${counts.refused} were refused`);
  t.true(leader.isLeader, "overload is no reason to lose the leadership");
  leader.stateMs = 3;
  await group.world.sleep(6_000);
  const before = counts.ok;
  await group.world.sleep(1_000);
  t.true(before < counts.ok, "it goes on");
  isOver = true;
  await group.until(() => counts.underWay === 0);
  t.is(counts.other, 0);
  await group.converge();
});

test("2.12: a leader without a majority takes in no more than its bound", async (t) => {
  const group = await DriverGroup.start(3, { ...LIMITS, proposalBytesMax: 100_000 });
  await group.put("a");
  const leader = await group.leader();
  for (const member of group.all) if (member !== leader) group.isolate(member.id);
  let isOver = false;
  const counts = flood(leader, 1_000, () => isOver);
  await group.world.sleep(800);
  const held = leader.driver?.details.uncommittedBytes ?? 0;
  t.true(0 < held && held <= 100_000, `${held} bytes are not committed`);
  t.true(0 < counts.refused);
  await group.until(() => !leader.isLeader);
  isOver = true;
  await group.until(() => counts.underWay === 0);
  t.is(counts.ok, 0);
  group.heal();
  await group.put("b");
  await group.converge();
});

test("2.12: more reads than can wait are refused with a hint, and the others served", async (t) => {
  const group = await DriverGroup.start(3, { readsMax: 50 });
  const leader = await group.leader();
  const reads = Array.from({ length: 200 }, () => leader.driver?.read());
  const results = await group.settled(Promise.allSettled(reads));
  const settled = results.status === "fulfilled" ? results.value : [];
  t.is(settled.filter(({ status }) => status === "fulfilled").length, 50);
  for (const result of settled) {
    if (result.status === "fulfilled") continue;
    t.is(result.reason.code, "OVERLOADED");
    t.true(0 < result.reason.details.retryAfterMs);
  }
});
