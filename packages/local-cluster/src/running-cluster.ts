// A cluster seen from outside its supervisor: `lumeo dev stop`, `status` and `revive` work on a
// folder. The supervisor is reached by signals only: SIGTERM stops all, SIGUSR2 revives.

import { LumeoError } from "@lumeofs/base";
import { ClusterFolder, type MemberRecord } from "./cluster-folder.js";
import { lockHolder } from "./folder-lock.js";
import { letGo, takeIn } from "./master-changes.js";
import { isRunning, type ProcessIdentity, signalProcess } from "./process-identity.js";
import { STOP_GRACE_MS, stopProcesses } from "./stop-processes.js";
import { masterEndpoints, planMembers } from "./topology.js";
import { waitUntil } from "./wait-until.js";

export interface RunningCluster {
  /** Absolute. */
  readonly dir: string;
  readonly endpoints: readonly string[];
  /** Pid of the supervising process, or undefined if none runs. */
  readonly supervisor: number | undefined;
  /** The pid is null for a member that does not run now, whatever members.json says. */
  readonly members: readonly MemberRecord[];
}

/** The supervisor waits for its members, then this long is left for itself. */
const SUPERVISOR_GRACE_MS = STOP_GRACE_MS + 10_000;
const REVIVE_TIMEOUT_MS = 10_000;
const FOLLOW_TIMEOUT_MS = SUPERVISOR_GRACE_MS;

/**
 * What runs in a folder.
 *
 * @throws LumeoError NOT_FOUND if the folder holds no cluster.
 */
export function inspectCluster(dir: string): RunningCluster {
  const folder = openFolder(dir);
  const running = new Set(
    folder
      .readProcesses()
      .filter(isRunning)
      .map((one) => one.pid),
  );
  const topology = folder.readTopology();
  return {
    dir: folder.path,
    endpoints: topology === undefined ? [] : masterEndpoints(planMembers(topology)),
    supervisor: lockHolder(folder.lockFile)?.pid,
    members: folder.readMembers().map((member) => ({
      ...member,
      pid: member.pid !== null && running.has(member.pid) ? member.pid : null,
    })),
  };
}

/**
 * Stops whatever runs in a folder: through its supervisor, or the members alone if it is gone.
 *
 * @returns How many members were running.
 * @throws LumeoError NOT_FOUND if the folder holds no cluster.
 */
export async function stopClusterIn(dir: string): Promise<number> {
  const folder = openFolder(dir);
  const before = folder.readProcesses().filter(isRunning);
  const supervisor = lockHolder(folder.lockFile);
  if (supervisor !== undefined) await stopProcesses([supervisor], SUPERVISOR_GRACE_MS);
  // Those that a killed supervisor left behind.
  const left = folder.readProcesses().filter(isRunning);
  await stopProcesses(left);
  if (0 < left.length) {
    folder.writeProcesses([]);
    folder.writeMembers(folder.readMembers().map((member) => ({ ...member, pid: null })));
  }
  return before.length;
}

/**
 * Has the supervisor start the members that do not run, and waits until their processes do.
 *
 * @returns Their ids.
 * @throws LumeoError NOT_FOUND, UNAVAILABLE if no supervisor runs, TIMEOUT.
 */
export async function reviveClusterIn(dir: string): Promise<readonly string[]> {
  const folder = openFolder(dir);
  const supervisor = lockHolder(folder.lockFile);
  if (supervisor === undefined) throw notSupervised(folder);
  const down = inspectCluster(dir).members.filter((member) => member.pid === null);
  if (down.length === 0) return [];
  signalProcess(supervisor, "SIGUSR2");
  const done = await waitUntil(() => allRun(dir, supervisor), { timeoutMs: REVIVE_TIMEOUT_MS });
  if (done === undefined) {
    const still = inspectCluster(dir).members.filter((member) => member.pid === null);
    throw new LumeoError(
      "TIMEOUT",
      `Cannot revive ${still.map((member) => member.id).join(", ")}: the processes do not stay ` +
        `up. Their logs are "${folder.path}/<member>/log"`,
    );
  }
  return down.map((member) => member.id);
}

/**
 * Has the supervisor of a folder start new masters, and the group take them in.
 *
 * @returns Their ids.
 * @throws LumeoError NOT_FOUND, UNAVAILABLE if no supervisor runs, or what the group says.
 */
export function addMastersIn(dir: string, count: number): Promise<readonly string[]> {
  const folder = openFolder(dir);
  return takeIn(folder, count, () => followed(folder));
}

/** Takes masters out of the group of a folder; their processes end, and their data is deleted. */
export function removeMastersIn(dir: string, ids: readonly string[]): Promise<void> {
  const folder = openFolder(dir);
  return letGo(folder, ids, () => followed(folder));
}

/** Resolves when the supervisor runs what the folder says. */
async function followed(folder: ClusterFolder): Promise<void> {
  const supervisor = lockHolder(folder.lockFile);
  if (supervisor === undefined) throw notSupervised(folder);
  const topology = folder.readTopology();
  const wanted = (topology === undefined ? [] : planMembers(topology)).map(({ id }) => id);
  signalProcess(supervisor, "SIGUSR2");
  const follows = (): true | undefined => {
    if (!isRunning(supervisor)) throw notSupervised(folder);
    const running = folder.readProcesses().filter(isRunning);
    const isAllThere = wanted.every((id) => running.some((one) => one.id === id));
    return isAllThere && running.every(({ id }) => wanted.includes(id)) ? true : undefined;
  };
  if ((await waitUntil(async () => follows(), { timeoutMs: FOLLOW_TIMEOUT_MS })) === true) return;
  throw new LumeoError(
    "TIMEOUT",
    `Cannot change the masters in "${folder.path}": the processes do not follow. Their logs are ` +
      `"${folder.path}/<member>/log"`,
  );
}

function allRun(dir: string, supervisor: ProcessIdentity): true | undefined {
  if (!isRunning(supervisor)) throw notSupervised(new ClusterFolder(dir));
  return inspectCluster(dir).members.every((member) => member.pid !== null) ? true : undefined;
}

function notSupervised(folder: ClusterFolder): LumeoError {
  return new LumeoError(
    "UNAVAILABLE",
    `Cannot revive members: no cluster runs in "${folder.path}". ` +
      `Start it with "lumeo dev --dir ${folder.path}"`,
  );
}

function openFolder(dir: string): ClusterFolder {
  const folder = new ClusterFolder(dir);
  if (folder.readTopology() === undefined) {
    throw new LumeoError("NOT_FOUND", `Cannot find a cluster in "${folder.path}"`);
  }
  return folder;
}
