// lumeo dev: a cluster on this machine, in the foreground or in the background.
//
// In the background the same command runs again as a process of its own that supervises the
// members; it tells the waiting command over an IPC channel when the cluster accepts writes.

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CHUNKSERVERS_MAX,
  ClusterFolder,
  DISKS_MAX,
  enoughForDefaults,
  LocalCluster,
  type LocalClusterOptions,
  MASTERS_ALLOWED,
  type MemberLoss,
  PORT_BASE_MAX,
} from "@lumeofs/local-cluster";
import { parseCount, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { errorJson } from "../error-text.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatDuration } from "../format.js";
import { Interrupted } from "../interruption.js";
import { DEV_DIR_DEFAULT } from "./dev-control.js";

export interface DevOptions {
  readonly dir?: string;
  readonly masters?: string;
  readonly chunkservers?: string;
  readonly disks?: string;
  readonly portBase?: string;
  readonly detach?: boolean;
}

/** What the supervisor in the background tells the command that waits for it. */
type Report =
  | {
      readonly kind: "ready";
      readonly endpoints: readonly string[];
      readonly chunkservers: number;
      /** Members that did not come up; the others are enough. */
      readonly losses: readonly MemberLoss[];
    }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** Marks the process that supervises in the background. */
const SUPERVISOR_MARK = "LUMEO_DEV_SUPERVISOR";
const SUPERVISOR_LOG = "supervisor.log";

/** Starts a cluster, or starts it again with the data of the folder. */
export async function devStart(context: Context, options: DevOptions): Promise<ExitStatus> {
  const isSupervisor = process.env[SUPERVISOR_MARK] !== undefined;
  // The members must not take themselves for supervisors.
  delete process.env[SUPERVISOR_MARK];
  if (isSupervisor) return superviseInBackground(context, options);
  return options.detach === true
    ? startInBackground(context, options)
    : superviseInForeground(context, options);
}

async function superviseInForeground(context: Context, options: DevOptions): Promise<ExitStatus> {
  const { output, signal } = context;
  const startedMs = context.clock.monotonicMs();
  const cluster = await LocalCluster.start(clusterOptions(context, options));
  try {
    await cluster.waitReady({ signal });
    const { dir, endpoints } = cluster;
    sayReady(context, endpoints, { dir, startedMs, chunkservers: countChunkservers(cluster) });
    output.note("Ctrl-C stops the cluster; its data stays");
    await untilStopped(cluster, context);
  } finally {
    await cluster.stop();
  }
  return signal.reason instanceof Interrupted ? signal.reason.status : EXIT.ok;
}

async function superviseInBackground(context: Context, options: DevOptions): Promise<ExitStatus> {
  const report = (message: Report): void => {
    if (process.connected) process.send?.(message, () => {});
  };
  try {
    const cluster = await LocalCluster.start(clusterOptions(context, options));
    try {
      await cluster.waitReady({ signal: context.signal });
      const chunkservers = countChunkservers(cluster);
      const { endpoints, losses } = cluster;
      report({ kind: "ready", endpoints, chunkservers, losses });
      process.disconnect?.();
      await untilStopped(cluster, context);
    } finally {
      await cluster.stop();
    }
  } catch (error) {
    const { error: facts } = errorJson(error) as { error: { code: string; message: string } };
    report({ kind: "failed", code: facts.code, message: facts.message });
    throw error;
  }
  return EXIT.ok;
}

async function startInBackground(context: Context, options: DevOptions): Promise<ExitStatus> {
  const dir = resolve(options.dir ?? DEV_DIR_DEFAULT);
  const startedMs = context.clock.monotonicMs();
  new ClusterFolder(dir).make();
  const logFile = join(dir, SUPERVISOR_LOG);
  const log = openSync(logFile, "a");
  const main = fileURLToPath(new URL("../main.js", import.meta.url));
  const child = spawn(process.execPath, [main, "dev", "--json", ...flagsOf(options, dir)], {
    detached: true,
    env: { ...process.env, [SUPERVISOR_MARK]: "1" },
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const stop = (): void => {
    child.kill("SIGTERM");
  };
  context.signal.addEventListener("abort", stop, { once: true });
  const report = await new Promise<Report>((answer) => {
    child.once("message", (message) => answer(message as Report));
    child.once("error", (error) => answer(failed(error.message)));
    child.once("exit", () => answer(failed(`the supervisor ended; its log is "${logFile}"`)));
  });
  context.signal.removeEventListener("abort", stop);
  context.signal.throwIfAborted();
  if (report.kind === "failed") {
    throw Object.assign(new Error(report.message), { code: report.code });
  }
  child.unref();
  for (const loss of report.losses) context.output.warn(describeLoss(loss, dir));
  sayReady(context, report.endpoints, { dir, startedMs, chunkservers: report.chunkservers });
  return EXIT.ok;
}

function failed(why: string): Report {
  return { kind: "failed", code: "LUMEO_INTERNAL", message: `Cannot start the cluster: ${why}` };
}

function clusterOptions(context: Context, options: DevOptions): LocalClusterOptions {
  const { dir, masters, chunkservers, disks, portBase } = options;
  return {
    dir: dir ?? DEV_DIR_DEFAULT,
    ...(masters === undefined ? {} : { masters: parseMasters(masters) }),
    ...(chunkservers === undefined
      ? {}
      : { chunkservers: parseCount(chunkservers, 1, CHUNKSERVERS_MAX) }),
    ...(disks === undefined ? {} : { disks: parseCount(disks, 1, DISKS_MAX) }),
    ...(portBase === undefined ? {} : { portBase: parseCount(portBase, 1, PORT_BASE_MAX) }),
    onMemberLost: (loss) => context.output.warn(describeLoss(loss, dir ?? DEV_DIR_DEFAULT)),
  };
}

function parseMasters(text: string): number {
  if (MASTERS_ALLOWED.map(String).includes(text)) return Number(text);
  throw new UsageError(`Cannot run "${text}" masters: choose one of ${MASTERS_ALLOWED.join(", ")}`);
}

function flagsOf(options: DevOptions, dir: string): readonly string[] {
  const { masters, chunkservers, disks, portBase } = options;
  return [
    ...["--dir", dir],
    ...(masters === undefined ? [] : ["--masters", masters]),
    ...(chunkservers === undefined ? [] : ["--chunkservers", chunkservers]),
    ...(disks === undefined ? [] : ["--disks", disks]),
    ...(portBase === undefined ? [] : ["--port-base", portBase]),
  ];
}

function countChunkservers(cluster: LocalCluster): number {
  return cluster.members().filter((member) => member.role === "chunkserver").length;
}

function describeLoss({ id, why }: MemberLoss, dir: string): string {
  return `${id} ended with ${why}. Its data stays; "lumeo dev revive --dir ${dir}" starts it again`;
}

function sayReady(
  context: Context,
  endpoints: readonly string[],
  start: { readonly dir: string; readonly startedMs: number; readonly chunkservers: number },
): void {
  const took = formatDuration(context.clock.monotonicMs() - start.startedMs);
  context.output.result(
    `The cluster in "${start.dir}" accepts writes (${took})\n` +
      `export LUMEO_ENDPOINTS=${endpoints.join(",")}`,
    { dir: start.dir, endpoints, ready: true },
  );
  if (!enoughForDefaults(start.chunkservers)) {
    const { chunkservers } = start;
    context.output.warn(
      `A put needs --replicas ${chunkservers} here: by default every chunk has more copies than ` +
        "there are chunkservers",
    );
  }
}

/** Until Ctrl-C or `lumeo dev stop`; SIGUSR2 is `lumeo dev revive`. */
async function untilStopped(cluster: LocalCluster, context: Context): Promise<void> {
  const { signal, output } = context;
  const revive = (): void => {
    cluster.revive().catch((error: unknown) => output.error(error));
  };
  process.on("SIGUSR2", revive);
  try {
    await new Promise<void>((stopped) => {
      if (signal.aborted) stopped();
      signal.addEventListener("abort", () => stopped(), { once: true });
    });
  } finally {
    process.off("SIGUSR2", revive);
  }
}
