// Jobs, what part a node takes, and how the chunks are as a whole, from protobuf.

import { formatCode, LumeoError } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { ChunkHealth, JobConversion, JobInfo, JobKind, NodeStanding } from "../healing.js";
import { decodeCode } from "./coding-wire.js";

const Wire = lumeo.master.v1;

const KINDS: ReadonlyMap<lumeo.master.v1.JobKind, JobKind> = new Map([
  [Wire.JobKind.JOB_KIND_REPAIR, "repair"],
  [Wire.JobKind.JOB_KIND_MEND, "mend"],
  [Wire.JobKind.JOB_KIND_DRAIN, "drain"],
  [Wire.JobKind.JOB_KIND_DECOMMISSION, "decommission"],
  [Wire.JobKind.JOB_KIND_REBALANCE, "rebalance"],
  [Wire.JobKind.JOB_KIND_CONVERT, "convert"],
]);
const STATES: ReadonlyMap<lumeo.master.v1.JobState, JobInfo["state"]> = new Map([
  [Wire.JobState.JOB_STATE_RUNNING, "running"],
  [Wire.JobState.JOB_STATE_PAUSED, "paused"],
  [Wire.JobState.JOB_STATE_DONE, "done"],
  [Wire.JobState.JOB_STATE_CANCELLED, "cancelled"],
]);
const STANDINGS: ReadonlyMap<lumeo.master.v1.NodeStanding, NodeStanding> = new Map([
  [Wire.NodeStanding.NODE_STANDING_ACTIVE, "active"],
  [Wire.NodeStanding.NODE_STANDING_DRAINING, "draining"],
  [Wire.NodeStanding.NODE_STANDING_MAINTENANCE, "maintenance"],
  [Wire.NodeStanding.NODE_STANDING_DECOMMISSIONED, "decommissioned"],
]);

export function decodeJob(job: lumeo.master.v1.Job.$Properties): JobInfo {
  const endedAtMs = job.endedAtMs ?? 0;
  return {
    id: job.id ?? 0,
    kind: known(KINDS, job.kind, "kind of a job"),
    node: job.node === "" || job.node == null ? undefined : job.node,
    conversion: job.conversion == null ? undefined : decodeConversion(job.conversion),
    state: known(STATES, job.state, "state of a job"),
    createdAt: new Date(job.createdAtMs ?? 0),
    endedAt: endedAtMs === 0 ? undefined : new Date(endedAtMs),
    totalChunks: job.totalChunks ?? 0,
    totalBytes: job.totalBytes ?? 0,
    doneChunks: job.doneChunks ?? 0,
    doneBytes: job.doneBytes ?? 0,
    failures: job.failures ?? 0,
    moves: job.moves ?? 0,
    note: job.note ?? "",
  };
}

function decodeConversion({
  path,
  to,
  byPolicy,
  copies,
}: lumeo.master.v1.Conversion.$Properties): JobConversion {
  if (byPolicy === true) return { path: undefined, to: undefined };
  const plain = copies ? `replicated:${copies}` : "replicated";
  return { path: path ?? "", to: to == null ? plain : formatCode(decodeCode(to)) };
}

export function decodeHealth(health: lumeo.master.v1.ChunkHealth.$Properties): ChunkHealth {
  return {
    chunks: health.chunks ?? 0,
    underReplicated: health.underReplicated ?? 0,
    damaged: health.damaged ?? 0,
    lost: health.lost ?? 0,
    unreadable: health.unreadable ?? 0,
    inlineChunks: health.inlineChunks ?? 0,
    inlineBytes: health.inlineBytes ?? 0,
    lookedMsAgo: health.lookedMsAgo ?? 0,
  };
}

export function decodeNodeStanding(
  standing: lumeo.master.v1.NodeStanding | null | undefined,
): NodeStanding {
  return known(STANDINGS, standing, "part of a node");
}

function known<K, V>(table: ReadonlyMap<K, V>, key: K | null | undefined, what: string): V {
  const value = key == null ? undefined : table.get(key);
  if (value !== undefined) return value;
  throw new LumeoError("PROTOCOL", `Cannot read the answer: unknown ${what}`);
}
