import { LumeoError } from "@lumeofs/base";
import test from "ava";
import { RAFT_OPTIONS_DEFAULT, TICK_MS_DEFAULT } from "../src/consensus/config.js";
import { holdsLease, leaseMs } from "../src/consensus/lease.js";
import { momentOf } from "../src/consensus/moment.js";
import { DriverGroup } from "./driver-group.js";

const SMALL = { compactEntries: 10, tailEntries: 5, compactBytes: 1e9, tailBytes: 1e9 };

const numbered = (count: number, name = "c") => Array.from({ length: count }, (_, i) => name + i);

test("Three members elect a leader, and everybody applies what it is given in one order", async (t) => {
  const group = await DriverGroup.start(3);
  const replies = await group.put(...numbered(50));
  t.is(replies.length, 50);
  t.regex(replies[0] ?? "", /^[0-9]+:c0$/);
  await group.converge();
  for (const member of group.all) t.deepEqual(await member.commands(), numbered(50));
});

test("A single member decides alone", async (t) => {
  const group = await DriverGroup.start(1);
  await group.put("a");
  const [member] = group.all;
  t.deepEqual(await member?.commands(), ["a"]);
});

test("A follower refuses and names the leader's address", async (t) => {
  const group = await DriverGroup.start(3);
  const leader = await group.leader();
  const follower = group.all.find((member) => !member.isLeader);
  const result = await group.settled(
    follower?.driver?.propose(new Uint8Array(1)) as Promise<unknown>,
  );
  const error = result.status === "rejected" ? result.reason : undefined;
  t.true(error instanceof LumeoError);
  t.is(error.code, "NOT_LEADER");
  t.is(error.details.leader, `${leader.id}:7400`);
});

test("What was acknowledged survives a power cut of all members", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put(...numbered(20));
  for (const member of group.all) member.crash();
  for (const member of group.all) await group.settled(member.start());
  await group.put("after");
  await group.converge();
  for (const member of group.all) t.deepEqual(await member.commands(), [...numbered(20), "after"]);
});

test("A leader that is cut off tells its callers that it does not know, and catches up later", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put("a");
  const old = await group.leader();
  group.isolate(old.id);
  const lost = old.driver?.propose(new TextEncoder().encode("lost")) as Promise<Uint8Array>;
  const result = await group.settled(lost);
  t.is(result.status, "rejected");
  const error = result.status === "rejected" ? result.reason : undefined;
  t.is(error.code, "LEADERSHIP_LOST");
  t.is(error.outcome, "unknown");
  await group.put("b");
  group.heal();
  await group.put("c");
  await group.converge();
  for (const member of group.all) t.deepEqual(await member.commands(), ["a", "b", "c"]);
});

test("A read at the leader waits for everything that was acknowledged before it", async (t) => {
  const group = await DriverGroup.start(3);
  const leader = await group.leader();
  await group.put("a");
  const result = await group.settled(leader.driver?.read() as Promise<number>);
  t.is(result.status, "fulfilled");
  t.deepEqual(await leader.commands(), ["a"]);
});

test("A read at a follower shows everything that was acknowledged before it", async (t) => {
  const group = await DriverGroup.start(3);
  const leader = await group.leader();
  const follower = group.all.find((member) => member !== leader);
  for (const text of ["a", "b", "c"]) {
    await group.put(text);
    const result = await group.settled(follower?.driver?.read() as Promise<number>);
    t.is(result.status, "fulfilled");
    t.is((await follower?.commands())?.at(-1), text);
  }
});

test("Reads at a follower share the questions that they ask the leader", async (t) => {
  const group = await DriverGroup.start(3);
  const leader = await group.leader();
  const follower = group.all.find((member) => member !== leader);
  let questions = 0;
  group.onSend = (_from, message) => {
    if (message.kind === "readIndex") questions += 1;
  };
  const reads = Array.from({ length: 500 }, () => follower?.driver?.read());
  const result = await group.settled(Promise.all(reads));
  t.is(result.status, "fulfilled");
  t.true(questions <= 2, `${questions} questions for 500 reads`);
});

test("3.3.28: a follower that restarts serves no read before it has caught up", async (t) => {
  const group = await DriverGroup.start(3, SMALL);
  const leader = await group.leader();
  const follower = group.all.find((member) => member !== leader);
  await group.put(...numbered(10, "x"));
  follower?.crash();
  await group.put(...numbered(300, "y"));
  void follower?.start();
  await group.until(() => follower?.driver !== undefined);
  let served = 0;
  for (let attempt = 0; served < 5; attempt++) {
    t.true(attempt < 5_000);
    const result = await group.settled(follower?.driver?.read() as Promise<number>);
    if (result.status === "rejected") {
      t.is(result.reason.code, "NO_LEADER", "it has not heard of the leader yet");
      await group.settled(new Promise<void>((resolve) => group.world.after(5, resolve)));
      continue;
    }
    served += 1;
    t.is((await follower?.commands())?.length, 310);
  }
});

test("A follower that is cut off serves no read", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put("a");
  const leader = await group.leader();
  const follower = group.all.find((member) => member !== leader);
  group.isolate(follower?.id as never);
  const result = await group.settled(follower?.driver?.read() as Promise<number>);
  const error = result.status === "rejected" ? result.reason : undefined;
  t.is(error?.code, "NO_LEADER");
});

test("3.3.27: a lease is over before anybody else leads, whoever is cut off or restarts", async (t) => {
  const raft = { ...RAFT_OPTIONS_DEFAULT, leases: true };
  const length = leaseMs(raft, TICK_MS_DEFAULT);
  let [reliances, elections] = [0, 0];
  for (let seed = 1; seed <= 10; seed++) {
    const group = new DriverGroup(3, {}, seed, raft);
    for (const member of group.all) await group.settled(member.start());
    let last = 0;
    group.world.watch(() => {
      const terms = group.all.map(({ driver }) =>
        driver?.status.role === "leader" ? driver.status.term : 0,
      );
      const newest = Math.max(...terms);
      if (last < newest) elections += 1;
      last = Math.max(last, newest);
      for (const { driver, clock } of group.all) {
        if (driver === undefined || clock === undefined || driver.status.role !== "leader")
          continue;
        if (!holdsLease(driver.freshness.confirmed, momentOf(clock), length)) continue;
        reliances += 1;
        if (driver.status.term < newest) throw new Error("a lease outlives its leader");
      }
    });
    for (let round = 0; round < 6; round++) {
      const leader = await group.leader();
      const [voter, rival] = group.all.filter((member) => member !== leader);
      if (voter === undefined || rival === undefined) return t.fail();
      // The rival has been without a leader for long, and only the voter keeps it from leading.
      group.cut(leader.id, rival.id);
      await group.until(() => rival.driver?.status.role === "candidate");
      await group.settled(group.world.sleep(200 * (round + 1))); // it asks every second or two
      await group.settled(leader.driver?.read() as Promise<number>);
      // The voter forgets whom it has heard.
      voter.crash();
      await group.settled(voter.start());
      group.isolate(leader.id);
      await group.until(() => [voter, rival].some((one) => one.isLeader));
      group.heal();
      await group.put(`round ${round}`);
      await group.converge();
    }
  }
  t.true(0 < reliances);
  t.true(60 <= elections, `${elections} elections`);
});

test("A lease is given up when the leadership is handed over", async (t) => {
  const group = await DriverGroup.start(3);
  const leader = await group.leader();
  await group.settled(leader.driver?.read() as Promise<number>);
  t.not(leader.driver?.freshness.confirmed, undefined);
  let [told, relied] = [0, 0];
  group.onSend = (from, message) => {
    if (from !== leader.id || message.kind !== "timeoutNow") return;
    told += 1;
    if (leader.driver?.freshness.confirmed !== undefined) relied += 1;
  };
  await group.settled(leader.driver?.group.transfer() as Promise<void>);
  t.is(told, 1);
  t.is(relied, 0);
});

test("A leader that is cut off serves no read", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put("a");
  const old = await group.leader();
  group.isolate(old.id);
  const result = await group.settled(old.driver?.read() as Promise<number>);
  const error = result.status === "rejected" ? result.reason : undefined;
  t.true(["NOT_LEADER", "NO_LEADER"].includes(error?.code));
});

test("A member that fell behind the log gets a snapshot and converges", async (t) => {
  const group = await DriverGroup.start(3, SMALL);
  await group.put("first");
  const leader = await group.leader();
  const slow = group.all.find((member) => member !== leader);
  slow?.crash();
  for (let i = 0; i < 10; i++) await group.put(...numbered(10, `${i}-`));
  await group.until(() => 20 < (leader.driver?.status.logFirst ?? 0));
  await group.settled(slow?.start() ?? Promise.resolve());
  await group.put("last");
  await group.converge();
  const expected = await leader.commands();
  t.is(expected.length, 102);
  t.deepEqual(await slow?.commands(), expected);
  t.true(20 < (slow?.driver?.status.logFirst ?? 0));
});

test("A member that got a snapshot keeps it through a power cut", async (t) => {
  const group = await DriverGroup.start(3, SMALL);
  const leader = await group.leader();
  const slow = group.all.find((member) => member !== leader);
  slow?.crash();
  for (let i = 0; i < 10; i++) await group.put(...numbered(10, `${i}-`));
  await group.until(() => 20 < (leader.driver?.status.logFirst ?? 0));
  await group.settled(slow?.start() ?? Promise.resolve());
  await group.converge();
  for (const member of group.all) member.crash();
  for (const member of group.all) await group.settled(member.start());
  await group.put("last");
  await group.converge();
  for (const member of group.all) t.is((await member.commands()).length, 101);
});

test("The log is never forgotten beyond what the state holds on disk", async (t) => {
  const group = await DriverGroup.start(3, SMALL);
  group.world.watch(() => {
    for (const { driver } of group.all) {
      const status = driver?.status;
      if (status !== undefined && status.durable < status.logFirst - 1) {
        throw new Error(`log begins at ${status.logFirst}, durable is ${status.durable}`);
      }
    }
  });
  for (let i = 0; i < 20; i++) await group.put(...numbered(10, `${i}-`));
  await group.until(() => group.all.every(({ driver }) => 100 < (driver?.status.logFirst ?? 0)));
  t.pass();
});

test("A member whose disk fails reports it once, and acknowledges nothing more", async (t) => {
  const group = await DriverGroup.start(3);
  await group.put("a");
  const leader = await group.leader();
  const { driver } = leader;
  leader.isDiskBroken = true;
  const pending = [1, 2, 3].map(() => driver?.propose(new Uint8Array(1)) as Promise<Uint8Array>);
  const results = await group.settled(Promise.allSettled(pending));
  t.is(results.status, "fulfilled");
  const all = results.status === "fulfilled" ? results.value : [];
  for (const result of all) {
    const error = result.status === "rejected" ? result.reason : undefined;
    t.is(error?.outcome, "unknown");
  }
  t.is(leader.fatal.length, 1);
  await t.throwsAsync(driver?.propose(new Uint8Array(1)) as Promise<unknown>, {
    message: /has stopped/,
  });
  leader.crash();
  await group.put("b");
  t.pass();
});

test("Listeners hear the present role at once and every later one", async (t) => {
  const group = await DriverGroup.start(3);
  const leader = await group.leader();
  const heard: string[] = [];
  const stop = leader.driver?.onRole(({ role }) => heard.push(role));
  t.deepEqual(heard, ["leader"]);
  group.isolate(leader.id);
  await group.until(() => !leader.isLeader);
  t.is(heard.at(-1), leader.driver?.status.role);
  const count = heard.length;
  stop?.();
  group.heal();
  await group.put("a");
  t.is(heard.length, count);
});

test("A closed member refuses and leaves nobody waiting", async (t) => {
  const group = await DriverGroup.start(1);
  const { driver } = await group.leader();
  const waiting = driver?.propose(new Uint8Array(1)) as Promise<unknown>;
  const closed = driver?.close() as Promise<void>;
  const results = await group.settled(Promise.allSettled([waiting, closed, driver?.close()]));
  t.is(results.status, "fulfilled");
  await t.throwsAsync(driver?.propose(new Uint8Array(1)) as Promise<unknown>, {
    instanceOf: LumeoError,
    message: /is closed/,
  });
  await t.throwsAsync(driver?.read() as Promise<unknown>, { instanceOf: LumeoError });
});

test("Too many proposals are refused as overload while others go on", async (t) => {
  // Each takes 512 bytes besides its own.
  const group = await DriverGroup.start(3, { proposalBytesMax: 10 * (100 + 512) });
  const { driver } = await group.leader();
  const all = Array.from({ length: 30 }, () => driver?.propose(new Uint8Array(100)));
  const results = await group.settled(Promise.allSettled(all));
  const settled = results.status === "fulfilled" ? results.value : [];
  t.is(settled.filter(({ status }) => status === "fulfilled").length, 10);
  for (const result of settled) {
    if (result.status === "fulfilled") continue;
    t.is(result.reason.code, "OVERLOADED");
    t.true(0 < result.reason.details.retryAfterMs, "it is told when to come back");
  }
});

test("A caller that proposes again as soon as it is answered is never left waiting", async (t) => {
  const group = await DriverGroup.start(1);
  const { driver } = await group.leader();
  const inTurn = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await driver?.propose(new Uint8Array(1));
  };
  const result = await group.settled(Promise.all([inTurn(20), inTurn(30)]));
  t.is(result.status, "fulfilled");
});
