// Jobs that make, mend and move copies.

import type { JobConversion, JobInfo } from "@lumeofs/client";
import { parseCount } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, formatCount, formatDuration } from "../format.js";
import { table } from "../table.js";

export interface JobListOptions {
  readonly open?: boolean;
}

/** Shows jobs, the newest last. */
export async function jobList(
  context: Context,
  { open = false }: JobListOptions,
): Promise<ExitStatus> {
  const client = await context.client();
  const all = await client.healing.jobs(context.call);
  const jobs = open ? all.filter((job) => job.endedAt === undefined) : all;
  const rows = jobs.map((job) => [
    ...[String(job.id), job.kind, subjectOf(job) ?? "-", job.state, partOf(job)],
    ...[formatBytes(job.doneBytes), formatCount(job.failures), job.note],
  ]);
  const head = ["JOB", "KIND", "FOR", "STATE", "CHUNKS", "BYTES", "FAILED", "NOTE"];
  const text = jobs.length === 0 ? "no jobs" : await table(head, rows);
  await context.output.line(text, { jobs: jobs.map(viewOf) });
  return EXIT.ok;
}

/** Shows one job. */
export async function jobShow(context: Context, text: string): Promise<ExitStatus> {
  const client = await context.client();
  const job = await client.healing.job(parseJob(text), context.call);
  await context.output.line(describe(job), viewOf(job));
  return EXIT.ok;
}

/** Pauses, resumes or cancels a job. */
export async function jobChange(
  context: Context,
  change: "pause" | "resume" | "cancel",
  text: string,
): Promise<ExitStatus> {
  const client = await context.client();
  const job = await client.healing.changeJob(parseJob(text), change, context.call);
  context.output.result(`job ${job.id} is ${job.state}`, viewOf(job));
  return EXIT.ok;
}

/** A job as scripts see it. */
export function viewOf(job: JobInfo) {
  return {
    ...job,
    node: job.node ?? null,
    ...(job.conversion === undefined ? {} : { conversion: conversionOf(job.conversion) }),
    createdAt: job.createdAt.toISOString(),
    endedAt: job.endedAt?.toISOString() ?? null,
  };
}

/** One line about how far a job is. */
export function progressOf(job: JobInfo): string {
  const subject = spaced(subjectOf(job));
  const note = job.note === "" ? "" : ` (${job.note})`;
  return `${job.id}: ${job.kind}${subject} ${job.state}, ${partOf(job)} chunks${note}`;
}

function describe(job: JobInfo): string {
  const until = job.endedAt ?? undefined;
  const made = job.conversion === undefined ? "copied" : "converted";
  const tookMs = until === undefined ? undefined : until.getTime() - job.createdAt.getTime();
  return [
    `Job ${job.id}: ${job.kind}${spaced(subjectOf(job))}, ${job.state}`,
    `Chunks    ${partOf(job)}, each ${made} and then read again by another server`,
    `Bytes     ${formatBytes(job.doneBytes)} of ${totalBytesOf(job)}`,
    `Under way ${formatCount(job.moves)}`,
    `Failures  ${formatCount(job.failures)}${job.failures === 0 ? "" : ", tried again"}`,
    `Began     ${job.createdAt.toISOString()}`,
    ...(until === undefined ? [] : [`Ended     ${until.toISOString()}`]),
    ...(tookMs === undefined ? [] : [`Took      ${formatDuration(tookMs)}`]),
    ...(job.note === "" ? [] : [`Note      ${job.note}`]),
  ].join("\n");
}

/** Its node, or what is converted to what; undefined if it is for all. */
function subjectOf({ node, conversion }: JobInfo): string | undefined {
  if (conversion === undefined) return node;
  const { path, to } = conversion;
  return path === undefined || to === undefined ? "by policy" : `${path} to ${to}`;
}

function conversionOf({ path, to }: JobConversion) {
  return { path: path ?? null, to: to ?? null };
}

function spaced(text: string | undefined): string {
  return text === undefined ? "" : ` ${text}`;
}

/** Before all chunks were looked at once, nobody knows how many they are. */
function partOf({ state, doneChunks, totalChunks }: JobInfo): string {
  const isOpen = state === "running" || state === "paused";
  const isUnknown = isOpen && (totalChunks === 0 || totalChunks < doneChunks);
  return `${formatCount(doneChunks)} of ${isUnknown ? "?" : formatCount(totalChunks)}`;
}

function totalBytesOf({ state, doneBytes, totalBytes }: JobInfo): string {
  const isOpen = state === "running" || state === "paused";
  return isOpen && totalBytes < doneBytes ? "?" : formatBytes(totalBytes);
}

function parseJob(text: string): number {
  return parseCount(text, 1, Number.MAX_SAFE_INTEGER);
}
