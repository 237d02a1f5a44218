// Where a converted chunk goes, and who makes it. Nothing is decided here about whether.

import type { MonotonicMs, Random, ServerId } from "@lumeofs/base";
import { unitCount } from "@lumeofs/base";
import type { Fleet } from "../../fleet/servers.js";
import type { ChunkRecord } from "../../metadata/chunk-table.js";
import type { Refused } from "../../metadata/command.js";
import { type Candidate, choosePlacements } from "../../placement/choose.js";
import type { TakenPicture } from "../healing/take-picture.js";
import type { Holder } from "../orders.js";
import type { ChunkTask } from "./job-pass.js";

export interface Surroundings {
  readonly picture: TakenPicture;
  readonly fleet: Fleet;
  readonly now: MonotonicMs;
  readonly random: Random;
}

/** Servers for the new chunk: for units one each, for copies the primary first. */
export function placeConversion(
  { to, copies }: ChunkTask,
  { picture, fleet, random }: Surroundings,
  avoid: ReadonlySet<ServerId>,
): readonly ServerId[] | Refused {
  const candidates = [...picture.sites.values()].flatMap((site): Candidate[] => {
    const { id, liveness, isLost, standing, domain } = site;
    if (isLost || standing !== "active" || picture.servers.get(id)?.isRetired !== false) return [];
    return [{ id, liveness, load: fleet.loadOf(id), rack: domain }];
  });
  const replicas = to === undefined ? copies : unitCount(to);
  const wish = { replicas, areUnits: to !== undefined, count: 1, avoid };
  const placed = choosePlacements(candidates, wish, random);
  return placed.kind === "refused" ? placed : (placed.placements[0] ?? []);
}

/**
 * Who is asked for the source: copies whose servers are alive first; units by their numbers,
 * undefined for one that cannot be had.
 */
export function sourceHolders(
  handle: ChunkTask["handle"],
  { members, coding }: ChunkRecord,
  { picture, fleet }: Surroundings,
): readonly (Holder | undefined)[] {
  const holders = members.map((id): Holder | undefined => {
    const server = picture.servers.get(id);
    const site = picture.sites.get(id);
    const isBad = fleet.isDamaged(id, handle) || site?.isLost !== false;
    return server === undefined || isBad ? undefined : { id, server };
  });
  const isAlive = (id: ServerId): boolean => picture.sites.get(id)?.liveness === "alive";
  if (coding !== undefined) {
    return holders.map((one) => (one !== undefined && isAlive(one.id) ? one : undefined));
  }
  const known = holders.filter((one) => one !== undefined);
  return [...known.filter(({ id }) => isAlive(id)), ...known.filter(({ id }) => !isAlive(id))];
}

/**
 * Who makes the new chunk: a server that has some of the old one, the least busy of those that may
 * take one more; "busy" if none of them may.
 */
export function chooseWorker(
  holders: readonly (Holder | undefined)[],
  { picture }: Surroundings,
  mayTake: (server: ServerId) => number | undefined,
): Holder | "busy" | undefined {
  const isAlive = ({ id }: Holder): boolean => picture.sites.get(id)?.liveness === "alive";
  const near = holders.filter((one) => one !== undefined).filter(isAlive);
  const all = [...picture.servers].map(([id, server]): Holder => ({ id, server }));
  const pool = 0 < near.length ? near : all.filter(isAlive);
  if (pool.length === 0) return undefined;
  const ready = pool.flatMap((holder) => {
    const busy = mayTake(holder.id);
    return busy === undefined ? [] : [{ holder, busy }];
  });
  const [best] = ready.sort((a, b) => a.busy - b.busy || a.holder.id - b.holder.id);
  return best?.holder ?? "busy";
}
