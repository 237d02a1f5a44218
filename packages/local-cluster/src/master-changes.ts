// Masters that come and go while a local cluster runs. What the folder says is what should run:
// here it is changed, and whoever supervises the members is told to follow.

import { LumeoError } from "@lumeofs/base";
import { LumeoError as ClientError, Lumeo, type NewMaster } from "@lumeofs/client";
import type { ClusterFolder } from "./cluster-folder.js";
import {
  masterEndpoints,
  planMembers,
  type Topology,
  withMaster,
  withoutMasters,
} from "./topology.js";
import { waitUntil } from "./wait-until.js";

/** A new master starts within this time, or not at all. */
const START_TIMEOUT_MS = 30_000;
/** A change that takes longer has failed: data is copied first. */
const CHANGE_TIMEOUT_MS = 10 * 60_000;
const ASK_TIMEOUT_MS = 5_000;
/** A group that does not answer for so long is not waited for when something else has failed. */
const FORGET_TIMEOUT_MS = 30_000;

/** Lets the supervisor run what the folder says now; resolves when it does. */
export type Follow = () => Promise<void>;

/**
 * Has new masters started, and takes them into the group.
 *
 * @returns Their ids.
 * @throws LumeoError UNAVAILABLE if they do not start, or what the group says; nothing is left of
 *         them then, in the group neither, unless the error says so.
 */
export async function takeIn(
  folder: ClusterFolder,
  count: number,
  follow: Follow,
): Promise<readonly string[]> {
  const before = topologyOf(folder);
  const ids: string[] = [];
  let topology = before;
  for (let i = 0; i < count; i++) {
    const next = withMaster(topology);
    topology = next.topology;
    ids.push(next.id);
  }
  folder.writeTopology(topology);
  try {
    await follow();
    const masters = planMembers(topology).filter(({ id }) => ids.includes(id));
    await untilWaiting(folder, masters);
    await withClient(before, (client) =>
      client.masters.add(masters, { deadlineMs: CHANGE_TIMEOUT_MS }),
    );
    return ids;
  } catch (error) {
    if (!(await isForgotten(before, ids))) throw left(ids, error);
    folder.writeTopology(withoutMasters(topology, ids));
    await follow();
    for (const id of ids) folder.removeMember(id);
    throw error;
  }
}

/** Whether the group knows none of these masters any more: it would wait for them for ever. */
async function isForgotten(topology: Topology, ids: readonly string[]): Promise<boolean> {
  try {
    await withClient(topology, async (client) => {
      for (const id of ids) {
        const options = { deadlineMs: FORGET_TIMEOUT_MS };
        await client.masters.remove([id], options).catch((error: unknown) => {
          if (!ClientError.is(error, "LUMEO_NOT_FOUND")) throw error;
        });
      }
    });
    return true;
  } catch {
    return false; // the first failure says more
  }
}

function left(ids: readonly string[], cause: unknown): LumeoError {
  const names = ids.join(", ");
  const why = cause instanceof Error ? cause.message : String(cause);
  return new LumeoError(
    "UNAVAILABLE",
    `Cannot add ${names}: ${why}. They run on, for the group may know them already: see ` +
      "`lumeo master ls`, and remove them with `lumeo dev remove-master` when it answers again",
    { cause },
  );
}

/** Takes masters out of the group, has them ended and deletes their data. */
export async function letGo(
  folder: ClusterFolder,
  ids: readonly string[],
  follow: Follow,
): Promise<void> {
  const before = topologyOf(folder);
  const after = withoutMasters(before, ids);
  await withClient(before, (client) =>
    client.masters.remove(ids, { deadlineMs: CHANGE_TIMEOUT_MS }),
  );
  folder.writeTopology(after);
  await follow();
  for (const id of ids) folder.removeMember(id);
}

async function untilWaiting(folder: ClusterFolder, masters: readonly NewMaster[]): Promise<void> {
  for (const { id, address } of masters) {
    const client = new Lumeo({ endpoints: [address], timeoutMs: ASK_TIMEOUT_MS, retry: false });
    const ask = (): Promise<true | undefined> =>
      client.clusterStatus({ deadlineMs: ASK_TIMEOUT_MS }).then(
        () => true,
        () => undefined,
      );
    try {
      if ((await waitUntil(ask, { timeoutMs: START_TIMEOUT_MS })) === true) continue;
    } finally {
      await client.close({ graceMs: 0 });
    }
    throw new LumeoError(
      "UNAVAILABLE",
      `Cannot add master "${id}": it does not start. Its log is "${folder.logFile(id)}"`,
    );
  }
}

async function withClient(
  topology: Topology,
  act: (client: Lumeo) => Promise<void>,
): Promise<void> {
  const client = new Lumeo({ endpoints: masterEndpoints(planMembers(topology)) });
  try {
    await act(client);
  } finally {
    await client.close({ graceMs: 0 });
  }
}

function topologyOf(folder: ClusterFolder): Topology {
  const topology = folder.readTopology();
  if (topology !== undefined) return topology;
  throw new LumeoError("NOT_FOUND", `Cannot find a cluster in "${folder.path}"`);
}
