// How one chunk's need becomes a move: where the new copy goes, and who gives it or what it is made
// of. The same picture and the same pace give the same answer.
//
// T1. The target holds no copy, unless it replaces its own damaged one; and it stands in a failure
//     domain with as few of the copies that stay as there are in that of any server with room.
// T2. Nobody is asked for more than the pace allows: then the chunk waits, and a worse target is
//     not taken instead.
// T3. The target is none of the sources: one of these reads the new copy again.

import type { MonotonicMs, ServerId } from "@lumeofs/base";
import type { NewMove } from "../metadata/moves.js";
import { FREE_BYTES_MIN } from "../placement/choose.js";
import type { Assessment, HeldChunk, Need } from "./assess.js";
import type { Pace } from "./pace.js";
import type { Picture, Site } from "./picture.js";
import { type MakingPlan, planMaking } from "./plan-making.js";

/** `sources`: those to ask first at the front. */
export interface PlannedMove extends MakingPlan {
  readonly kind: "move";
  readonly move: NewMove;
}

/**
 * `busy`: those who could do it have enough to do. `noTarget`: no server can take the copy.
 * `noSource`: no copy can be read now, or too few units.
 */
export type Choice = PlannedMove | { readonly kind: "busy" | "noTarget" | "noSource" };

export interface Circumstances {
  readonly picture: Picture;
  readonly pace: Pace;
  readonly now: MonotonicMs;
  /** Targets that failed this chunk lately: taken only where there is no other. */
  readonly avoid: ReadonlySet<ServerId>;
}

/** Targets whose fill differs by less than this part count as equally full. */
const FILL_STEP = 0.05;

export function chooseMove(
  chunk: HeldChunk,
  found: Assessment,
  need: Need,
  circumstances: Circumstances,
): Choice {
  const { pace, now } = circumstances;
  const target = targetOf(chunk, need, circumstances);
  if (target === "noTarget" || target === "busy") return { kind: target };
  const { job, leaving } = need;
  const plan = planMaking(chunk, found, { leaving, target });
  const move = { handle: chunk.handle, job, target, leaving };
  if (plan.making === "none") return { kind: "move", ...plan, move };
  const sources = [...plan.sources].sort(
    (a, b) => pace.under(a, "out") - pace.under(b, "out") || a - b,
  );
  if (sources.length < plan.givers) return { kind: "noSource" };
  const ready = sources.filter((source) => pace.mayTake(source, "out", now));
  if (ready.length < plan.givers) return { kind: "busy" };
  const first = ready.slice(0, plan.givers);
  const rest = sources.filter((source) => !first.includes(source));
  return { kind: "move", ...plan, move, sources: [...first, ...rest] };
}

function targetOf(
  chunk: HeldChunk,
  need: Need,
  circumstances: Circumstances,
): ServerId | "busy" | "noTarget" {
  const { picture, pace, now, avoid } = circumstances;
  const able = [...picture.sites.values()].filter(
    (site) => mayTakeCopy(site) && !chunk.members.includes(site.id),
  );
  const fresh = able.filter((site) => !avoid.has(site.id));
  const holder = picture.sites.get(need.leaving);
  if (need.health === "damaged" && holder !== undefined && mayTakeCopy(holder)) {
    const isBest = !avoid.has(holder.id) || fresh.length === 0;
    if (isBest) return pace.mayTake(holder.id, "in", now) ? holder.id : "busy";
  }
  // Where there is nobody else, one that has failed may have been away for a moment.
  const open = 0 < fresh.length || need.target !== undefined ? fresh : able;
  const wanted = open.filter((site) => need.target === undefined || need.target === site.id);
  const pool = spread(wanted, domainsOf(picture, chunk, need.leaving));
  const ready = pool.filter((site) => pace.mayTake(site.id, "in", now));
  const [best] = ready.sort((a, b) => compareTargets(a, b, pace));
  return best?.id ?? (0 < pool.length ? "busy" : "noTarget");
}

/** A server that is alive, stays, and has room. */
export function mayTakeCopy({ liveness, isLost, standing, room }: Site): boolean {
  if (isLost || liveness !== "alive" || standing !== "active" || room === undefined) return false;
  return !room.isReadOnly && FREE_BYTES_MIN <= room.freeBytes;
}

/** T1. */
function spread(sites: readonly Site[], staying: ReadonlyMap<string, number>): readonly Site[] {
  const fewest = Math.min(...sites.map((site) => sharersOf(site, staying)));
  return sites.filter((site) => sharersOf(site, staying) === fewest);
}

/** How many copies that stay would stand in the failure domain of a site. */
export function sharersOf({ domain }: Site, staying: ReadonlyMap<string, number>): number {
  return domain === undefined ? 0 : (staying.get(domain) ?? 0);
}

/** Failure domains of the copies of a chunk that stay, with their numbers. */
export function domainsOf(
  { sites }: Picture,
  { members }: HeldChunk,
  leaving: ServerId,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const member of members) {
    const domain = member === leaving ? undefined : sites.get(member)?.domain;
    if (domain !== undefined) counts.set(domain, (counts.get(domain) ?? 0) + 1);
  }
  return counts;
}

function compareTargets(a: Site, b: Site, pace: Pace): number {
  const fill = Math.floor(fillOf(a) / FILL_STEP) - Math.floor(fillOf(b) / FILL_STEP);
  return fill || pace.under(a.id, "in") - pace.under(b.id, "in") || a.id - b.id;
}

/** How full a server is, from 0 to 1. */
function fillOf({ room }: Site): number {
  return room === undefined ? 1 : room.usedBytes / Math.max(1, room.capacityBytes);
}
