// Properties of the decisions, over random fleets and chunks.

import { chunkHandle, monotonicMs, type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { jobId } from "../metadata/jobs.js";
import { membersAfter } from "../metadata/moves.js";
import { assess, type HeldChunk } from "./assess.js";
import { Balance } from "./balance.js";
import { chooseMove, mayTakeCopy } from "./choose-move.js";
import { Pace } from "./pace.js";
import type { OpenJob, Picture, Site } from "./picture.js";
import { MoveQueue, QUEUE_MAX } from "./queue.js";
import { Round } from "./round.js";

const GIB = 2 ** 30;
const NOW = monotonicMs(1_000);
const LIMITS = { movesPerServer: 2, smallForOne: 1, movesMax: 8, bytesPerSecond: 1_000 };
const NOBODY: ReadonlySet<ServerId> = new Set();

const site = fc.record({
  liveness: fc.constantFrom("alive", "alive", "alive", "suspect", "dead" as const),
  standing: fc.constantFrom("active", "active", "draining", "maintenance" as const),
  domain: fc.constantFrom("a", "b", "c", undefined),
  usedBytes: fc.nat({ max: 50 }).map((n) => n * GIB),
  freeBytes: fc.constantFrom(0, 100 * GIB),
});

/** Servers 1 to n, of which those that are dead are lost, and all jobs that they need. */
const picture: fc.Arbitrary<Picture & { readonly damaged: ReadonlySet<ServerId> }> = fc
  .tuple(fc.array(site, { minLength: 3, maxLength: 9 }), fc.array(fc.nat({ max: 8 })))
  .map(([drawn, damagedIds]) => {
    const sites = new Map<ServerId, Site>();
    const jobs: OpenJob[] = [];
    for (const [i, { liveness, standing, domain, usedBytes, freeBytes }] of drawn.entries()) {
      const id = serverId(i + 1);
      const isLost = liveness === "dead" && standing !== "maintenance";
      const room = { usedBytes, freeBytes, capacityBytes: 100 * GIB, isReadOnly: false };
      sites.set(id, { id, name: `cs${id}`, liveness, isLost, standing, domain, room });
      const kinds = standing === "draining" ? (["drain"] as const) : (["mend", "repair"] as const);
      for (const kind of kinds) {
        jobs.push({ id: jobId(jobs.length + 1), kind, subject: id, isRunning: true });
      }
    }
    const damaged = new Set(damagedIds.map((n) => serverId(n + 1)));
    return { sites, jobs, damaged, isDamaged: (server) => damaged.has(server) };
  });

const members = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });

function held(all: Picture, ids: readonly number[], lengthBytes = 4): HeldChunk {
  const known = ids.map(serverId).filter((id) => all.sites.has(id));
  return replicated(64, known.length === 0 ? [serverId(1)] : known, lengthBytes);
}

function replicated(handle: number, members: readonly ServerId[], lengthBytes: number): HeldChunk {
  const kept = { coding: undefined, isInline: false };
  return { handle: chunkHandle(handle), members, lengthBytes, ...kept };
}

test("a move takes nothing that is good away, and puts no two copies together", (t) => {
  fc.assert(
    fc.property(picture, members, (all, ids) => {
      const chunk = held(all, ids);
      const found = assess(all, chunk);
      const { need } = found;
      if (need === undefined) return;
      const circumstances = { picture: all, pace: new Pace(LIMITS), now: NOW, avoid: NOBODY };
      const choice = chooseMove(chunk, found, need, circumstances);
      if (choice.kind !== "move") return;
      const { target, leaving } = choice.move;
      t.not(found.health.get(need.leaving), "good");
      const after = membersAfter({ ...chunk, coding: undefined }, choice.move);
      t.is(new Set(after).size, chunk.members.length);
      t.true(target === leaving || !chunk.members.includes(target));
      const goal = all.sites.get(target);
      t.true(goal !== undefined && mayTakeCopy(goal));
      for (const source of choice.sources) {
        t.true(["good", "leaving"].includes(found.health.get(source) ?? ""));
        t.not(source, target);
      }
    }),
    { numRuns: 1_000 },
  );
});

test("a chunk that the masters keep needs no server, whichever are lost", (t) => {
  fc.assert(
    fc.property(picture, (all) => {
      const chunk = { ...replicated(64, [], 700), isInline: true };
      const found = assess(all, chunk);
      t.like(found, { need: undefined, margin: 0, jobs: [] });
      const round = new Round(all, NOW);
      round.note(chunk, found);
      const healthy = { underReplicated: 0, lost: 0, unreadable: 0, damaged: 0 };
      t.deepEqual(round.figures, { ...healthy, chunks: 1, inlineChunks: 1, inlineBytes: 700 });
    }),
  );
});

test("a copy shares a failure domain only if every server with room would make it so", (t) => {
  fc.assert(
    fc.property(picture, members, (all, ids) => {
      const chunk = held(all, ids);
      const found = assess(all, chunk);
      if (found.need === undefined || found.need.health === "damaged") return;
      const circumstances = { picture: all, pace: new Pace(LIMITS), now: NOW, avoid: NOBODY };
      const choice = chooseMove(chunk, found, found.need, circumstances);
      if (choice.kind !== "move") return;
      const { target, leaving } = choice.move;
      const staying = chunk.members.filter((member) => member !== leaving);
      const domains = new Set(staying.map((member) => all.sites.get(member)?.domain));
      domains.delete(undefined);
      const chosen = all.sites.get(target)?.domain;
      if (chosen === undefined || !domains.has(chosen)) return;
      const apart = [...all.sites.values()].filter(
        (one) =>
          mayTakeCopy(one) &&
          !chunk.members.includes(one.id) &&
          (one.domain === undefined || !domains.has(one.domain)),
      );
      t.deepEqual(apart, []);
    }),
    { numRuns: 1_000 },
  );
});

test("the same facts give the same move", (t) => {
  fc.assert(
    fc.property(picture, members, (all, ids) => {
      const chunk = held(all, ids);
      const found = assess(all, chunk);
      const { need } = found;
      if (need === undefined) return;
      const choose = () =>
        chooseMove(chunk, found, need, {
          picture: all,
          pace: new Pace(LIMITS),
          now: NOW,
          avoid: NOBODY,
        });
      t.deepEqual(choose(), choose());
    }),
  );
});

test("a server gives and takes only so many copies at once, and so many bytes a second", (t) => {
  const pace = new Pace(LIMITS);
  const [one, two, three] = [1, 2, 3].map(serverId) as [ServerId, ServerId, ServerId];
  const way = { sources: [one], target: two, bytes: 500 };
  pace.begin(way, NOW);
  t.false(pace.mayTake(one, "out", NOW));
  t.true(pace.mayTake(one, "in", NOW));
  t.true(pace.mayTake(three, "in", NOW));
  t.true(pace.mayTake(two, "in", monotonicMs(NOW + 500)));
  pace.begin({ ...way, bytes: 0 }, monotonicMs(NOW + 500));
  t.false(pace.mayTake(two, "in", monotonicMs(NOW + 9_000)), "two are under way");
  pace.end(way);
  t.true(pace.mayTake(two, "in", monotonicMs(NOW + 9_000)));
  t.is(pace.under(one, "out"), 1);
});

test("small copies weigh less than large ones", (t) => {
  const pace = new Pace({ ...LIMITS, smallForOne: 8, bytesPerSecond: 1e12 });
  const [one, two] = [1, 2].map(serverId) as [ServerId, ServerId];
  const small = { sources: [one], target: two, bytes: 4_096 };
  for (let i = 0; i < 8; i++) pace.begin(small, NOW);
  t.is(pace.under(two, "in"), 1);
  t.true(pace.mayTake(two, "in", NOW));
  pace.begin({ ...small, bytes: 2 ** 20 }, NOW);
  t.false(pace.mayTake(two, "in", NOW));
  for (let i = 0; i < 8; i++) pace.end(small);
  t.is(pace.under(two, "in"), 1);
});

test("the queue hands out the most endangered first, each chunk once, and is bounded", (t) => {
  const queue = new MoveQueue();
  queue.offer(chunkHandle(70), 1);
  queue.offer(chunkHandle(71), 9);
  queue.offer(chunkHandle(72), 0);
  queue.offer(chunkHandle(72), 0);
  t.deepEqual(queue.take(9, 0), [chunkHandle(72)]);
  queue.offer(chunkHandle(73), -3);
  queue.offer(chunkHandle(74), -1);
  t.deepEqual(queue.take(9, -1), [chunkHandle(73), chunkHandle(74)]);
  t.deepEqual(queue.take(1, Infinity), [chunkHandle(70)]);
  t.deepEqual(queue.take(9, Infinity), [chunkHandle(71)]);
  t.is(queue.size, 0);
  for (let i = 1; i <= QUEUE_MAX; i++) queue.offer(chunkHandle(i), 2);
  t.false(queue.offer(chunkHandle(QUEUE_MAX + 1), 2));
  t.is(queue.size, QUEUE_MAX);
});

test("what has become more urgent goes before what it waited with, and is found room for", (t) => {
  const queue = new MoveQueue();
  for (let i = 1; i <= QUEUE_MAX; i++) queue.offer(chunkHandle(i), 2);
  t.true(queue.offer(chunkHandle(QUEUE_MAX + 1), 0), "a less urgent one gave way");
  t.true(queue.offer(chunkHandle(QUEUE_MAX), 1), "it waits already, and is in more danger now");
  t.true(queue.offer(chunkHandle(QUEUE_MAX), 2), "and stays so");
  t.is(queue.size, QUEUE_MAX);
  const first = [QUEUE_MAX + 1, QUEUE_MAX].map(chunkHandle);
  t.deepEqual(queue.take(2, Infinity), first);
  t.is(queue.take(QUEUE_MAX, Infinity).length, QUEUE_MAX - 2);
});

test("a look at chunks stays right when copies move while it goes on", (t) => {
  const site = { liveness: "alive", isLost: false, standing: "active" } as const;
  const sites = new Map<ServerId, Site>(
    [1, 2].map((n) => {
      const id = serverId(n);
      return [id, { ...site, id, name: `cs${n}`, domain: undefined, room: undefined }];
    }),
  );
  const all: Picture = { sites, jobs: [], isDamaged: () => false };
  const [one, two] = [serverId(1), serverId(2)];
  const round = new Round(all, NOW);
  const look = (handle: number, member: ServerId): void => {
    const chunk = replicated(handle, [member], 10);
    round.note(chunk, assess(all, chunk));
    round.cursor = handle;
  };
  const move = (handle: number) => {
    round.moved({ handle: chunkHandle(handle), leaving: one, target: two }, 10);
  };
  look(1, one);
  look(2, one);
  move(1);
  move(3);
  look(3, two);
  t.deepEqual(round.held(one), { chunks: 1, bytes: 10 });
  t.deepEqual(round.held(two), { chunks: 2, bytes: 20 });
  move(2);
  round.moved({ handle: chunkHandle(3), leaving: two, target: two }, 10);
  t.deepEqual(round.held(one), { chunks: 0, bytes: 0 });
  t.deepEqual(round.held(two), { chunks: 3, bytes: 30 });
});

test("a rebalance never makes a taker fuller than its giver, and comes to an end", (t) => {
  const bytes = fc.integer({ min: 1, max: 64 }).map((n) => n * 2 ** 20);
  const chunks = fc.array(fc.tuple(members, bytes), { maxLength: 60 });
  fc.assert(
    fc.property(picture, chunks, (all, drawn) => {
      const job: OpenJob = {
        id: jobId(99),
        kind: "rebalance",
        subject: undefined,
        isRunning: true,
      };
      const table = drawn.map(([ids, length]) => ({ chunk: held(all, ids, length) }));
      let moves = 0;
      for (let i = 0; ; i++) {
        t.true(i < 50, "it goes on and on");
        const round = new Round(all, NOW);
        for (const { chunk } of table) round.note(chunk, assess(all, chunk));
        const balance = new Balance(job, all, round, []);
        const before = moves;
        for (const entry of table) {
          const move = balance.take(entry.chunk, NOBODY);
          if (move === undefined) continue;
          moves++;
          const held = { ...entry.chunk, coding: undefined };
          const after = membersAfter(held, { job: job.id, ...move });
          t.is(new Set(after).size, entry.chunk.members.length);
          entry.chunk = { ...entry.chunk, members: after };
        }
        if (moves === before) break;
      }
    }),
  );
});

test("a rebalance chooses no target that has failed the chunk: its move would never begin", (t) => {
  const room = { usedBytes: 0, freeBytes: 100 * GIB, capacityBytes: 100 * GIB, isReadOnly: false };
  const sites = new Map<ServerId, Site>(
    [1, 2, 3].map((n) => {
      const id = serverId(n);
      const standing = { liveness: "alive", isLost: false, standing: "active" } as const;
      return [id, { ...standing, id, name: `cs${n}`, domain: undefined, room }];
    }),
  );
  const job: OpenJob = { id: jobId(1), kind: "rebalance", subject: undefined, isRunning: true };
  const all: Picture = { sites, jobs: [job], isDamaged: () => false };
  const chunkOf = (n: number): HeldChunk => replicated(n, [serverId(1)], GIB);
  const [first, second, third] = [chunkOf(64), chunkOf(65), chunkOf(66)] as const;
  const round = new Round(all, NOW);
  for (const chunk of [first, second, third]) round.note(chunk, assess(all, chunk));
  const balance = new Balance(job, all, round, []);
  t.is(balance.take(first, new Set([2, 3].map(serverId))), undefined);
  t.deepEqual(balance.take(second, new Set([serverId(2)])), {
    leaving: serverId(1),
    target: serverId(3),
  });
  t.deepEqual(balance.take(third, NOBODY), { leaving: serverId(1), target: serverId(2) });
});
