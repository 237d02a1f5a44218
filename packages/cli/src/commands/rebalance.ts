// Evening the chunkservers out: a job of its own, begun and stopped by operators.

import type { JobInfo } from "@lumeofs/client";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { jobShow, progressOf, viewOf } from "./job.js";
import { untilEnded, type WaitOptions } from "./node.js";

/** Begins to move copies from the fullest servers to the emptiest. */
export async function rebalanceStart(
  context: Context,
  { wait = false }: WaitOptions,
): Promise<ExitStatus> {
  const client = await context.client();
  const job = await client.healing.begin("rebalance", undefined, context.call);
  if (wait) return untilEnded(context, job.id);
  context.output.result(`job ${progressOf(job)}`, viewOf(job));
  return EXIT.ok;
}

/** Shows the rebalance under way, or the last one. */
export async function rebalanceStatus(context: Context): Promise<ExitStatus> {
  const job = await newest(context);
  if (job !== undefined) return jobShow(context, String(job.id));
  await context.output.line("no rebalance so far", { id: null });
  return EXIT.ok;
}

/** Ends the rebalance under way; copies that have moved stay where they are. */
export async function rebalanceStop(context: Context): Promise<ExitStatus> {
  const job = await newest(context);
  if (job === undefined || job.endedAt !== undefined) {
    context.output.result("no rebalance is under way", { id: null });
    return EXIT.ok;
  }
  const client = await context.client();
  const ended = await client.healing.changeJob(job.id, "cancel", context.call);
  context.output.result(`job ${progressOf(ended)}`, viewOf(ended));
  return EXIT.ok;
}

async function newest(context: Context): Promise<JobInfo | undefined> {
  const client = await context.client();
  const jobs = await client.healing.jobs(context.call);
  return jobs.filter(({ kind }) => kind === "rebalance").at(-1);
}
