import type { ChunkHealth, ChunkserverStatus, ClusterStatus, ScrubStatus } from "@lumeofs/client";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, formatCount, formatDuration } from "../format.js";
import { table } from "../table.js";
import { progressOf } from "./job.js";

/** Older figures say how old they are. */
const LOOK_FRESH_MS = 5_000;

/** Shows the masters and chunkservers as the leading master knows them. */
export async function clusterStatus(context: Context): Promise<ExitStatus> {
  const client = await context.client();
  const status = await client.clusterStatus(context.call);
  await context.output.line(await describe(status, context), status);
  return EXIT.ok;
}

async function describe(status: ClusterStatus, context: Context): Promise<string> {
  const { output } = context;
  const leads = status.leader === "" ? "none" : status.leader;
  const masters = status.masters.map((one) => [
    ...[one.id, one.address, one.role, String(one.term), formatCount(one.lastApplied)],
  ]);
  const chunkservers = status.chunkservers.map((one) => [
    ...[one.id, one.address, stateOf(one)],
    formatCount(one.chunks),
    `${formatBytes(one.usedBytes)} of ${formatBytes(one.capacityBytes)}`,
    String(one.damaged),
    scrubbed(one.scrub, context.clock.wallMs()),
  ]);
  return [
    `${output.bold("Leader")} ${leads}, term ${status.term}`,
    `${output.bold("Chunks")} ${chunksOf(status)}`,
    ...lostDisks(status, context).map((line) => `${output.bold("Disk")} ${line}`),
    ...status.jobs.map((job) => `${output.bold("Job")} ${progressOf(job)}`),
    "",
    await table(["MASTER", "ADDRESS", "ROLE", "TERM", "APPLIED"], masters),
    "",
    await table(
      ["CHUNKSERVER", "ADDRESS", "STATE", "CHUNKS", "USED", "DAMAGED", "SCRUBBED"],
      chunkservers,
    ),
    ...alarms(status),
  ].join("\n");
}

/** In one line: whether anything is degraded, and what. */
function chunksOf({ health, chunkservers }: ClusterStatus): string {
  const away = chunkservers.filter(({ state }) => state !== "alive").map(({ id }) => id);
  const missing = away.length === 0 ? [] : [`${away.join(", ")} away`];
  if (health === undefined) return ["not looked at yet", ...missing].join("; ");
  const { chunks, underReplicated, damaged, lost, unreadable } = health;
  const faults = [
    ...(0 < underReplicated
      ? [`${formatCount(underReplicated)} with too few good copies or units`]
      : []),
    ...(0 < damaged ? [`${formatCount(damaged)} with a damaged copy`] : []),
    ...(0 < lost ? [`${formatCount(lost)} WITHOUT A GOOD COPY OR ENOUGH UNITS`] : []),
    ...(0 < unreadable ? [`${formatCount(unreadable)} CANNOT BE READ NOW`] : []),
    ...missing,
  ];
  const found = faults.length === 0 ? ["all whole"] : faults;
  const age =
    health.lookedMsAgo < LOOK_FRESH_MS ? "" : ` (${formatDuration(health.lookedMsAgo)} ago)`;
  return `${formatCount(chunks)}${inlineOf(health)}: ${found.join("; ")}${age}`;
}

function inlineOf({ inlineChunks, inlineBytes }: ChunkHealth): string {
  if (inlineChunks === 0) return "";
  return ` (${formatCount(inlineChunks)} inline with ${formatBytes(inlineBytes)})`;
}

/** Whoever has to replace a disk wants to know where, since when and why. */
function lostDisks({ chunkservers }: ClusterStatus, context: Context): readonly string[] {
  return chunkservers.flatMap(({ id, disks }) => {
    const bad = disks.filter(({ state }) => state === "lost" || state === "suspect");
    return bad.map(({ folder, state, lostSince, why }) => {
      if (state === "suspect") return `"${folder}" of ${id} does not answer: ${why}`;
      const age = formatDuration(Math.max(0, context.clock.wallMs() - lostSince));
      return `"${folder}" of ${id} LOST ${age} ago: ${why}`;
    });
  });
}

function stateOf({ state, readOnly, standing, lost }: ChunkserverStatus): string {
  return [
    state,
    ...(lost ? ["lost"] : []),
    ...(standing === "active" ? [] : [standing]),
    ...(readOnly ? ["read-only"] : []),
  ].join(", ");
}

/** Since when everything that was there then has been read again, or how far the first round is. */
function scrubbed(scrub: ScrubStatus, nowMs: number): string {
  if (scrub.bytesPerSecond === 0) return "off";
  if (scrub.rounds === 0) return `first round, ${formatCount(scrub.replicasRead)} read`;
  return `${formatDuration(Math.max(0, nowMs - scrub.lastRoundBeganAt))} ago`;
}

/** What people must decide: masters that have lost what they knew, chunks with two histories. */
function alarms(status: ClusterStatus): readonly string[] {
  const servers = new Map<number, string[]>();
  for (const { id, stopped } of status.chunkservers) {
    for (const handle of stopped) servers.set(handle, [...(servers.get(handle) ?? []), id]);
  }
  const lost = status.chunkservers.flatMap(({ id, newerCount, newer }) => {
    if (newerCount === 0) return [];
    return [
      `ALARM: ${id} has copies that the masters never ordered (chunk ${newer.join(", ")}): they ` +
        "have lost what they knew. Nothing is deleted; bring back their newest folders or a backup",
    ];
  });
  const stopped = [...servers].map(([handle, names]) => {
    return `ALARM: chunk ${handle} has two histories and is not served by ${names.join(", ")}`;
  });
  return [...lost, ...stopped];
}
