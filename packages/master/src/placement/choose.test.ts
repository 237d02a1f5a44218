import { GiB, SeededRandom, serverId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { type Candidate, choosePlacements } from "./choose.js";

function candidate(id: number, more: Partial<Candidate> & { free?: number } = {}): Candidate {
  const load = {
    chunkCount: 0,
    usedBytes: 0,
    capacityBytes: 100 * GiB,
    freeBytes: more.free ?? 50 * GiB,
    isReadOnly: false,
    writesInFlight: 0,
  };
  const { free: _, ...rest } = more;
  return { id: serverId(id), liveness: "alive", load, rack: undefined, ...rest };
}

function place(
  candidates: readonly Candidate[],
  wish: { replicas: number; areUnits?: boolean; count?: number; avoid?: readonly number[] },
  seed = 1,
): ReturnType<typeof choosePlacements> {
  const avoid = new Set((wish.avoid ?? []).map(serverId));
  const { replicas, count = 1, areUnits = false } = wish;
  const full = { replicas, areUnits, count, avoid };
  return choosePlacements(candidates, full, new SeededRandom(seed));
}

test("replicas are on distinct living servers with room, whatever the fleet", (t) => {
  const liveness = fc.constantFrom("alive" as const, "suspect" as const, "dead" as const);
  const servers = fc.array(
    fc.record({ liveness, free: fc.constantFrom(0, 50 * GiB), rack: fc.constantFrom("a", "b") }),
    { maxLength: 8 },
  );
  const property = fc.property(
    servers,
    fc.integer({ min: 1, max: 4 }),
    fc.nat(),
    (all, replicas, seed) => {
      const candidates = all.map((server, i) => candidate(i + 1, server));
      const usable = candidates.filter(
        (c) => c.liveness === "alive" && 0 < (c.load?.freeBytes ?? 0),
      );
      const result = place(candidates, { replicas, count: 3 }, seed);
      if (usable.length < replicas) return result.kind === "refused";
      if (result.kind === "refused") return false;
      return result.placements.every(
        (members) =>
          new Set(members).size === replicas &&
          members.every((id) => usable.some((server) => server.id === id)),
      );
    },
  );
  t.notThrows(() => fc.assert(property));
});

test("fewer living servers than replicas are said plainly", (t) => {
  const fleet = [
    candidate(1),
    candidate(2),
    candidate(3, { liveness: "dead" }),
    candidate(4, { liveness: "suspect" }),
  ];
  t.deepEqual(place(fleet, { replicas: 3 }), {
    kind: "refused",
    code: "UNAVAILABLE",
    message:
      "Cannot place 3 replicas: 2 of 4 chunkservers are alive; " +
      "start more of them or ask for fewer replicas",
  });
});

test("fewer living servers than units are said with the way out", (t) => {
  const fleet = [1, 2, 3, 4, 5].map((id) => candidate(id, id === 5 ? { liveness: "dead" } : {}));
  t.deepEqual(place(fleet, { replicas: 6, areUnits: true }), {
    kind: "refused",
    code: "TOO_FEW_SERVERS",
    message:
      "Cannot place 6 units of coded chunks: 4 of 5 chunkservers are alive; start more of them, " +
      "use a narrower code, or let files be replicated instead",
  });
});

test("full servers are a matter of space", (t) => {
  const fleet = [candidate(1), candidate(2, { free: 0 }), candidate(3, { free: 1 })];
  t.like(place(fleet, { replicas: 2 }), { code: "NO_SPACE" });
});

test("while a server with room may be back in a moment, space is not said to be missing", (t) => {
  const fleet = [candidate(1), candidate(2, { free: 0 }), candidate(3, { liveness: "suspect" })];
  t.like(place(fleet, { replicas: 2 }), { code: "UNAVAILABLE" });
  const gone = [candidate(1), candidate(2, { free: 0 }), candidate(3, { liveness: "dead" })];
  t.like(place(gone, { replicas: 2 }), { code: "NO_SPACE" });
});

test("a server to avoid is taken only when there is nobody else", (t) => {
  const fleet = [1, 2, 3, 4].map((id) => candidate(id));
  for (let seed = 0; seed < 50; seed++) {
    const enough = place(fleet, { replicas: 3, avoid: [2] }, seed);
    if (enough.kind === "refused") return t.fail();
    t.false(enough.placements.flat().includes(serverId(2)));
    const all = place(fleet, { replicas: 4, avoid: [2] }, seed);
    if (all.kind === "refused") return t.fail();
    t.is(all.placements[0]?.[3], serverId(2));
  }
});

test("replicas spread over racks as far as there are racks", (t) => {
  const rackOf = (id: number): string => (id <= 3 ? "a" : `r${id}`);
  const fleet = [1, 2, 3, 4].map((id) => candidate(id, { rack: rackOf(id) }));
  for (let seed = 0; seed < 50; seed++) {
    const two = place(fleet, { replicas: 2 }, seed);
    const three = place(fleet, { replicas: 3 }, seed);
    if (two.kind === "refused" || three.kind === "refused") return t.fail();
    t.true(two.placements[0]?.includes(serverId(4)));
    t.true(three.placements[0]?.includes(serverId(4)));
  }
});

test("units spread evenly over racks, so that a lost rack takes no more than it must", (t) => {
  const racks = fc.array(fc.integer({ min: 2, max: 4 }), { minLength: 3, maxLength: 5 });
  const property = fc.property(racks, fc.nat(), (sizes, seed) => {
    const names = sizes.flatMap((size, rack) => Array.from({ length: size }, () => `r${rack}`));
    const fleet = names.map((rack, i) => candidate(i + 1, { rack }));
    const result = place(fleet, { replicas: 6, areUnits: true }, seed);
    if (result.kind === "refused") return false;
    const inRack = new Map<string | undefined, number>();
    for (const id of result.placements[0] ?? []) {
      const rack = names[id - 1];
      inRack.set(rack, (inRack.get(rack) ?? 0) + 1);
    }
    return Math.max(...inRack.values()) <= Math.ceil(6 / sizes.length);
  });
  t.notThrows(() => fc.assert(property));
});

test("grants of one call spread over the fleet, and the emptier servers get more", (t) => {
  const fleet = [1, 2, 3, 4].map((id) => candidate(id, { free: id === 4 ? 100 * GiB : 20 * GiB }));
  const result = place(fleet, { replicas: 1, count: 64 });
  if (result.kind === "refused") return t.fail();
  const counts = [1, 2, 3, 4].map(
    (id) => result.placements.filter(([first]) => first === serverId(id)).length,
  );
  t.true(counts.every((count) => 4 <= count));
  t.is(counts[3], Math.max(...counts));
});

test("the same seed gives the same placement", (t) => {
  const fleet = [1, 2, 3, 4, 5].map((id) => candidate(id));
  t.deepEqual(
    place(fleet, { replicas: 3, count: 9 }, 7),
    place(fleet, { replicas: 3, count: 9 }, 7),
  );
});
