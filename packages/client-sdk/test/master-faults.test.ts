// What the client makes of masters that change, vanish, lose answers or forget.

import { LumeoError as InternalError, monotonicMs } from "@lumeofs/base";
import { SystemClock, SystemTimers } from "@lumeofs/node";
import test from "ava";
import { connect, LumeoError, type LumeoEvents } from "../src/index.js";
import { type Ports, systemPorts } from "../src/ports.js";
import { content } from "./fake/bytes.js";
import { FakeCluster, type FakeMaster } from "./fake/cluster.js";

/** The client's time runs faster than the machine's. */
const HASTE = 5;

function hastyPorts(): Ports {
  const [clock, timers] = [new SystemClock(), new SystemTimers()];
  return {
    ...systemPorts(),
    clock: {
      monotonicMs: () => monotonicMs(HASTE * clock.monotonicMs()),
      wallMs: () => clock.wallMs(),
    },
    timers: {
      after: (ms, wake) => timers.after(ms / HASTE, wake),
      every: (ms, wake) => timers.every(ms / HASTE, wake),
    },
  };
}

test("a commit whose answer was lost takes effect once, and the put gets its first answer", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  cluster.once("commit", "lose answer", 3);
  const put = await client.put("/f", "x", { ifNoneMatch: "*" });
  t.is(cluster.namespace.countOf("commit"), 1);
  t.is((await client.stat("/f")).etag, put.etag);
});

test("a request that never arrived is sent again", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  cluster.once("commit", "lose request");
  await client.put("/f", "x");
  t.is(await (await client.get("/f")).text(), "x");
});

test("losing every second answer doubles no change", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  let turn = 0;
  cluster.fate = () => (turn++ % 2 === 0 ? "lose answer" : "normal");
  for (let i = 0; i < 10; i++) await client.put(`/f${i}`, `${i}`);
  for (let i = 0; i < 10; i++) await client.rename(`/f${i}`, `/g${i}`);
  for (let i = 0; i < 10; i++) await client.remove(`/g${i}`);
  t.is(cluster.namespace.countOf("commit"), 10);
  t.is(cluster.namespace.countOf("rename"), 10);
  t.is(cluster.namespace.countOf("remove"), 10);
});

test("the leader is found through the hint of a master that does not lead", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 3 });
  cluster.leader = cluster.masters[2];
  const follower = cluster.masters[0] as FakeMaster;
  const client = cluster.client({ endpoints: follower.address });
  t.deepEqual(await client.ready(), { leader: cluster.masters[2]?.address });
  t.is(client.state, "ready");
});

test("calls go on when the leader dies and another takes over", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 3 });
  const client = cluster.client();
  await client.put("/a", "1");
  const [first, second] = cluster.masters as [FakeMaster, FakeMaster];
  const retries: LumeoEvents["retry"][] = [];
  client.on("retry", (event) => {
    retries.push(event);
    if (event.attempt === 4) cluster.leader = second; // an election takes a while
  });
  cluster.leader = undefined;
  await first.stop();
  await client.put("/b", "2");
  t.is(await (await client.get("/a")).text(), "1");
  t.is(await (await client.get("/b")).text(), "2");
  t.true(4 <= retries.length);
  t.true(retries.every(({ method }) => method === "put"));
});

test("a crowd of calls finds the new leader together", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 3 });
  const client = cluster.client();
  await client.put("/a", "1");
  cluster.leader = cluster.masters[1];
  await Promise.all(Array.from({ length: 100 }, (_, i) => client.put(`/f${i}`, `${i}`)));
  t.is((await client.list("/").toArray()).length, 101);
  t.is(cluster.namespace.countOf("commit"), 101);
});

test("a session that the masters have forgotten is replaced", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/a", "1");
  cluster.namespace.forgetSessions();
  await Promise.all(Array.from({ length: 20 }, (_, i) => client.put(`/f${i}`, `${i}`)));
  t.is(cluster.namespace.countOf("commit"), 21);
});

test("a change whose answer was lost together with its session is not repeated", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/a", "1");
  cluster.fate = (operation) => {
    if (!operation.rename) return "normal";
    if (cluster.namespace.countOf("rename") === 0) return "lose answer";
    cluster.namespace.forgetSessions();
    return "normal";
  };
  const error = await t.throwsAsync(() => client.rename("/a", "/b"));
  t.true(LumeoError.is(error, "LUMEO_UNAVAILABLE"));
  t.regex(error?.message ?? "", /took effect/);
  t.is(cluster.namespace.countOf("rename"), 1);
});

test("a master that does not answer is left for another one", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 2 });
  const client = cluster.client({ timeoutMs: 50 });
  await client.put("/a", "1");
  cluster.once("stat", "never answer");
  t.true(await client.exists("/a"));
});

test("a leader that stands still is left before its operations have run out of time", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 3 });
  const client = cluster.client({}, hastyPorts());
  await client.put("/a", "1");
  const [first, second] = cluster.masters as [FakeMaster, FakeMaster];
  const codes: string[] = [];
  client.on("retry", ({ error }) => {
    codes.push(error.code);
    // The others go on naming the one that stands still, until they miss it.
    if (codes.length === 5) cluster.leader = second;
  });
  first.isStill = true;
  await Promise.all([client.mkdir("/x"), client.put("/b", "2"), client.stat("/a")]);
  t.false(codes.includes("LUMEO_TIMEOUT"), codes.join(" "));
  t.is(cluster.namespace.countOf("makeDirectory"), 1);
  t.is(await (await client.get("/b")).text(), "2");
});

test("a master that cannot even be connected to while it stands still is left as well", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 2 });
  const [first, second] = cluster.masters as [FakeMaster, FakeMaster];
  first.isStill = true;
  cluster.leader = second;
  const client = cluster.client({}, hastyPorts());
  await client.mkdir("/x");
  t.is(cluster.namespace.countOf("makeDirectory"), 1);
});

test("a master that is slow but alive is waited for", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 2 });
  const client = cluster.client({}, hastyPorts());
  await client.put("/a", "1");
  cluster.once("stat", "never answer");
  const error = await t.throwsAsync(() => client.stat("/a", { retry: false, timeoutMs: 4_000 }));
  t.true(LumeoError.is(error, "LUMEO_TIMEOUT"), "it has answered the question whether it lives");
});

test("queries tell how fresh they are to those who chose a consistency", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 3 });
  const client = cluster.client();
  await client.put("/a", "1");
  t.is((await client.stat("/a")).freshness, undefined);
  const [first, second, third] = cluster.masters as [FakeMaster, FakeMaster, FakeMaster];
  for (const follower of [second, third]) follower.follows = first;
  const seen = await Promise.all(
    Array.from({ length: 30 }, () => client.stat("/a", { consistency: "stale" })),
  );
  t.true(seen.some(({ freshness }) => freshness?.ageMs === 42 && freshness.appliedIndex === 7));
  t.true(
    seen.some(({ freshness }) => freshness?.ageMs === 0),
    "the leader answers some as well",
  );
  const { leader } = await client.ready();
  t.is(leader, first.address, "no follower is taken for the leader");
  const wrong = { consistency: "eventual" } as object;
  const error = await t.throwsAsync(async () => client.stat("/a", wrong));
  t.true(LumeoError.is(error, "LUMEO_INVALID_ARGUMENT"));
});

test("a client that asks a follower first learns who leads", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 2 });
  const [first, second] = cluster.masters as [FakeMaster, FakeMaster];
  cluster.leader = second;
  first.follows = second;
  const client = cluster.client();
  t.is((await client.ready()).leader, second.address);
  let retries = 0;
  client.on("retry", () => retries++);
  await client.mkdir("/x");
  t.is(retries, 0);
});

test("a stale query goes on at another master when one fails", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 3 });
  const client = cluster.client({ consistency: "stale" });
  await client.put("/a", "1");
  const [first, second, third] = cluster.masters as [FakeMaster, FakeMaster, FakeMaster];
  for (const follower of [second, third]) follower.follows = first;
  await first.stop();
  await second.stop();
  for (let i = 0; i < 10; i++) t.is((await client.stat("/a")).freshness?.ageMs, 42);
});

test("without a leader a call gives up with its code, its attempts and the advice to retry", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 2 });
  cluster.leader = undefined;
  const client = cluster.client({ retry: { maxAttempts: 4, baseDelayMs: 1 } });
  const error = await t.throwsAsync(() => client.stat("/a"));
  t.true(LumeoError.is(error, "LUMEO_NO_LEADER"));
  t.like(error, { attempts: 4, retryable: true, path: "/a" });
  t.is(client.state, "degraded");
});

test("a deadline ends a call that nobody answers", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.ready();
  cluster.once("stat", "never answer", 99);
  const error = await t.throwsAsync(() => client.stat("/f", { deadlineMs: 20 }));
  t.true(LumeoError.is(error, "LUMEO_TIMEOUT"));
});

test("patience does not multiply: a put without masters gives up like any call", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client({ retry: { maxAttempts: 5, baseDelayMs: 1, maxDelayMs: 2 } });
  cluster.once("allocate", new InternalError("UNAVAILABLE", "Cannot place: no servers"), 999);
  let retries = 0;
  client.on("retry", () => retries++);
  const error = await t.throwsAsync(() => client.put("/f", "x"));
  t.true(LumeoError.is(error, "LUMEO_UNAVAILABLE"));
  t.is(retries, 4);
});

test("connect says when nobody is there", async (t) => {
  const cluster = await FakeCluster.start({ masters: 3 });
  const endpoints = cluster.masters.map(({ address }) => address);
  await cluster.close();
  const retry = { maxAttempts: 6, baseDelayMs: 1 };
  const error = await t.throwsAsync(() => connect({ endpoints, retry }));
  t.true(LumeoError.is(error, "LUMEO_UNAVAILABLE"));
  for (const endpoint of endpoints) t.true(error?.message.includes(endpoint));
});

test("a refusal that cannot pass is not repeated", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  cluster.once("commit", new InternalError("NO_SPACE", "Cannot commit: full"), 99);
  const error = await t.throwsAsync(() => client.put("/a", content(10)));
  t.true(LumeoError.is(error, "LUMEO_NO_SPACE"));
  t.is((error as LumeoError).attempts, 1);
});

test("a body that can be read again is stored anew when its grant has expired", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const expired = () => new InternalError("GRANT_EXPIRED", "Cannot use chunk: expired");
  cluster.once("commit", expired(), 2);
  await client.put("/a", "text");
  t.is(await (await client.get("/a")).text(), "text");
  cluster.once("commit", expired());
  let pulled = 0;
  function* once() {
    pulled++;
    yield "stream";
  }
  const error = await t.throwsAsync(() => client.put("/b", once()));
  t.true(LumeoError.is(error, "LUMEO_CONFLICT"));
  t.false((error as LumeoError).retryable);
  t.is(pulled, 1);
  t.false(await client.exists("/b"));
});
