// A cluster seen from outside its supervisor: `lumeo dev stop`, `status` and `revive` work on a
// folder. The supervisor is reached by signals only: SIGTERM stops all, SIGUSR2 revives.

import { LumeoError } from "@lumeofs/base";
import { ClusterFolder, type MemberRecord } from "./cluster-folder.js";
import { lockHolder } from "./folder-lock.js";
import { acceptsConnections, requireFreePorts } from "./free-ports.js";
import { lastError } from "./last-words.js";
import { letGo, takeIn } from "./master-changes.js";
import { isRunning, signalProcess } from "./process-identity.js";
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
/** A large store takes its time. */
const REVIVE_TIMEOUT_MS = 60_000;
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

/** What became of members that did not run. */
export interface Revival {
  /** These run and accept connections. */
  readonly revived: readonly string[];
  /** These ended again, with why. */
  readonly losses: readonly { readonly id: string; readonly why: string }[];
}

/**
 * Has the supervisor start the members that do not run, and waits until they accept connections or
 * have ended again.
 *
 * @throws LumeoError NOT_FOUND, UNAVAILABLE if no supervisor runs, CONFLICT if a port is taken,
 *         TIMEOUT.
 */
export async function reviveClusterIn(dir: string): Promise<Revival> {
  const folder = openFolder(dir);
  const supervisor = lockHolder(folder.lockFile);
  if (supervisor === undefined) throw notSupervised(folder);
  const down = downIn(dir);
  if (down.length === 0) return { revived: [], losses: [] };
  const topology = folder.readTopology();
  const plans = (topology === undefined ? [] : planMembers(topology)).filter((plan) =>
    down.includes(plan.id),
  );
  await requireFreePorts(plans);
  signalProcess(supervisor, "SIGUSR2");
  const begun = new Set<string>();
  const pending = new Map(plans.map((plan) => [plan.id, plan]));
  const losses: { id: string; why: string }[] = [];
  const settle = async (): Promise<true | undefined> => {
    if (!isRunning(supervisor)) throw notSupervised(folder);
    const stillDown = downIn(dir);
    for (const [id, plan] of pending) {
      const isUp = !stillDown.includes(id);
      if (isUp) begun.add(id);
      if (isUp && (await acceptsConnections(plan))) pending.delete(id);
      if (isUp || !begun.has(id)) continue;
      losses.push({ id, why: lastError(folder.logTail(id)) });
      pending.delete(id);
    }
    return pending.size === 0 ? true : undefined;
  };
  if ((await waitUntil(settle, { timeoutMs: REVIVE_TIMEOUT_MS })) === undefined) {
    throw new LumeoError(
      "TIMEOUT",
      `Cannot revive ${[...pending.keys()].join(", ")}: no connection is accepted yet. The logs ` +
        `are "${folder.path}/<member>/log"`,
    );
  }
  const lost = losses.map(({ id }) => id);
  return { revived: down.filter((id) => !lost.includes(id)), losses };
}

function downIn(dir: string): readonly string[] {
  return inspectCluster(dir)
    .members.filter((member) => member.pid === null)
    .map(({ id }) => id);
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
