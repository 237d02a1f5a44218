// Every deliberate bug is found by the enumeration of losses.

import test from "ava";
import { DISK_BUGS, withDiskBug } from "./bugs.js";
import { enumerateDiskLosses } from "./enumeration.js";

/** The script itself may notice. */
function thrown(error: unknown): { readonly faults: readonly string[] } {
  return { faults: [String(error)] };
}

for (const bug of DISK_BUGS) {
  test.serial(`the enumeration of losses finds a server that ${bug.name}`, async (t) => {
    await withDiskBug(bug, async (parts) => {
      const loss = { during: bug.foundBy, ends: "for good" } as const;
      const limits = { every: 11, untilFound: true };
      const { faults } = await enumerateDiskLosses(loss, limits, parts).catch(thrown);
      t.true(0 < faults.length);
      t.log(faults[0]?.slice(0, 140));
    });
  });
}
