// A bit that flips on the disk of one master: the others find it, and that master serves no more.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { unary } from "@lumeofs/node/rpc";
import { AdminService, IntegrityService, lumeo } from "@lumeofs/proto";
import test from "ava";
import { ClassicLevel } from "classic-level";
import { call, MasterProcesses } from "./master-processes.js";
import { OperateClient } from "./operate-client.js";

const { CheckVerdict, CheckState } = lumeo.master.v1;
const OPTIONS = { timeoutMs: 5_000 };
const DAMAGED = 71;

type Report = lumeo.master.v1.IGetCheckResponse;

/** Lets the masters compare their states, and waits for what the leader makes of it. */
async function check(masters: MasterProcesses): Promise<Report> {
  const { address } = await masters.leader();
  const begun = await masters.until("the beginning of a check", async () => {
    const begin = call(address, (channel) =>
      unary(channel, IntegrityService.beginCheck, {}, OPTIONS),
    );
    return begin.catch(() => undefined); // another one is being hashed
  });
  const index = begun.index ?? 0;
  return masters.until("a verdict", async () => {
    const report = await call(address, (channel) =>
      unary(channel, IntegrityService.getCheck, { index }, OPTIONS),
    );
    return report.verdict === CheckVerdict.CHECK_VERDICT_PENDING ? undefined : report;
  });
}

/** Waits until everybody has applied what the leader has. */
async function caughtUp(masters: MasterProcesses, id: string): Promise<void> {
  await masters.until(`${id} to catch up`, async () => {
    const at = async (address: string): Promise<number> => {
      const { status } = await call(address, (channel) =>
        unary(channel, AdminService.getMasterStatus, {}, OPTIONS),
      );
      return status?.appliedIndex ?? 0;
    };
    const leader = await masters.leader();
    const member = masters.members.find((one) => one.id === id);
    const [own, leading] = await Promise.all([
      at(member?.address ?? "").catch(() => -1),
      at(leader.address),
    ]);
    return own === leading ? true : undefined;
  });
}

/** Inverts one bit of a text in a table of the state database. */
async function flipBit(masters: MasterProcesses, id: string, text: string): Promise<number> {
  const folder = join(masters.folder, id, "state-1");
  // Out of the write-ahead log, which is checked when it is read, into the tables, which are not.
  const level = new ClassicLevel(folder);
  await level.open();
  await level.compactRange("", "\u{10ffff}");
  await level.close();
  let flipped = 0;
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".ldb"))) {
    const bytes = readFileSync(join(folder, name));
    const at = bytes.indexOf(text);
    if (at === -1) continue;
    bytes[at + text.length - 1] = (bytes[at + text.length - 1] ?? 0) ^ 1;
    writeFileSync(join(folder, name), bytes);
    flipped += 1;
    break;
  }
  return flipped;
}

test.serial(
  "a bit that flipped in the state of one master is found, and that master stops",
  async (t) => {
    const masters = await MasterProcesses.start(3);
    t.teardown(() => masters.close());
    const leader = await masters.leader();
    const victim = masters.members.find(({ id }) => id !== leader.id);
    if (victim === undefined) return t.fail();
    const client = await OperateClient.connect(leader.address);
    t.teardown(() => client.close());
    const { sessionOpened } = await client.run({ openSession: {} });
    const session = sessionOpened?.session ?? 0;
    const makes = Array.from({ length: 300 }, (_, i) => ({
      request: { session, sequence: i + 1, answeredBelow: 1 },
      makeDirectory: { path: `/needle-in-the-haystack-${i}` },
    }));
    await Promise.all(client.runAll(makes));
    const sound = await check(masters);
    t.is(sound.verdict, CheckVerdict.CHECK_VERDICT_PASSED);
    t.deepEqual(new Set(sound.masters?.map(({ hash }) => hash)).size, 1, "all three are equal");
    t.is(sound.masters?.length, 3);

    // One that is down is unknown, and passes for nobody.
    t.is(await masters.end(victim.id, "SIGTERM"), 0);
    t.is(await flipBit(masters, victim.id, "needle-in-the-haystack"), 1);

    masters.spawn(victim.id);
    await caughtUp(masters, victim.id);
    const report = await check(masters);
    t.is(report.verdict, CheckVerdict.CHECK_VERDICT_PASSED, "the leader is in the majority");
    const found = report.masters?.find(({ id }) => id === victim.id);
    t.is(found?.state, CheckState.CHECK_STATE_DONE);
    t.not(found?.hash, report.masters?.find(({ id }) => id === leader.id)?.hash);
    t.is(await masters.exitCode(victim.id), DAMAGED);

    // It stays out, says why, and what to do.
    masters.spawn(victim.id);
    t.is(await masters.exitCode(victim.id), DAMAGED);
    const log = await readFile(join(masters.folder, `${victim.id}.log`), "utf8");
    t.regex(log, /ALARM: the state of this master is wrong/);
    t.regex(log, /it is in quarantine\. The state of master .* add a new one/);
    await t.notThrowsAsync(client.run({ stat: { path: "/needle-in-the-haystack-7" } }));
  },
);

test.serial(
  "masters compare their states by themselves, as often as they are told to",
  async (t) => {
    const masters = await MasterProcesses.start(3, ["--check-state-ms", "300"]);
    t.teardown(() => masters.close());
    for (const { id } of masters.members) {
      await masters.until(`a second check at ${id}`, async () => {
        const log = await readFile(join(masters.folder, `${id}.log`), "utf8");
        return 2 <= log.split("state check passed").length - 1 ? true : undefined;
      });
    }
    t.pass();
  },
);
