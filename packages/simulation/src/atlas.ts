// The atlas of faults: what may be lost, so that each acknowledged byte can always be had again.
//
// A1. Only the disks of `victims` lose what they had promised to keep, and these are fewer than a
//     file has copies, or units that may be missing. All that such a machine loses is lost at once:
//     while a chunk has two members on it, the old store and the new one, it loses nothing more.
// A2. One master at a time loses something. The next one does when another master has taken the
//     place of that one, with everything.
// A3. A master whose disk is lost is one whose store the group knows: else nobody could tell it
//     from a founder (0011, weak points).

import { chunksPage, getServer } from "@lumeofs/master";
import type { Cluster } from "./cluster.js";
import type { ChunkserverMachine } from "./machine/chunkserver-machine.js";
import type { MasterMachine } from "./machine/master-machine.js";

const CHUNKS_MAX = 100_000;

/** Whether this machine may lose something now (A1); no time passes until it is known. */
export async function mayLose(cluster: Cluster, machine: ChunkserverMachine): Promise<boolean> {
  const reader = cluster.newest()?.reader;
  if (reader === undefined) return false;
  for (const { chunk } of await chunksPage(reader, 0, CHUNKS_MAX)) {
    const here = chunk.members.filter((member) => getServer(reader, member)?.name === machine.name);
    if (1 < here.length) return false;
  }
  return true;
}

/** Who may lose something now: the one that has already, or any (A2). */
export function masterThatMayLose({ masters }: Cluster, chance: number): MasterMachine | undefined {
  const living = masters.filter(({ isRetired }) => !isRetired);
  if (living.some(({ isLost }) => isLost) || 3 < living.length) return undefined;
  const harmed = living.find(({ isHarmed }) => isHarmed);
  return harmed ?? living[Math.floor(chance * living.length)];
}

/** Whether all other masters know its store (A3). */
export function isKnown({ masters }: Cluster, { name }: MasterMachine): boolean {
  const others = masters.filter((one) => one.name !== name && !one.isRetired);
  return others.every(({ master }) => master?.knownMasters.includes(name) ?? false);
}
