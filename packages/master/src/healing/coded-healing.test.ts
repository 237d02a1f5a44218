// Properties of the decisions about chunks that are kept as units, over random fleets and codes.

import { CELL_BYTES_MIN, chunkHandle, monotonicMs, serverId, unitLength } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { jobId } from "../metadata/jobs.js";
import { membersAfter } from "../metadata/moves.js";
import { assess, type HeldChunk } from "./assess.js";
import { type Choice, chooseMove, mayTakeCopy } from "./choose-move.js";
import { Pace } from "./pace.js";
import type { OpenJob, Picture, Site } from "./picture.js";
import { replanMaking } from "./plan-making.js";

const GIB = 2 ** 30;
const NOW = monotonicMs(1_000);
const LIMITS = { movesPerServer: 2, smallForOne: 1, movesMax: 8, bytesPerSecond: 1_000 };
const SERVERS = 12;

const site = fc.record({
  liveness: fc.constantFrom("alive", "alive", "alive", "alive", "suspect", "dead" as const),
  standing: fc.constantFrom("active", "active", "active", "draining", "maintenance" as const),
  domain: fc.constantFrom("a", "b", "c", undefined),
  freeBytes: fc.constantFrom(0, 100 * GIB, 100 * GIB),
});

/** Servers 1 to SERVERS, of which those that are dead are lost, and all jobs that they need. */
const picture: fc.Arbitrary<Picture> = fc
  .tuple(
    fc.array(site, { minLength: SERVERS, maxLength: SERVERS }),
    fc.array(fc.integer({ min: 1, max: SERVERS }), { maxLength: 3 }),
  )
  .map(([drawn, damaged]) => {
    const sites = new Map<Site["id"], Site>();
    const jobs: OpenJob[] = [];
    for (const [i, { liveness, standing, domain, freeBytes }] of drawn.entries()) {
      const id = serverId(i + 1);
      const isLost = liveness === "dead" && standing !== "maintenance";
      const room = { usedBytes: 0, freeBytes, capacityBytes: 100 * GIB, isReadOnly: false };
      sites.set(id, { id, name: `cs${id}`, liveness, isLost, standing, domain, room });
      const kinds = standing === "draining" ? (["drain"] as const) : (["mend", "repair"] as const);
      for (const kind of kinds) {
        jobs.push({ id: jobId(jobs.length + 1), kind, subject: id, isRunning: true });
      }
    }
    return { sites, jobs, isDamaged: (server) => damaged.includes(server) };
  });

const chunk: fc.Arbitrary<HeldChunk> = fc
  .tuple(
    fc.constantFrom([4, 2], [2, 1], [6, 3], [8, 4]),
    fc.constantFrom(1, 100, 300, 5_000, 10 * 2 ** 20),
    fc.shuffledSubarray(
      Array.from({ length: SERVERS }, (_, i) => i + 1),
      { minLength: SERVERS, maxLength: SERVERS },
    ),
  )
  .map(([[data = 4, parity = 2], lengthBytes, ids]) => {
    const members = ids.slice(0, data + parity).map(serverId);
    const coding = { data, parity, cellBytes: CELL_BYTES_MIN, unitCrcs: members.map(Number) };
    return { handle: chunkHandle(64), members, lengthBytes, coding, isInline: false };
  });

interface Drawn {
  readonly all: Picture;
  readonly held: HeldChunk;
  readonly found: ReturnType<typeof assess>;
  readonly isEmpty: (unit: number) => boolean;
}

/** What a property is about: one chunk in one fleet. */
function forAll(check: (drawn: Drawn) => void, numRuns = 2_000): void {
  fc.assert(
    fc.property(picture, chunk, (all, held) => {
      const { coding, lengthBytes } = held;
      const isEmpty = (unit: number) => {
        return coding !== undefined && unitLength(coding, lengthBytes, unit) === 0;
      };
      check({ all, held, found: assess(all, held), isEmpty });
    }),
    { numRuns },
  );
}

function choose({ all, held, found }: Drawn): Choice | undefined {
  if (found.need === undefined) return undefined;
  const circumstances = { picture: all, pace: new Pace(LIMITS), now: NOW, avoid: new Set<never>() };
  return chooseMove(held, found, found.need, circumstances);
}

test("margin is what is readable beyond what the code needs, and without it nothing is rebuilt", (t) => {
  forAll((drawn) => {
    const { held, found, isEmpty } = drawn;
    const good = held.members.filter((member, unit) => {
      return isEmpty(unit) || ["good", "leaving"].includes(found.health.get(member) ?? "");
    });
    t.is(found.readable, good.length);
    t.is(found.margin, good.length - (held.coding?.data ?? 0));
    const choice = choose(drawn);
    if (found.margin < 0 && choice?.kind === "move") t.not(choice.making, "rebuild");
    t.not(choice?.kind, "noSource", "what cannot be made is no need");
  });
});

test("a move of a unit takes nothing good away, and puts no two units together", (t) => {
  const seen = { copy: 0, rebuild: 0, none: 0 };
  forAll((drawn) => {
    const { all, held, found } = drawn;
    const choice = choose(drawn);
    if (choice?.kind !== "move" || held.coding === undefined) return;
    const { target, leaving } = choice.move;
    t.not(found.health.get(leaving ?? target), "good");
    const after = membersAfter({ members: held.members, coding: held.coding }, choice.move);
    t.is(new Set(after).size, held.members.length);
    t.is(held.members.findIndex((member, unit) => member !== after[unit]) < 0, target === leaving);
    const goal = all.sites.get(target);
    t.true(goal !== undefined && mayTakeCopy(goal));
    seen[choice.making]++;
  });
  t.true(
    Object.values(seen).every((count) => 20 < count),
    JSON.stringify(seen),
  );
});

test("a unit is copied from where it is whole, and else made of enough others that can be read", (t) => {
  forAll((drawn) => {
    const { held, found, isEmpty } = drawn;
    const choice = choose(drawn);
    if (choice?.kind !== "move") return;
    const { target, leaving } = choice.move;
    const unit = held.members.indexOf(leaving ?? target);
    t.is(choice.making === "none", isEmpty(unit));
    for (const source of choice.sources) {
      t.true(["good", "leaving"].includes(found.health.get(source) ?? ""));
      t.not(source, target);
      t.false(isEmpty(held.members.indexOf(source)));
    }
    if (choice.making === "copy") t.deepEqual(choice.sources, [leaving]);
    if (choice.making !== "rebuild") return;
    t.false(choice.sources.includes(leaving ?? target));
    const empty = held.members.filter((_, number) => isEmpty(number)).length;
    t.is(choice.givers, Math.max(1, (held.coding?.data ?? 0) - empty));
    t.true(choice.givers <= choice.sources.length);
  });
});

test("a new unit stands in a failure domain with the fewest units that there is", (t) => {
  forAll((drawn) => {
    const { all, held, found } = drawn;
    const choice = choose(drawn);
    if (choice?.kind !== "move" || found.need?.health === "damaged") return;
    const { target, leaving } = choice.move;
    const sharers = (one: Site | undefined): number => {
      if (one?.domain === undefined) return 0;
      return held.members.filter((member) => {
        return member !== leaving && all.sites.get(member)?.domain === one.domain;
      }).length;
    };
    const others = [...all.sites.values()].filter(
      (one) => mayTakeCopy(one) && !held.members.includes(one.id),
    );
    const fewest = Math.min(...others.map(sharers));
    t.is(sharers(all.sites.get(target)), fewest);
  });
});

test("nobody gives or takes more than the pace allows, all givers of a rebuilding counted", (t) => {
  forAll((drawn) => {
    const { all, held, found } = drawn;
    if (found.need === undefined) return;
    const pace = new Pace(LIMITS);
    for (let i = 0; i < 50; i++) {
      const circumstances = { picture: all, pace, now: NOW, avoid: new Set<never>() };
      const choice = chooseMove(held, found, found.need, circumstances);
      if (choice.kind !== "move" || choice.making === "none") break;
      const sources = choice.sources.slice(0, choice.givers);
      pace.begin({ sources, target: choice.move.target, bytes: 0 }, NOW);
      for (const source of sources) t.true(pace.under(source, "out") <= LIMITS.movesPerServer);
      t.true(pace.under(choice.move.target, "in") <= LIMITS.movesPerServer);
      t.true(i < 49, "it goes on and on");
    }
  }, 300);
});

test("a leader that has heard nobody yet takes a move up with those that may be there", (t) => {
  forAll(({ all, held }) => {
    const unheard: Picture = {
      ...all,
      sites: new Map(
        [...all.sites].map(([id, one]) => [id, { ...one, liveness: "suspect", isLost: false }]),
      ),
      isDamaged: () => false,
    };
    const target = serverId(SERVERS + 1);
    const [leaving] = held.members;
    if (leaving === undefined) return;
    const found = assess(unheard, held);
    const plan = replanMaking(held, found, { leaving, target });
    t.deepEqual(plan.sources, [leaving], "it may be there to give its unit itself");
    const inPlace = replanMaking(held, found, { leaving, target: leaving });
    t.is(inPlace.making, "rebuild");
    t.false(inPlace.sources.includes(leaving));
  }, 200);
});
