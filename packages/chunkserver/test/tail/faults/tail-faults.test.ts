// The enumerations of faults under growing chunks, bounded.

import { type Patch, withPatchedCopy } from "@lumeofs/testkit";
import test from "ava";
import type { Tally } from "../../faults/enumeration.js";
import {
  enumerateTailCrashes,
  enumerateTailErrors,
  enumerateTailFlips,
  enumerateTailKills,
} from "./tail-enumeration.js";
import { REAL_TAILS, type TailParts } from "./tail-machine.js";

test("power lost at any call loses nothing that a member has answered", async (t) => {
  const tally = await enumerateTailCrashes(REAL_TAILS, { every: 3, cutsMax: 1 });
  t.deepEqual(tally.faults, []);
  t.true(30 < tally.points && 150 < tally.machines, JSON.stringify(tally));
});

test("a member that is killed at any call shows only what lasts", async (t) => {
  const tally = await enumerateTailKills(REAL_TAILS, { every: 5, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("an error of the disk at any call ends all tails, and nothing is lost", async (t) => {
  const tally = await enumerateTailErrors(REAL_TAILS, { every: 5, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("a flipped bit in the log of tails is harmless, or the chunk says so", async (t) => {
  const tally = await enumerateTailFlips(REAL_TAILS, { flipsMax: 150 });
  t.deepEqual(tally.faults, []);
  t.true(20 < tally.detected, JSON.stringify(tally));
});

interface Bug extends Patch {
  readonly name: string;
  readonly foundBy: (parts: TailParts, offset: number) => Promise<Tally>;
}

const LIMITS = { every: 5, cutsMax: 1, untilFound: true };

const crashes = (parts: TailParts, offset: number) => {
  return enumerateTailCrashes(parts, { ...LIMITS, offset });
};
const errors = (parts: TailParts, offset: number) => {
  return enumerateTailErrors(parts, { ...LIMITS, offset });
};
const flips = (parts: TailParts) => enumerateTailFlips(parts, { flipsMax: 400 });

const BUGS: readonly Bug[] = [
  {
    name: "answers before its change is durable",
    file: "tail/tail-replica",
    find: "await this.#change(write.change, bytes, { decided: state });",
    replace: "void this.#change(write.change, bytes, { decided: state });",
    foundBy: crashes,
  },
  {
    name: "answers what changes nothing before the changes it rests on are durable",
    file: "tail/tail-replica",
    find: "await this.#written;\n            else",
    replace: "{}\n            else",
    foundBy: crashes,
  },
  {
    name: "gives segments back that are in use",
    file: "tail/tail-log",
    find: "if (segment <= old)",
    replace: "if (segment < old)",
    foundBy: crashes,
  },
  {
    name: "counts a moved copy from its first page on",
    file: "tail/held-tail",
    find: "if (!record.isLast)",
    replace: "if (false)",
    foundBy: crashes,
  },
  {
    name: "gives up records before the chunk is kept",
    file: "tail/tail-store",
    find: `await this.#keep(replica, { epoch, seal });
            if (!replica`,
    replace: "if (!replica",
    foundBy: crashes,
  },
  {
    name: "tells nobody of a failure",
    file: "tail/tail-store",
    find: "this.#options.onFailure(this.#failedBy);",
    replace: "",
    foundBy: errors,
  },
  {
    name: "takes damage in its log for nothing",
    file: "tail/tail-log",
    find: "tail.doubt();",
    replace: "{}",
    foundBy: flips,
  },
];

for (const { name, foundBy, ...patch } of BUGS) {
  test(`the enumerations find a member that ${name}`, async (t) => {
    const folders = ["tail", "store", "mutation", "replication"];
    const source = new URL("../../../src/", import.meta.url);
    await withPatchedCopy(source, { folders, patches: [patch] }, async (load) => {
      const parts = await load<TailParts>("tail/tail-store");
      for (let offset = 0; offset < LIMITS.every; offset++) {
        const { faults } = await foundBy(parts, offset).catch((error: unknown) => {
          return { faults: [String(error)] };
        });
        if (faults.length === 0) continue;
        t.log(faults[0]?.slice(0, 140));
        t.pass();
        return;
      }
      t.fail("not found");
    });
  });
}
