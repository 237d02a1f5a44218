// Reads at masters that sleep, wake up and are behind (raft.md 3.3, numbers 27 and 30).

import { LumeoError } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import test from "ava";
import { MasterProcesses } from "./master-processes.js";
import { OperateClient } from "./operate-client.js";

const { CONSISTENCY_LEASE, CONSISTENCY_LINEARIZABLE, CONSISTENCY_STALE } =
  lumeo.master.v1.Consistency;

async function openSession(client: OperateClient): Promise<number> {
  return (await client.run({ openSession: {} })).sessionOpened?.session ?? 0;
}

test.serial(
  "3.3.27: a leader that slept through its lease gives nothing old out when it wakes",
  async (t) => {
    const masters = await MasterProcesses.start(3, ["--lease-reads", "on"]);
    t.teardown(() => masters.close());
    const old = await masters.leader();
    const sleeper = await OperateClient.connect(old.address);
    t.teardown(() => sleeper.close());
    await sleeper.run({ consistency: CONSISTENCY_LEASE, stat: { path: "/" } });
    masters.pause(old.id);
    // What arrives while it sleeps is the first that it looks at when it wakes.
    const asked = sleeper.runAll(
      Array.from({ length: 300 }, (_, i) => ({
        consistency: i % 2 === 0 ? CONSISTENCY_LEASE : CONSISTENCY_LINEARIZABLE,
        stat: { path: "/made-while-it-slept" },
      })),
    );
    const answers = Promise.allSettled(asked);
    const next = await masters.leader();
    t.not(next.id, old.id);
    const client = await OperateClient.connect(next.address);
    t.teardown(() => client.close());
    const request = { session: await openSession(client), sequence: 1, answeredBelow: 1 };
    await client.run({ request, makeDirectory: { path: "/made-while-it-slept" } });
    masters.resume(old.id);
    for (const answer of await answers) {
      if (answer.status === "fulfilled") continue;
      const error = answer.reason as LumeoError;
      t.true(error instanceof LumeoError && error.code !== "NOT_FOUND", error.message);
    }
  },
);

test.serial(
  "3.3.30: without a majority followers refuse exact reads, and serve stale ones with their age",
  async (t) => {
    const masters = await MasterProcesses.start(3);
    t.teardown(() => masters.close());
    const leader = await masters.leader();
    const [one, other] = masters.members.filter(({ id }) => id !== leader.id);
    if (one === undefined || other === undefined) return t.fail();
    const client = await OperateClient.connect(one.address);
    t.teardown(() => client.close());
    const stat = { path: "/" };
    // The leader knows of its election a little before its followers do.
    await masters.until("a follower that knows the leader", () =>
      client
        .run({ consistency: CONSISTENCY_LINEARIZABLE, stat })
        .catch((error: LumeoError) =>
          error.code === "NO_LEADER" ? undefined : Promise.reject(error),
        ),
    );
    masters.pause(leader.id);
    masters.pause(other.id);
    const refused = await t.throwsAsync(
      client.run({ consistency: CONSISTENCY_LINEARIZABLE, stat }),
    );
    t.is((refused as LumeoError).code, "NO_LEADER");
    const first = await client.run({ consistency: CONSISTENCY_STALE, stat });
    const second = await masters.until("age", async () => {
      const later = await client.run({ consistency: CONSISTENCY_STALE, stat });
      return (first.ageMs ?? 0) + 500 < (later.ageMs ?? 0) ? later : undefined;
    });
    t.true(0 < (second.appliedIndex ?? 0));
    const limited = { consistency: CONSISTENCY_STALE, ageMsMax: 100, stat };
    const tooOld = await t.throwsAsync(client.run(limited));
    t.regex(tooOld?.message ?? "", /was up to date \d+ ms ago, allowed are 100/);
    masters.resume(leader.id);
    masters.resume(other.id);
    await masters.until("a fresh read", async () => {
      const { ageMs = 1e9 } = await client.run({ consistency: CONSISTENCY_STALE, stat });
      return (ageMs ?? 1e9) < 2_000 ? true : undefined;
    });
  },
);
