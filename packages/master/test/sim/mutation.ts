// How many seeds the simulation needs to find a deliberate bug, and which property it breaks. The
// bug is put into a copy of the compiled product, which is removed afterwards.

import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Mutant, Patch } from "./mutants.js";
import type { Parts } from "./parts.js";
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

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url));
const FOLDERS = ["raft", "consensus", "metadata", "state"];

/** Runs `use` with the product as this mutant has it, then removes the copy. */
export async function withMutant<T>(mutant: Mutant, use: (parts: Parts) => Promise<T>): Promise<T> {
  // Beside the real code, so that packages are found as it finds them.
  const folder = await mkdtemp(join(SOURCE, "..", "mutant-"));
  try {
    for (const name of FOLDERS) {
      await cp(join(SOURCE, name), join(folder, name), { recursive: true });
    }
    for (const patch of mutant.patches) await apply(patch, folder, mutant.name);
    return await use(await load(folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function apply(patch: Patch, folder: string, mutant: string): Promise<void> {
  const path = join(folder, `${patch.file}.js`);
  const parts = (await readFile(path, "utf8")).split(patch.find);
  if (parts.length !== 2) {
    throw new Error(
      `Mutant "${mutant}" finds its place ${parts.length - 1} times in src/${patch.file}.ts: ` +
        "update it in test/sim/mutants.ts",
    );
  }
  await writeFile(path, parts.join(patch.replace));
}

async function load(folder: string): Promise<Parts> {
  const module = (file: string): Promise<Parts> => import(pathToFileURL(join(folder, file)).href);
  const { RaftCore } = await module("raft/raft.js");
  const { Driver } = await module("consensus/driver.js");
  const { SnapshotStore } = await module("consensus/snapshot-store.js");
  const { ReadGate } = await module("consensus/read-gate.js");
  const { MachineState } = await module("state/machine-state.js");
  const { applyEntry } = await module("metadata/state-machine.js");
  return { RaftCore, Driver, SnapshotStore, ReadGate, MachineState, applyEntry };
}
