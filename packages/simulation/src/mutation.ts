// How many seeds the simulation needs to find a deliberate bug, and which property it breaks. The
// bug is put into a copy of the compiled package, which is removed afterwards.

import { readdir } from "node:fs/promises";
import { type Patch, withPatchedCopy } from "@lumeofs/testkit";
import type { Mutant } from "./mutants.js";
import { type Parts, REAL_PARTS } from "./parts.js";
import { SimulationFailure, simulate } from "./simulation.js";

export interface Finding {
  /** Seeds run, the one that found it included. */
  readonly seeds: number;
  /** Undefined: it was not found. */
  readonly property: string | undefined;
  /** What the simulation had to say. */
  readonly message: string;
}

/** Runs seeds from 1 on against the mutant until one fails or its limit is reached. */
export function findMutant(mutant: Mutant): Promise<Finding> {
  return withMutant(mutant, async (parts) => {
    for (let seed = 1; seed <= mutant.seedsMax; seed++) {
      try {
        await simulate({ seed, parts, ...(mutant.lens && { lens: mutant.lens }) });
      } catch (error) {
        if (!(error instanceof SimulationFailure)) throw error;
        return { seeds: seed, property: error.property, message: error.message };
      }
    }
    return { seeds: mutant.seedsMax, property: undefined, message: "" };
  });
}

const PACKAGES = {
  master: "@lumeofs/master",
  chunkserver: "@lumeofs/chunkserver",
  client: "@lumeofs/client",
} as const;

/** Runs `use` with the product as this mutant has it. */
export async function withMutant<T>(mutant: Mutant, use: (parts: Parts) => Promise<T>): Promise<T> {
  const { master = [], chunkserver = [], client = [] } = mutant.patches;
  return patched("master", master, (masters) =>
    patched("chunkserver", chunkserver, (chunkservers) =>
      patched("client", client, (clients) =>
        use({ ...REAL_PARTS, ...masters, ...chunkservers, ...clients }),
      ),
    ),
  );
}

/** With what the patched copy of a package exports; with nothing if there is nothing to patch. */
async function patched<T>(
  name: keyof typeof PACKAGES,
  patches: readonly Patch[],
  use: (parts: Partial<Parts>) => Promise<T>,
): Promise<T> {
  if (patches.length === 0) return use({});
  const source = new URL("./", import.meta.resolve(PACKAGES[name]));
  const folders = (await readdir(source)).filter((file) => !file.endsWith(".d.ts"));
  return withPatchedCopy(source, { folders, patches }, async (load) => {
    const { Master, Chunkserver, Lumeo } = await load<Partial<Parts>>("index");
    return use({
      ...(Master && { Master }),
      ...(Chunkserver && { Chunkserver }),
      ...(Lumeo && { Lumeo }),
    });
  });
}
