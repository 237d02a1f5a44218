// A leader that stands still (SIGSTOP) keeps its connections open and answers nothing: clients go
// to the next leader long before their patience with one attempt is over, and no change is doubled.

import anyTest, { type TestFn } from "ava";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
/** Less than one attempt may take. */
const PATIENCE = "9s";

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 3, chunkservers: 1 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

test.serial(
  "3.3.27: commands go on while the leader stands still, and after it wakes",
  async (t) => {
    const { drill } = t.context;
    await drill.ok(t, ["mkdir", "/before"]);
    for (let round = 0; round < 3; round++) {
      const leader = await drill.leader(t);
      const pid = drill.cluster.members().find(({ id }) => id === leader)?.pid ?? 0;
      t.true(0 < pid);
      process.kill(pid, "SIGSTOP");
      try {
        await drill.ok(t, ["mkdir", "--timeout", PATIENCE, `/frozen-${round}`]);
        const seen = await drill.ok(t, ["ls", "--timeout", PATIENCE, "/"]);
        t.true(seen.includes(`frozen-${round}/`));
      } finally {
        process.kill(pid, "SIGCONT");
      }
      await drill.ok(t, ["mkdir", "--timeout", PATIENCE, `/awake-${round}`]);
    }
    const names = (await drill.ok(t, ["ls", "/"])).trim().split("\n");
    t.is(names.length, 7, names.join(" "));
    t.truthy(await drill.agreedState(t));
  },
);
