// The search, and the random simulation, on a copy of the core with a deliberate bug.

import { withPatchedCopy } from "@lumeofs/testkit";
import { type SearchResult, search } from "./model/search.js";
import type { Mutant } from "./mutants.js";
import { loadParts } from "./parts.js";
import { SimulationFailure, simulate } from "./sim/simulation.js";

const SOURCE = new URL("../../src/", import.meta.url);
const FOLDERS = ["replication", "mutation"];

/** Looks for a loss. A core that stops itself has lost nothing: the search goes on past it. */
export function findLoss({ patches, settings }: Mutant): Promise<SearchResult> {
  return withPatchedCopy(SOURCE, { folders: FOLDERS, patches }, async (load) => {
    return search(await loadParts(load), settings, { goesOnPastHalts: true });
  });
}

/** The first seed from 1 on that fails, and why; undefined if none does. */
export function findInRuns({ patches, seedsMax = 0 }: Mutant): Promise<string | undefined> {
  return withPatchedCopy(SOURCE, { folders: FOLDERS, patches }, async (load) => {
    const parts = await loadParts(load);
    for (let seed = 1; seed <= seedsMax; seed++) {
      try {
        await simulate({ seed, parts });
      } catch (error) {
        if (error instanceof SimulationFailure) return error.message;
        throw error;
      }
    }
    return undefined;
  });
}
