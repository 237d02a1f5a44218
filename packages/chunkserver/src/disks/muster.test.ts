import { LumeoError, serverId } from "@lumeofs/base";
import test from "ava";
import { type Found, muster } from "./muster.js";
import type { Roster, RosterEntry } from "./roster.js";

const TERMS = { retired: [], nowMs: 500 };
const [SERVER, A, B, C] = ["server", "disk-a", "disk-b", "disk-c"] as const;

function store(
  folder: string,
  uuid: string,
  more: Partial<Extract<Found, { kind: "store" }>> = {},
) {
  const name = { uuid, server: SERVER };
  const nothing = { membership: undefined, roster: undefined };
  return { kind: "store", folder, name, ...nothing, ...more } as const;
}

function rosterOf(generation: number, disks: readonly (readonly [string, string, number?])[]) {
  const entries = disks.map(([uuid, folder, sinceMs]): RosterEntry => {
    return { uuid, folder, loss: sinceMs === undefined ? undefined : { sinceMs, why: "broken" } };
  });
  return { generation, disks: entries, tailsOn: A, tailFloor: 0, lossAtMs: 0 } satisfies Roster;
}

const failed = (folder: string) => {
  const error = new LumeoError("STORE_FAILED", `Cannot read "${folder}": EIO`);
  return { kind: "failed", folder, error } as const;
};
const BOTH = rosterOf(4, [
  [A, "/a"],
  [B, "/b"],
]);

test("folders that are empty or missing become a new server, and unreadable ones do not", (t) => {
  const found: Found[] = [
    { kind: "empty", folder: "/a" },
    { kind: "missing", folder: "/b" },
  ];
  const plan = muster(found, TERMS);
  t.is(plan.server, undefined);
  t.deepEqual(plan.fresh, ["/a", "/b"]);
  t.throws(() => muster([...found, failed("/c")], TERMS), { code: "STORE_FAILED" });
});

test("an empty folder is a new disk of a server, and a missing one is not made", (t) => {
  const roster = rosterOf(1, [[A, "/a"]]);
  const plan = muster(
    [
      store("/a", A, { roster }),
      { kind: "empty", folder: "/b" },
      { kind: "missing", folder: "/c" },
    ],
    TERMS,
  );
  t.deepEqual([plan.server, plan.fresh], [SERVER, ["/b"]]);
  t.deepEqual(
    plan.lost.map(({ folder }) => folder),
    ["/c"],
  );
  t.false(plan.isNews, "nothing has ever been there");
});

test("a disk that is missing, or does not work, is lost, and that is news once", (t) => {
  for (const place of [{ kind: "missing", folder: "/b" } as const, failed("/b")]) {
    const plan = muster([store("/a", A, { roster: BOTH }), place], TERMS);
    t.like(plan.lost[0], { uuid: B, folder: "/b" });
    t.is(plan.lost[0]?.loss.sinceMs, 500);
    t.true(plan.isNews);
  }
  const known = rosterOf(5, [
    [A, "/a"],
    [B, "/b", 100],
  ]);
  const plan = muster(
    [store("/a", A, { roster: known }), { kind: "missing", folder: "/b" }],
    TERMS,
  );
  t.is(plan.lost[0]?.loss.sinceMs, 100);
  t.false(plan.isNews);
});

test("a disk that comes back is used, also at another place", (t) => {
  const known = rosterOf(7, [
    [A, "/a"],
    [B, "/b", 100],
  ]);
  const plan = muster([store("/a", A, { roster: known }), store("/c", B, { roster: BOTH })], TERMS);
  t.is(plan.roster, known, "the newest counts");
  t.deepEqual([plan.lost, plan.isBack, plan.isNews], [[], true, false]);
});

test("an empty disk takes the place of one that is gone", (t) => {
  const plan = muster([store("/a", A, { roster: BOTH }), { kind: "empty", folder: "/b" }], TERMS);
  t.deepEqual([plan.fresh, plan.lost, plan.isNews], [["/b"], [], true]);
});

test("a disk that is not given is refused, unless it was lost before or is retired", (t) => {
  const here = [store("/a", A, { roster: BOTH })];
  const refusal = {
    code: "CONFIG",
    message: /disk-b, last at "\/b", is not given.*--retired-disk/,
  };
  t.throws(() => muster(here, TERMS), refusal);
  const retired = muster(here, { ...TERMS, retired: [B] });
  t.deepEqual([retired.lost, retired.isNews], [[], true]);
  const lost = rosterOf(5, [
    [A, "/a"],
    [B, "/b", 100],
  ]);
  t.deepEqual(muster([store("/a", A, { roster: lost })], TERMS).lost, []);
});

test("a disk of another server, of another cluster, or given twice is refused", (t) => {
  const other = store("/b", C, { name: { uuid: C, server: "another" } });
  const message = /"\/b" belongs to another chunkserver than "\/a"/;
  t.throws(() => muster([store("/a", A), other], TERMS), { code: "CONFIG", message });
  const twice = [store("/a", A), store("/b", A)];
  t.throws(() => muster(twice, TERMS), { code: "CONFIG", message: /are the same disk/ });
  const memberOf = (number: number) => ({
    membership: { serverId: serverId(number), clusterId: "c" },
  });
  const numbers = [store("/a", A, memberOf(1)), store("/b", B, memberOf(2))];
  t.throws(() => muster(numbers, TERMS), { code: "CONFIG", message: /another server number/ });
  t.is(
    muster([store("/a", A), store("/b", B, memberOf(2))], TERMS).membership?.serverId,
    2 as never,
  );
});
