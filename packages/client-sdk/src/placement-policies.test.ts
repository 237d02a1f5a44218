import { LumeoError, type MonotonicMs, monotonicMs } from "@lumeofs/base";
import test from "ava";
import type { Call } from "./call.js";
import type { Metadata } from "./metadata.js";
import { PlacementPolicies, POLICY_MS_MAX, REPLICAS_DEFAULT } from "./placement-policies.js";

/** Masters on which some directories say how many replicas there are to be. */
function setup(policies: Record<string, number | undefined>) {
  const asked: string[] = [];
  const time = { now: 0 };
  const metadata = {
    query: async (_call: Call, _kind: string, { path }: { path: string }) => {
      asked.push(path);
      if (path === "/bad") throw new LumeoError("NOT_DIRECTORY", "It is a file");
      return { replicas: policies[path] };
    },
  };
  const clock = {
    monotonicMs: (): MonotonicMs => monotonicMs(time.now),
    wallMs: () => {
      throw new Error("nobody asks for the time of day");
    },
  };
  const known = new PlacementPolicies(metadata as unknown as Metadata, clock);
  const replicasFor = async (path: string): Promise<number> =>
    (await known.placementFor({} as Call, path)).replicas;
  return { asked, time, replicasFor, policies };
}

test("many files of a directory cost one question", async (t) => {
  const { asked, replicasFor } = setup({ "/a/b": 2 });
  for (const name of ["x", "y", "z"]) t.is(await replicasFor(`/a/b/${name}`), 2);
  t.is(await replicasFor("/a/x"), REPLICAS_DEFAULT);
  t.is(await replicasFor("/x"), REPLICAS_DEFAULT);
  t.deepEqual(asked, ["/a/b", "/a", "/"]);
});

test("P1: a changed policy is known after a while", async (t) => {
  const { asked, time, replicasFor, policies } = setup({ "/a": 2 });
  t.is(await replicasFor("/a/x"), 2);
  policies["/a"] = 1;
  time.now += POLICY_MS_MAX - 1;
  t.is(await replicasFor("/a/x"), 2);
  time.now += 1;
  t.is(await replicasFor("/a/x"), 1);
  t.is(asked.length, 2);
});

test("a question that fails is asked again by the next one", async (t) => {
  const { asked, replicasFor } = setup({});
  await t.throwsAsync(replicasFor("/bad/x"), { message: /It is a file/ });
  await t.throwsAsync(replicasFor("/bad/x"), { message: /It is a file/ });
  t.is(asked.length, 2);
});

test("only so many directories are kept in mind, the latest ones", async (t) => {
  const { asked, replicasFor } = setup({});
  for (let i = 0; i <= 1_024; i++) await replicasFor(`/${i}/x`);
  await replicasFor("/1024/x");
  t.is(asked.length, 1_025);
  await replicasFor("/0/x");
  t.is(asked.length, 1_026);
});
