// The enumeration of losses, bounded. The whole of it: npm run bench -- faults.

import test from "ava";
import { enumerateDiskLosses } from "./enumeration.js";

test("a disk that dies at any call costs what is on it, and nothing else", async (t) => {
  const tally = await enumerateDiskLosses("for good", { every: 5 });
  t.deepEqual(tally.faults, []);
  t.true(80 < tally.points, JSON.stringify(tally));
});

test("a disk that fails at any call, and works again, is not used until the next start", async (t) => {
  const tally = await enumerateDiskLosses("once", { every: 5 });
  t.deepEqual(tally.faults, []);
  t.true(80 < tally.points, JSON.stringify(tally));
});
