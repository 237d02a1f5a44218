import type { ReplicaStanding } from "@lumeofs/base";
import test from "ava";
import { GarbageWait } from "./garbage-wait.js";
import { ServerListing } from "./server-listing.js";
import type { AuditSource, InventoryRounds, ReplicaFacts } from "./source.js";

const SECOND = 1_000;

/** A server with garbage, whose rounds begin one after the other. */
class FakeServer {
  readonly held = new Set<number>();
  /** When it goes, in milliseconds. */
  goesAtMs = Infinity;
  roundMs = 10 * SECOND;
  /** Rounds that come to their end; they are numbered from 1. */
  isWhole: (round: number) => boolean = () => true;
  startedMs = 0;
  now = 0;
  standing: (now: number) => ReplicaStanding = () => "garbage";

  get #rounds(): InventoryRounds {
    const upMs = this.now - this.startedMs;
    const begun = 1 + Math.floor(upMs / this.roundMs);
    let whole = begun - 1;
    while (0 < whole && !this.isWhole(whole)) whole--;
    return { begun, whole, sinceWholeMs: upMs - whole * this.roundMs, roundMs: this.roundMs };
  }

  readonly source: AuditSource = {
    servers: async () => [],
    chunks: async () => ({ chunks: [], next: 0, grantedUpto: 0 }),
    named: async () => new Map(),
    replicas: async () => [],
    held: async (_server, handles) => {
      const there = this.now < this.goesAtMs ? handles.filter((one) => this.held.has(one)) : [];
      const replicas = new Map(there.map((handle) => [handle, factsOf(handle)]));
      return { replicas, rounds: this.#rounds };
    },
    judge: async (_server, replicas) => replicas.map(() => this.standing(this.now)),
    read: async () => new Map(),
    pause: async (ms) => {
      this.now += ms;
    },
    nowMs: () => this.now,
  };
}

function factsOf(handle: number): ReplicaFacts {
  return { handle, epoch: 1, lengthBytes: 100, crc32c: 1, damaged: false };
}

/** What comes of these replicas, by kind, and when. */
async function settle(server: FakeServer, handles: readonly number[], wait?: GarbageWait) {
  const told = { id: 1, name: "cs1", isAlive: true, isLost: false };
  const listing = new ServerListing(server.source, told);
  for (const handle of handles) server.held.add(handle);
  const garbage = handles.map((handle) => ({ listing, facts: factsOf(handle) }));
  const news: string[] = [];
  for await (const one of (wait ?? new GarbageWait(server.source)).settle(garbage)) {
    if (one.kind === "orphan") news.push(`orphan ${one.garbage.facts.handle}: ${one.why}`);
    if (one.kind === "pending") news.push(`pending: ${one.what}`);
  }
  return { news, seconds: server.now / SECOND };
}

test("what goes within the time of a round or two is nothing to tell of", async (t) => {
  const server = new FakeServer();
  server.goesAtMs = 19 * SECOND;
  t.deepEqual(await settle(server, [64, 65]), { news: [], seconds: 20 });
});

test("what outlives two rounds that were begun since is an orphan", async (t) => {
  const { news, seconds } = await settle(new FakeServer(), [64, 65]);
  const why = "its server has told the masters of it since";
  t.deepEqual(news, [`orphan 64: ${why}`, `orphan 65: ${why}`]);
  // The first round was under way, the third one ends after 30 seconds.
  t.is(seconds, 30);
});

test("short rounds prove nothing in the first seconds, when the masters may be of two minds", async (t) => {
  const server = new FakeServer();
  server.roundMs = 500;
  const { news, seconds } = await settle(server, [64]);
  t.is(news.length, 1);
  t.is(seconds, 22);
});

test("rounds that are not whole prove nothing, and the time without one is told", async (t) => {
  const server = new FakeServer();
  server.isWhole = () => false;
  const { news, seconds } = await settle(server, [64]);
  t.is(seconds, 120);
  t.deepEqual(news, [
    "orphan 64: its server has not got to tell the masters all that it has for 2 min",
  ]);
  const late = new FakeServer();
  late.isWhole = (round) => 8 <= round;
  t.deepEqual((await settle(late, [64])).seconds, 80);
});

test("a server whose round takes long is not waited for, and has no problem", async (t) => {
  const server = new FakeServer();
  server.roundMs = 250 * SECOND;
  server.now = 600 * SECOND;
  const { news, seconds } = await settle(server, [64, 65]);
  t.is(seconds, 600);
  const what = "2 copies of chunks that no file has";
  t.deepEqual(news, [
    `pending: ${what}, about to go: the server names all that it has once in 250 s`,
  ]);
});

test("a long patience proves it also there", async (t) => {
  const server = new FakeServer();
  server.roundMs = 250 * SECOND;
  const wait = new GarbageWait(server.source, 900 * SECOND);
  const { news, seconds } = await settle(server, [64], wait);
  t.regex(news[0] ?? "", /^orphan 64/);
  t.is(seconds, 750);
});

test("a server that was started anew has to tell all of it again", async (t) => {
  const server = new FakeServer();
  server.now = 3_000 * SECOND;
  const pause = server.source.pause;
  let pauses = 0;
  Object.assign(server.source, {
    pause: async (ms: number) => {
      await pause(ms);
      if (++pauses === 5) server.startedMs = server.now;
    },
  });
  const { news, seconds } = await settle(server, [64]);
  t.is(news.length, 1);
  t.is(seconds, 3_000 + 10 + 30);
});

test("what is not garbage at any look is none", async (t) => {
  const server = new FakeServer();
  server.standing = (now) => (now === 8 * SECOND ? "kept" : "garbage");
  t.deepEqual(await settle(server, [64]), { news: [], seconds: 8 });
});

test("a check waits for its patience once, however much there is", async (t) => {
  const server = new FakeServer();
  server.isWhole = () => false;
  const wait = new GarbageWait(server.source, 50 * SECOND);
  t.is((await settle(server, [64], wait)).seconds, 50);
  const { news, seconds } = await settle(server, [65], wait);
  t.is(seconds, 50);
  t.regex(news[0] ?? "", /^pending: 1 copy /);
});
