// The enumeration of losses, bounded. The whole of it: npm run bench -- faults.

import test from "ava";
import { enumerateDiskLosses } from "./enumeration.js";

test("a disk that dies at any call costs what is on it, and nothing else", async (t) => {
  const loss = { during: "life", ends: "for good" } as const;
  const tally = await enumerateDiskLosses(loss, { every: 8 });
  t.deepEqual(tally.faults, []);
  t.true(50 < tally.points, JSON.stringify(tally));
});

test("a disk that fails at any call, and works again, is not used until the next start", async (t) => {
  const loss = { during: "life", ends: "once" } as const;
  const tally = await enumerateDiskLosses(loss, { every: 8 });
  t.deepEqual(tally.faults, []);
  t.true(50 < tally.points, JSON.stringify(tally));
});

for (const ends of ["for good", "once"] as const) {
  test(`a disk that fails ${ends} at any call of a start is done without`, async (t) => {
    const tally = await enumerateDiskLosses({ during: "start", ends }, { every: 3 });
    t.deepEqual(tally.faults, []);
    t.true(20 < tally.points, JSON.stringify(tally));
  });
}
