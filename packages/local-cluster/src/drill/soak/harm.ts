// What can be done to one process of a soak. Only processes of this cluster get signals, by the pid
// that the cluster started.

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@lumeofs/base";
import type { LocalCluster } from "../../local-cluster.js";
import { rest } from "../rest.js";

const STUTTERS = 12;
const STUTTER_MS_MAX = 250;

/** Kills a member, and starts it again after a while. */
export async function killFor(
  cluster: LocalCluster,
  id: string,
  ms: number,
  end: AbortSignal,
): Promise<void> {
  await cluster.kill(id);
  await rest(ms, end);
  await cluster.restart(id);
}

/** Stops a member in its tracks for a while. */
export async function freezeFor(
  cluster: LocalCluster,
  id: string,
  ms: number,
  end: AbortSignal,
): Promise<void> {
  const pid = cluster.members().find((one) => one.id === id)?.pid;
  if (typeof pid !== "number") return;
  process.kill(pid, "SIGSTOP");
  await rest(ms, end);
  process.kill(pid, "SIGCONT");
}

/** Freezes a member again and again for a moment. */
export async function stutter(
  cluster: LocalCluster,
  id: string,
  random: Random,
  end: AbortSignal,
): Promise<void> {
  for (let i = 0; i < STUTTERS && !end.aborted; i++) {
    await freezeFor(cluster, id, random.fraction() * STUTTER_MS_MAX, end);
    await rest(random.fraction() * STUTTER_MS_MAX, end);
  }
}

/** Kills a member and deletes everything that it has stored. It does not run afterwards. */
export async function wipe(cluster: LocalCluster, id: string): Promise<void> {
  await cluster.kill(id);
  rmSync(join(cluster.dir, id, "data"), { recursive: true, force: true });
}
