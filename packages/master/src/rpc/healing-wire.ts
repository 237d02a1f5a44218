// Jobs, nodes and standings ⇄ protobuf.

import type { MonotonicMs, ServerId } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { Round } from "../healing/round.js";
import type { NumberedJob } from "../metadata/healing-queries.js";
import type { Conversion, JobKind, JobState } from "../metadata/jobs.js";
import type { Standing } from "../metadata/nodes.js";
import type { Server } from "../metadata/servers.js";
import { invalid } from "./field-wire.js";

const Wire = lumeo.master.v1;

const KINDS: Readonly<Record<JobKind, lumeo.master.v1.JobKind>> = {
  repair: Wire.JobKind.JOB_KIND_REPAIR,
  mend: Wire.JobKind.JOB_KIND_MEND,
  drain: Wire.JobKind.JOB_KIND_DRAIN,
  decommission: Wire.JobKind.JOB_KIND_DECOMMISSION,
  rebalance: Wire.JobKind.JOB_KIND_REBALANCE,
  convert: Wire.JobKind.JOB_KIND_CONVERT,
};
const STATES: Readonly<Record<JobState, lumeo.master.v1.JobState>> = {
  running: Wire.JobState.JOB_STATE_RUNNING,
  paused: Wire.JobState.JOB_STATE_PAUSED,
  done: Wire.JobState.JOB_STATE_DONE,
  cancelled: Wire.JobState.JOB_STATE_CANCELLED,
};
const STANDINGS: Readonly<Record<Standing, lumeo.master.v1.NodeStanding>> = {
  active: Wire.NodeStanding.NODE_STANDING_ACTIVE,
  draining: Wire.NodeStanding.NODE_STANDING_DRAINING,
  maintenance: Wire.NodeStanding.NODE_STANDING_MAINTENANCE,
  decommissioned: Wire.NodeStanding.NODE_STANDING_DECOMMISSIONED,
};

export function encodeJob(
  { id, job }: NumberedJob,
  servers: ReadonlyMap<ServerId, Server>,
): lumeo.master.v1.IJob {
  const { subject } = job;
  return {
    id,
    kind: KINDS[job.kind],
    state: STATES[job.state],
    serverId: subject ?? 0,
    node: subject === undefined ? "" : (servers.get(subject)?.name ?? ""),
    createdAtMs: job.createdAt,
    endedAtMs: job.endedAt,
    totalChunks: job.total.chunks,
    totalBytes: job.total.bytes,
    doneChunks: job.done.chunks,
    doneBytes: job.done.bytes,
    failures: job.failures,
    moves: job.moves,
    note: job.note,
    ...encodeConversion(job.conversion),
  };
}

function encodeConversion(conversion: Conversion | undefined): lumeo.master.v1.IJob {
  if (conversion === undefined) return {};
  if (conversion.kind === "policy") return { conversion: { byPolicy: true } };
  const { path, to, copies = 0 } = conversion;
  return { conversion: { path, copies, ...(to === undefined ? {} : { to }) } };
}

/** What the last complete look has found, and how long ago it began. */
export function encodeHealth(round: Round, now: MonotonicMs): lumeo.master.v1.IChunkHealth {
  return { ...round.figures, lookedMsAgo: Math.round(now - round.startedAt) };
}

/** What an operator may begin. */
export function decodeJobKind(kind: lumeo.master.v1.JobKind | null | undefined): JobKind {
  switch (kind) {
    case Wire.JobKind.JOB_KIND_DRAIN:
      return "drain";
    case Wire.JobKind.JOB_KIND_DECOMMISSION:
      return "decommission";
    case Wire.JobKind.JOB_KIND_REBALANCE:
      return "rebalance";
    case Wire.JobKind.JOB_KIND_CONVERT:
      return "convert";
    default:
      throw invalid("a job of this kind begins by itself, or is none");
  }
}

/** The state that a job is to get. */
export function decodeJobChange(change: lumeo.master.v1.JobChange | null | undefined): JobState {
  switch (change) {
    case Wire.JobChange.JOB_CHANGE_PAUSE:
      return "paused";
    case Wire.JobChange.JOB_CHANGE_RESUME:
      return "running";
    case Wire.JobChange.JOB_CHANGE_CANCEL:
      return "cancelled";
    default:
      throw invalid("it does not say what to do with the job");
  }
}

export function encodeStanding(standing: Standing): lumeo.master.v1.NodeStanding {
  return STANDINGS[standing];
}

/** Undefined leaves it. Only what operators decide: a node is drained by a job. */
export function decodeStanding(
  standing: lumeo.master.v1.NodeStanding | null | undefined,
): Extract<Standing, "active" | "maintenance"> | undefined {
  switch (standing ?? Wire.NodeStanding.NODE_STANDING_UNSPECIFIED) {
    case Wire.NodeStanding.NODE_STANDING_UNSPECIFIED:
      return undefined;
    case Wire.NodeStanding.NODE_STANDING_ACTIVE:
      return "active";
    case Wire.NodeStanding.NODE_STANDING_MAINTENANCE:
      return "maintenance";
    default:
      throw invalid("a node gets this part by a job");
  }
}
