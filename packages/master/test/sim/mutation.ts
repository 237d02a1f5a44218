// How many seeds the simulation needs to find a deliberate bug, and which property it breaks.

import { type Mutant, withMutant } from "./mutants.js";
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
