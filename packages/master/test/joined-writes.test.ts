// Bugs in joining writes that the simulation hardly ever meets: two leaders would have to overwrite
// one follower at different depths while its disk stands still. The property sees them at once.

import { type Patch, withPatchedCopy } from "@lumeofs/testkit";
import test from "ava";
import type { joinPersists } from "../src/consensus/storage-queue.js";
import { checkJoined } from "./joined-writes.js";

const FILE = "consensus/storage-queue";

const BUGS: readonly (Omit<Patch, "file"> & { readonly name: string })[] = [
  {
    name: "of two cuts the deeper one is forgotten",
    find: "if (isBelowAll && (truncateFrom === undefined || cut < truncateFrom))",
    replace: "if (truncateFrom === undefined)",
  },
  {
    name: "entries that a later part cut off are written",
    find: "entries = entries.filter((entry) => entry.index < cut);",
    replace: "",
  },
  {
    name: "a part without a vote takes back the vote before it",
    find: "hardState = next.hardState ?? hardState;",
    replace: "hardState = next.hardState;",
  },
];

for (const { name, find, replace } of BUGS) {
  test.serial(`the property of joined writes sees a product in which ${name}`, async (t) => {
    const what = {
      folders: ["raft", "consensus", "metadata", "state"],
      patches: [{ file: FILE, find, replace }],
    };
    await withPatchedCopy(new URL("../src/", import.meta.url), what, async (load) => {
      const module = await load<{ readonly joinPersists: typeof joinPersists }>(FILE);
      t.throws(() => checkJoined(module.joinPersists));
    });
  });
}
