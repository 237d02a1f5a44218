// The machines that hold copies: what part they take, and where they stand.

import { type DiskStatus, LumeoError, type NodeInfo, type ScrubStatus } from "@lumeofs/client";
import { parsePairs, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, formatCount, formatDuration, plural } from "../format.js";
import { table } from "../table.js";
import { progressOf, viewOf } from "./job.js";

/** What was looked at so long ago may be shown without its age. */
const LOOK_FRESH_MS = 5_000;

export interface WaitOptions {
  readonly wait?: boolean;
}

/** Shows all nodes. */
export async function nodeList(context: Context): Promise<ExitStatus> {
  const client = await context.client();
  const { nodes, health } = await client.healing.nodes(context.call);
  const rows = nodes.map((node) => [
    ...[node.name, stateOf(node), node.standing, labelsOf(node)],
    ...[node.chunks === undefined ? "?" : formatCount(node.chunks)],
    `${formatBytes(node.usedBytes)} of ${formatBytes(node.capacityBytes)}`,
    ...[String(node.damaged), node.jobs.join(" ")],
  ]);
  const lookedMsAgo = health?.lookedMsAgo ?? 0;
  // Chunks are those of the chunk table, as they were looked at; the rest is said by the node.
  const age = lookedMsAgo < LOOK_FRESH_MS ? "" : ` (${formatDuration(lookedMsAgo)} ago)`;
  const head = ["NODE", "STATE", "PART", "LABELS", `CHUNKS${age}`, "USED", "DAMAGED", "JOBS"];
  await context.output.line(await table(head, rows), { nodes, health: health ?? null });
  return EXIT.ok;
}

/** Shows one node. */
export async function nodeShow(context: Context, name: string): Promise<ExitStatus> {
  const client = await context.client();
  const { nodes } = await client.healing.nodes(context.call);
  const node = nodes.find((one) => one.name === name);
  if (node === undefined) {
    const why = "no chunkserver has this name; see lumeo node ls";
    throw new LumeoError("LUMEO_NOT_FOUND", `Cannot find node "${name}": ${why}`);
  }
  const text = [
    `${node.name} at ${node.address}: ${stateOf(node)}, ${node.standing}`,
    `Labels   ${labelsOf(node) || "none"}`,
    `Chunks   ${node.chunks === undefined ? "not counted yet" : formatCount(node.chunks)}`,
    `Used     ${formatBytes(node.usedBytes)} of ${formatBytes(node.capacityBytes)}`,
    `Damaged  ${formatCount(node.damaged)}`,
    `Jobs     ${node.jobs.join(" ") || "none"}`,
    ...scrubLines(node.scrub, context.clock.wallMs()),
    ...diskLines(node.disks, context.clock.wallMs()),
  ].join("\n");
  await context.output.line(text, node);
  return EXIT.ok;
}

/** How far a node is with reading its copies again. */
function scrubLines(scrub: ScrubStatus, nowMs: number): readonly string[] {
  if (scrub.bytesPerSecond === 0) return ["Scrub    off"];
  const { rounds, lastRoundBeganAt, lastRoundEndedAt, replicasRead, bytesRead, found } = scrub;
  const ago = (at: number): string => `${formatDuration(Math.max(0, nowMs - at))} ago`;
  const last =
    rounds === 0
      ? "the first round goes on"
      : `${plural(rounds, "round")}, the last one began ${ago(lastRoundBeganAt)} and ended ` +
        ago(lastRoundEndedAt);
  const slowed = scrub.yielding ? ", slowed down now" : "";
  const speed = `${formatBytes(scrub.bytesPerSecond)}/s${slowed}`;
  return [
    `Scrub    ${last}`,
    `  read   ${plural(replicasRead, "replica")}, ${formatBytes(bytesRead)}, at most ${speed}`,
    `  found  ${formatCount(found)} damaged or missing`,
  ];
}

/** Nothing for a node with one disk, which is what the other lines are about. */
function diskLines(disks: readonly DiskStatus[], nowMs: number): readonly string[] {
  const lost = disks.filter(({ state }) => state === "lost");
  const isSuspect = disks.some(({ state }) => state === "suspect");
  if (disks.length < 2 && lost.length === 0 && !isSuspect) return [];
  return [
    `Disks    ${disks.length}${lost.length === 0 ? "" : `, ${lost.length} LOST`}`,
    ...disks.map((disk) => `  ${disk.folder}  ${diskState(disk, nowMs)}`),
  ];
}

function diskState(disk: DiskStatus, nowMs: number): string {
  const ago = (at: number): string => `${formatDuration(Math.max(0, nowMs - at))} ago`;
  if (disk.state === "lost") return `LOST ${ago(disk.lostSince)}: ${disk.why}`;
  if (disk.state === "suspect") return `does not answer: ${disk.why}`;
  return [
    disk.state === "readOnly" ? "read-only" : "serving",
    `${plural(disk.chunks, "chunk")}, ${formatCount(disk.damaged)} damaged`,
    `${formatBytes(disk.usedBytes)} of ${formatBytes(disk.capacityBytes)}`,
    disk.scrubbedAt === 0 ? "first round of the scrub" : `read again ${ago(disk.scrubbedAt)}`,
    ...(disk.tails ? ["growing chunks"] : []),
  ].join(", ");
}

/** Sets labels (`rack=r1`) and removes them (`rack-`). */
export async function nodeLabel(
  context: Context,
  name: string,
  texts: readonly string[],
): Promise<ExitStatus> {
  const isRemoval = (text: string): boolean => text.endsWith("-") && !text.includes("=");
  const setLabels = parsePairs(texts.filter((text) => !isRemoval(text)));
  const removeLabels = texts.filter(isRemoval).map((text) => text.slice(0, -1));
  const client = await context.client();
  const change = { setLabels, removeLabels };
  const node = await client.healing.changeNode(name, change, context.call);
  context.output.result(`${name}: ${labelsOf(node) || "no labels"}`, node);
  return EXIT.ok;
}

export interface LeaveOptions extends WaitOptions {
  /** Though too few others are left. */
  readonly anyway?: boolean;
}

/** Empties a node, for a while or for good. */
export async function nodeLeave(
  context: Context,
  kind: "drain" | "decommission",
  name: string,
  { wait = false, anyway = false }: LeaveOptions,
): Promise<ExitStatus> {
  const client = await context.client();
  const job = await client.healing.begin(kind, name, { ...context.call, anyway });
  if (!wait) {
    context.output.result(
      `job ${job.id} empties ${name}; see lumeo job show ${job.id}`,
      viewOf(job),
    );
    return EXIT.ok;
  }
  return untilEnded(context, job.id);
}

/** Lets a node take new chunks again; cancels what empties it. */
export async function nodeUndrain(context: Context, name: string): Promise<ExitStatus> {
  const client = await context.client();
  const node = await client.healing.changeNode(name, { standing: "active" }, context.call);
  context.output.result(`${name} is active`, node);
  return EXIT.ok;
}

/** Begins or ends the maintenance of a node. */
export async function nodeMaintenance(
  context: Context,
  word: string,
  name: string,
): Promise<ExitStatus> {
  if (word !== "on" && word !== "off") throw new UsageError(`"${word}" is neither on nor off`);
  const client = await context.client();
  const standing = word === "on" ? "maintenance" : "active";
  const node = await client.healing.changeNode(name, { standing }, context.call);
  context.output.result(`${name} is ${word === "on" ? "in maintenance" : "active"}`, node);
  return EXIT.ok;
}

/** Waits for the end of a job, and says on the way how far it is. */
export async function untilEnded(context: Context, id: number): Promise<ExitStatus> {
  const client = await context.client();
  let told = "";
  const job = await client.healing.untilEnded(id, {
    signal: context.signal,
    onProgress: (now) => {
      const line = `job ${progressOf(now)}`;
      if (line !== told) context.output.note(line);
      told = line;
    },
  });
  context.output.result(`job ${progressOf(job)}`, viewOf(job));
  return job.state === "done" ? EXIT.ok : EXIT.failed;
}

function stateOf({ state, lost }: NodeInfo): string {
  return lost ? `${state}, lost` : state;
}

function labelsOf({ labels }: NodeInfo): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .sort()
    .join(",");
}
