// The picture that healing decides from: the servers of the state with what is believed about them
// now, and the open jobs.

import type { MonotonicMs, ServerId } from "@lumeofs/base";
import type { Fleet } from "../../fleet/servers.js";
import type { OpenJob, Picture, Site } from "../../healing/picture.js";
import { jobsPage, type NumberedJob } from "../../metadata/healing-queries.js";
import { isOpen } from "../../metadata/jobs.js";
import { labelsOf, nodeOf } from "../../metadata/nodes.js";
import { serversPage } from "../../metadata/queries.js";
import type { Server } from "../../metadata/servers.js";
import type { StateReader } from "../../metadata/state.js";

const PAGE = 1_000;

export interface PictureSources {
  readonly state: StateReader;
  readonly fleet: Fleet;
  readonly now: MonotonicMs;
}

export interface PictureTerms {
  /** A server that is away for so long is lost. */
  readonly repairAfterMs: number;
  /** Label of servers that fail together. */
  readonly failureDomain: string;
}

export interface TakenPicture extends Picture {
  readonly servers: ReadonlyMap<ServerId, Server>;
  /** All jobs, those that have ended included. */
  readonly allJobs: readonly NumberedJob[];
}

export async function takePicture(
  sources: PictureSources,
  terms: PictureTerms,
): Promise<TakenPicture> {
  const { state, fleet } = sources;
  const allJobs = await everyJob(state);
  // Conversions are none of healing's: duties/conversion sees to them.
  const open = allJobs.filter(({ job }) => isOpen(job) && job.kind !== "convert");
  const jobs = open.map(openJobOf);
  const repaired = new Set(jobs.filter(isRepair).map((job) => job.subject));
  const servers = new Map<ServerId, Server>();
  const sites = new Map<ServerId, Site>();
  for (let after = 0; ; ) {
    const page = await serversPage(state, after, PAGE);
    for (const { id, server } of page) {
      servers.set(id, server);
      sites.set(id, siteOf(sources, terms, { id, server, isRepaired: repaired.has(id) }));
    }
    after = page.at(-1)?.id ?? 0;
    if (page.length < PAGE) break;
  }
  const isDamaged: Picture["isDamaged"] = (server, handle) => fleet.isDamaged(server, handle);
  return { sites, jobs, isDamaged, servers, allJobs };
}

async function everyJob(state: StateReader): Promise<readonly NumberedJob[]> {
  const all: NumberedJob[] = [];
  for (;;) {
    const page = await jobsPage(state, all.at(-1)?.id ?? 0, PAGE);
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}

function siteOf(
  { state, fleet, now }: PictureSources,
  { repairAfterMs, failureDomain }: PictureTerms,
  of: { readonly id: ServerId; readonly server: Server; readonly isRepaired: boolean },
): Site {
  const { id, server } = of;
  const { standing } = nodeOf(state, server.name);
  const liveness = fleet.liveness(id, now);
  const lostForMs = fleet.lostForMs(id, now);
  // A loss is believed after the grace, and from then on until the server is back to stay: also by
  // the next leader, who finds the repair in the state.
  const isGone = of.isRepaired ? 0 < lostForMs : liveness === "dead" && repairAfterMs <= lostForMs;
  return {
    id,
    name: server.name,
    liveness,
    isLost: isGone && (standing !== "maintenance" || server.isRetired),
    standing: server.isRetired ? "active" : standing,
    domain: labelsOf(state, server)[failureDomain],
    room: fleet.loadOf(id),
  };
}

function isRepair(job: OpenJob): boolean {
  return job.kind === "repair";
}

function openJobOf({ id, job }: NumberedJob): OpenJob {
  return { id, kind: job.kind, subject: job.subject, isRunning: job.state === "running" };
}
