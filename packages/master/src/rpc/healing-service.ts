// For operators: jobs and nodes. Single chunks are in chunk-inspection.ts.

import { LumeoError, type ServerId } from "@lumeofs/base";
import { type RpcMethod, serveUnary } from "@lumeofs/node/rpc";
import { HealingService, type lumeo } from "@lumeofs/proto";
import type { Replication } from "../consensus/replication.js";
import type { HealingFigures } from "../duties/healing/figures.js";
import {
  type PictureTerms,
  type TakenPicture,
  takePicture,
} from "../duties/healing/take-picture.js";
import { tooFewWithout } from "../healing/leave-taking.js";
import { leavingJob, type Site } from "../healing/picture.js";
import type { Command, Reply } from "../metadata/command.js";
import { isOpen, type JobId, type JobKind, jobId } from "../metadata/jobs.js";
import { LABELS_MAX, labelsOf, nodeOf } from "../metadata/nodes.js";
import { serverOfName } from "../metadata/servers.js";
import type { StateReader } from "../metadata/state.js";
import { atLeader, type Forwardable, type Method } from "./at-leader.js";
import type { ChannelPool } from "./channel-pool.js";
import { type InspectionParts, listChunks, verifyChunks } from "./chunk-inspection.js";
import { conversionJob } from "./conversion-jobs.js";
import { encodeDisks } from "./disk-wire.js";
import { decodeId, invalid } from "./field-wire.js";
import {
  decodeJobChange,
  decodeJobKind,
  decodeStanding,
  encodeHealth,
  encodeJob,
  encodeStanding,
} from "./healing-wire.js";
import { encodeScrub } from "./scrub-wire.js";
import { decodeText, encodeLiveness, errorOf } from "./wire.js";

const NAME_LENGTH_MAX = 63;
const LABEL_LENGTH_MAX = 255;

export interface HealingServiceParts extends InspectionParts {
  readonly replication: Replication;
  readonly channels: ChannelPool;
  readonly seen: HealingFigures;
  readonly terms: PictureTerms;
}

export function healingMethods(parts: HealingServiceParts): readonly RpcMethod[] {
  const led = <Q extends Forwardable, A>(
    method: Method<Q, A>,
    serve: (request: Q) => Promise<A>,
  ): RpcMethod =>
    serveUnary(method, (request: Q) =>
      atLeader(parts, { what: "say how the chunks are", method, request, serve }),
    );
  return [
    led(HealingService.listJobs, async () => ({ jobs: await jobs(parts) })),
    led(HealingService.createJob, (request) => createJob(parts, request)),
    led(HealingService.changeJob, (request) => changeJob(parts, request)),
    led(HealingService.listNodes, () => listNodes(parts)),
    led(HealingService.changeNode, (request) => changeNode(parts, request)),
    led(HealingService.listChunks, async (request) =>
      listChunks(parts, request, await look(parts)),
    ),
    led(HealingService.verifyChunks, (request) => verifyChunks(parts, request)),
  ];
}

async function look({ log, fleet, clock, terms }: HealingServiceParts): Promise<TakenPicture> {
  const state = await log.read();
  return takePicture({ state, fleet, now: clock.monotonicMs() }, terms);
}

async function jobs(parts: HealingServiceParts): Promise<lumeo.master.v1.IJob[]> {
  const { allJobs, servers } = await look(parts);
  return allJobs.map((one) => encodeJob(one, servers));
}

async function jobOf(parts: HealingServiceParts, id: JobId): Promise<lumeo.master.v1.IJob> {
  const found = (await jobs(parts)).find((job) => job.id === id);
  if (found !== undefined) return found;
  throw new LumeoError("NOT_FOUND", `Cannot find job ${id}: there is none`);
}

async function createJob(
  parts: HealingServiceParts,
  request: lumeo.master.v1.ICreateJobRequest,
): Promise<lumeo.master.v1.ICreateJobResponse> {
  const job = decodeJobKind(request.kind);
  const state = await parts.log.read();
  const reply = await change(
    parts,
    job === "convert"
      ? conversionJob(state, await look(parts), request)
      : { kind: "createJob", job, subject: await subjectOf(parts, job, request) },
  );
  if (reply.kind !== "jobCreated") throw new LumeoError("INTERNAL", "A job got another reply");
  return { job: await jobOf(parts, reply.job) };
}

async function subjectOf(
  parts: HealingServiceParts,
  job: JobKind,
  { node, anyway }: lumeo.master.v1.ICreateJobRequest,
): Promise<ServerId | undefined> {
  if (job === "rebalance") return undefined;
  const picture = await look(parts);
  const id = serverNamed(parts.log.local, node ?? "");
  const isLeaving = job === "drain" || job === "decommission";
  if (!isLeaving || anyway === true || leavingJob(picture, id) !== undefined) return id;
  const why = tooFewWithout(picture, id, parts.seen.round?.widest ?? 0);
  if (why === undefined) return id;
  const wayOut = "add servers or take others back, or say --anyway: then its copies wait for room";
  throw new LumeoError("PRECONDITION", `Cannot ${job} ${node}: ${why}; ${wayOut}`);
}

async function changeJob(
  parts: HealingServiceParts,
  request: lumeo.master.v1.IChangeJobRequest,
): Promise<lumeo.master.v1.IChangeJobResponse> {
  const id = jobId(decodeId(request.id, "job"));
  const to = decodeJobChange(request.change);
  if (to === "cancelled") await refuseVainCancel(parts, id);
  await change(parts, { kind: "changeJob", job: id, to, note: `${to} by an operator` });
  return { job: await jobOf(parts, id) };
}

/** What begins by itself would begin again at once. */
async function refuseVainCancel(parts: HealingServiceParts, id: JobId): Promise<void> {
  const { allJobs, servers } = await look(parts);
  const job = allJobs.find((one) => one.id === id)?.job;
  if (job === undefined || !isOpen(job) || (job.kind !== "repair" && job.kind !== "mend")) return;
  const name = job.subject === undefined ? "" : (servers.get(job.subject)?.name ?? "");
  const wayOut =
    job.kind === "mend"
      ? "pause it instead"
      : `pause it, or say "lumeo node maintenance on ${name}"`;
  throw new LumeoError(
    "PRECONDITION",
    `Cannot cancel job ${id}: what it is for is still so, and it would begin again; ${wayOut}`,
  );
}

async function listNodes(parts: HealingServiceParts): Promise<lumeo.master.v1.IListNodesResponse> {
  const picture = await look(parts);
  const { round } = parts.seen;
  const now = parts.clock.monotonicMs();
  parts.seen.asked(now);
  const nodes = [...picture.servers].flatMap(([id, { isRetired }]) =>
    isRetired ? [] : [nodeFor(parts, picture, id)],
  );
  nodes.sort((a, b) => (a.name ?? "").localeCompare(b.name ?? "", "en", { numeric: true }));
  if (round === undefined) return { nodes };
  return { nodes, health: encodeHealth(round, now) };
}

async function changeNode(
  parts: HealingServiceParts,
  request: lumeo.master.v1.IChangeNodeRequest,
): Promise<lumeo.master.v1.IChangeNodeResponse> {
  const name = decodeText(request.name, "node", NAME_LENGTH_MAX);
  const setLabels = request.setLabels ?? {};
  const removeLabels = request.removeLabels ?? [];
  for (const [label, value] of [
    ...Object.entries(setLabels),
    ...removeLabels.map((l) => [l, ""]),
  ]) {
    decodeText(label, "label name", LABEL_LENGTH_MAX);
    if (LABEL_LENGTH_MAX < (value ?? "").length) throw invalid(`label ${label} is too long`);
  }
  if (LABELS_MAX < removeLabels.length) throw invalid(`it removes more than ${LABELS_MAX} labels`);
  const standing = decodeStanding(request.standing);
  const id = serverNamed(await parts.log.read(), name);
  if (standing !== undefined) await endLeaving(parts, id, standing);
  await change(parts, { kind: "changeNode", name, standing, setLabels, removeLabels });
  return { node: nodeFor(parts, await look(parts), id) };
}

/** A node that is to be active again is not emptied any more; one that leaves needs no rest. */
async function endLeaving(
  parts: HealingServiceParts,
  id: ServerId,
  standing: "active" | "maintenance",
): Promise<void> {
  const { jobs: open } = await look(parts);
  const kinds = ["drain", "decommission"];
  const leaving = open.find((job) => job.subject === id && kinds.includes(job.kind));
  if (leaving === undefined) return;
  if (standing === "maintenance") {
    throw new LumeoError(
      "PRECONDITION",
      `Cannot begin maintenance: job ${leaving.id} is emptying the node; cancel it first`,
    );
  }
  const note = "cancelled by an operator";
  await change(parts, { kind: "changeJob", job: leaving.id, to: "cancelled", note });
}

function nodeFor(
  { log, fleet, seen }: HealingServiceParts,
  picture: TakenPicture,
  id: ServerId,
): lumeo.master.v1.INode {
  const site = picture.sites.get(id);
  const server = picture.servers.get(id);
  if (site === undefined || server === undefined) return {};
  const held = seen.round?.held(id);
  return {
    ...described(site),
    standing: encodeStanding(nodeOf(log.local, server.name).standing),
    labels: { ...labelsOf(log.local, server) },
    dataAddress: server.dataAddress,
    ...(held === undefined ? {} : held),
    damagedCount: fleet.damagedCount(id),
    scrub: encodeScrub(fleet.checks.scrubOf(id)),
    disks: encodeDisks(fleet.checks.disksOf(id)),
    jobs: picture.jobs.filter((job) => job.subject === id).map((job) => job.id),
  };
}

function described({ id, name, liveness, isLost, room }: Site): lumeo.master.v1.INode {
  return {
    name,
    serverId: id,
    state: encodeLiveness(liveness),
    lost: isLost,
    usedBytes: room?.usedBytes ?? 0,
    capacityBytes: room?.capacityBytes ?? 0,
  };
}

function serverNamed(state: StateReader, name: string): ServerId {
  const id = serverOfName(state, decodeText(name, "node", NAME_LENGTH_MAX));
  if (id !== undefined) return id;
  throw new LumeoError("NOT_FOUND", `Cannot find node "${name}": no chunkserver has this name`);
}

async function change(parts: HealingServiceParts, command: Command): Promise<Reply> {
  const reply = await parts.log.change(command);
  if (reply.kind === "refused") throw errorOf(reply);
  return reply;
}
