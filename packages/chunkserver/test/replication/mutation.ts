// The search on a copy of the core with a deliberate bug.

import { withPatchedCopy } from "@lumeofs/testkit";
import { type SearchResult, search } from "./model/search.js";
import type { Mutant } from "./mutants.js";
import { loadParts } from "./parts.js";

const SOURCE = new URL("../../src/", import.meta.url);
const FOLDERS = ["replication", "mutation"];

/** Looks for a loss. A core that stops itself has lost nothing: the search goes on past it. */
export function findLoss({ patches, settings }: Mutant): Promise<SearchResult> {
  return withPatchedCopy(SOURCE, { folders: FOLDERS, patches }, async (load) => {
    return search(await loadParts(load), settings, { goesOnPastHalts: true });
  });
}
