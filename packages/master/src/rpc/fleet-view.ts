// The registered servers together with what is believed about them now.

import type { MonotonicMs, Random, ServerId } from "@lumeofs/base";
import type { Fleet } from "../fleet/servers.js";
import { labelsOf, nodeOf } from "../metadata/nodes.js";
import { serversPage } from "../metadata/queries.js";
import type { Server } from "../metadata/servers.js";
import type { StateReader } from "../metadata/state.js";
import { type Candidate, choosePlacements } from "../placement/choose.js";

/** Servers read in one page; a cluster of more takes more pages. */
const PAGE = 1_000;

/** All servers that are not retired. */
export async function activeServers(
  state: StateReader,
): Promise<readonly { readonly id: ServerId; readonly server: Server }[]> {
  const all: { readonly id: ServerId; readonly server: Server }[] = [];
  for (let after = 0; ; ) {
    const page = await serversPage(state, after, PAGE);
    all.push(...page.filter(({ server }) => !server.isRetired));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return all;
    after = last.id;
  }
}

/** The servers as placement sees them. */
export async function candidates(view: {
  readonly state: StateReader;
  readonly fleet: Fleet;
  readonly now: MonotonicMs;
  /** Label of servers that fail together. */
  readonly failureDomain: string;
}): Promise<readonly Candidate[]> {
  const servers = await activeServers(view.state);
  return servers.map(({ id, server }) => ({
    isAside: nodeOf(view.state, server.name).standing !== "active",
    id,
    liveness: view.fleet.liveness(id, view.now),
    load: view.fleet.loadOf(id),
    rack: labelsOf(view.state, server)[view.failureDomain],
  }));
}

/** Servers that can take a copy beside those that have one: as many as there are, up to `count`. */
export async function spareServers(
  view: Parameters<typeof candidates>[0] & { readonly random: Random },
  count: number,
  taken: readonly ServerId[],
): Promise<readonly ServerId[]> {
  const free = (await candidates(view)).filter(({ id }) => !taken.includes(id));
  for (let replicas = count; 0 < replicas; replicas--) {
    const wish = { replicas, areUnits: false, count: 1, avoid: new Set<ServerId>() };
    const placed = choosePlacements(free, wish, view.random);
    if (placed.kind === "placed") return placed.placements[0] ?? [];
  }
  return [];
}
