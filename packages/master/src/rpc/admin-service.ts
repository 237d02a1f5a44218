// For operators: what the masters and the chunkservers are doing. Any master answers; one that does
// not lead asks the leader, who alone knows who is alive.

import { type Clock, isErrorCode, type MonotonicMs, type NodeId } from "@lumeofs/base";
import type { ProcessFacts } from "@lumeofs/node";
import { type RpcMethod, serveUnary, unary } from "@lumeofs/node/rpc";
import { AdminService, lumeo } from "@lumeofs/proto";
import type { GroupControl } from "../consensus/group.js";
import type { Replication, RoleStatus } from "../consensus/replication.js";
import type { HealingFigures } from "../duties/healing/figures.js";
import {
  type PictureTerms,
  type TakenPicture,
  takePicture,
} from "../duties/healing/take-picture.js";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { Fleet } from "../fleet/servers.js";
import { getClusterId } from "../metadata/cluster.js";
import { inlineTotals } from "../metadata/inline-table.js";
import { isOpen } from "../metadata/jobs.js";
import { labelsOf } from "../metadata/nodes.js";
import type { ChannelPool } from "./channel-pool.js";
import { encodeDisks } from "./disk-wire.js";
import { encodeHealth, encodeJob, encodeStanding } from "./healing-wire.js";
import { standingOf } from "./master-admin.js";
import { encodeScrub } from "./scrub-wire.js";
import { encodeLiveness } from "./wire.js";

const { MasterRole } = lumeo.master.v1;

/** Another master that does not answer in this time is shown as unreachable. */
const PEER_TIMEOUT_MS = 1_000;
/** The leader waits for its own peers meanwhile. */
const LEADER_TIMEOUT_MS = 2 * PEER_TIMEOUT_MS;

/** Replicas named in an alarm. */
const NEWER_SHOWN = 10;

export interface StateHash {
  readonly hex: string;
  readonly index: number;
}

export interface AdminParts {
  readonly replication: Replication;
  readonly group: GroupControl;
  /** Drawn when this master's store was made. */
  readonly store: string;
  /** Equal on all masters of a cluster. */
  readonly clusterName: string;
  readonly log: MetadataLog;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly seen: HealingFigures;
  readonly terms: PictureTerms;
  readonly channels: ChannelPool;
  /** Bytes of memory that this process has. */
  readonly memoryBytes: () => number;
  /** Of this process and its machine. */
  readonly processFacts: () => Promise<ProcessFacts>;
  /** SHA-256 of the whole state. */
  readonly hashState: () => Promise<StateHash>;
}

type ClusterStatus = lumeo.master.v1.IGetClusterStatusResponse;

export function adminMethods(parts: AdminParts): readonly RpcMethod[] {
  return [
    serveUnary(AdminService.getMasterStatus, async (request) => ({
      status: await masterStatus(parts, request.stateHash ?? false),
      ...(request.process ? { process: await parts.processFacts() } : {}),
    })),
    serveUnary(AdminService.getClusterStatus, (request) =>
      request.forwarded ? clusterStatus(parts) : askLeader(parts),
    ),
  ];
}

async function askLeader(parts: AdminParts): Promise<ClusterStatus> {
  const { role, leaderAddress } = parts.replication.status;
  if (role !== "leader" && leaderAddress !== undefined) {
    const channel = parts.channels.to(leaderAddress);
    const options = { timeoutMs: LEADER_TIMEOUT_MS };
    const answer = await unary(
      channel,
      AdminService.getClusterStatus,
      { forwarded: true },
      options,
    ).catch(orUndefined);
    if (answer !== undefined) return answer;
  }
  return clusterStatus(parts);
}

/** The cluster as this master sees it. */
async function clusterStatus(parts: AdminParts): Promise<ClusterStatus> {
  const { replication, log } = parts;
  const { status } = replication;
  const members = Object.entries(status.members) as [NodeId, string][];
  const masters = await Promise.all(
    members.map(async (member) => inGroup(parts, member, await askMaster(parts, member))),
  );
  return {
    clusterId: getClusterId(log.local) ?? "",
    leader: status.leader ?? "",
    term: status.term,
    masters,
    ...(await copies(parts)),
  };
}

/** Adds what this master, if it leads, knows of a member better than the member itself. */
function inGroup(
  { group, replication }: AdminParts,
  [id, address]: readonly [NodeId, string],
  status: lumeo.master.v1.IMasterStatus,
): lumeo.master.v1.IMasterStatus {
  const { role, id: self, commit, logLast } = replication.status;
  const peer = group.peers.find((one) => one.id === id);
  const isSelf = id === self && role === "leader";
  return {
    ...status,
    address,
    standing: standingOf(group, id),
    matchIndex: isSelf ? logLast : (peer?.match ?? 0),
    caughtUp: isSelf || (peer?.state === "replicate" && commit < peer.next),
  };
}

async function askMaster(
  parts: AdminParts,
  [id, address]: readonly [NodeId, string],
): Promise<lumeo.master.v1.IMasterStatus> {
  if (id === parts.replication.status.id) return masterStatus(parts, false);
  const options = { timeoutMs: PEER_TIMEOUT_MS };
  const answer = await unary(
    parts.channels.to(address),
    AdminService.getMasterStatus,
    {},
    options,
  ).catch(orUndefined);
  return answer?.status ?? { id, address, role: MasterRole.MASTER_ROLE_UNREACHABLE };
}

async function masterStatus(
  parts: AdminParts,
  withHash: boolean,
): Promise<lumeo.master.v1.IMasterStatus> {
  const { status } = parts.replication;
  const hash = withHash ? await parts.hashState() : undefined;
  const { chunks: inlineChunks, bytes: inlineBytes } = inlineTotals(parts.log.local);
  return {
    id: status.id,
    address: status.members[status.id] ?? "",
    role: encodeRole(status.role),
    term: status.term,
    commitIndex: status.commit,
    appliedIndex: status.applied,
    firstIndex: status.logFirst,
    lastIndex: status.logLast,
    snapshotIndex: status.logFirst - 1,
    durableIndex: status.durable,
    leader: status.leader ?? "",
    memoryBytes: parts.memoryBytes(),
    stateHash: hash?.hex ?? "",
    stateHashIndex: hash?.index ?? 0,
    standing: standingOf(parts.group, status.id),
    store: parts.store,
    clusterName: parts.clusterName,
    inlineChunks,
    inlineBytes,
  };
}

function encodeRole(role: RoleStatus["role"]): lumeo.master.v1.MasterRole {
  switch (role) {
    case "leader":
      return MasterRole.MASTER_ROLE_LEADER;
    case "candidate":
      return MasterRole.MASTER_ROLE_CANDIDATE;
    case "follower":
      return MasterRole.MASTER_ROLE_FOLLOWER;
  }
}

/** The chunkservers, how the chunks are as a whole, and the jobs that go on. */
async function copies(
  parts: AdminParts,
): Promise<Pick<ClusterStatus, "chunkservers" | "health" | "jobs">> {
  const { log, fleet, clock, seen } = parts;
  const now = clock.monotonicMs();
  const picture = await takePicture({ state: log.local, fleet, now }, parts.terms);
  const open = picture.allJobs.filter(({ job }) => isOpen(job));
  const round = log.isLeading ? seen.round : undefined;
  seen.asked(now);
  return {
    chunkservers: chunkservers(parts, picture, now),
    jobs: open.map((one) => encodeJob(one, picture.servers)),
    ...(round === undefined ? {} : { health: encodeHealth(round, now) }),
  };
}

function chunkservers(
  { fleet, log }: AdminParts,
  { servers, sites }: TakenPicture,
  now: MonotonicMs,
): lumeo.master.v1.IChunkserverStatus[] {
  const active = [...servers].filter(([, server]) => !server.isRetired);
  active.sort(([, a], [, b]) => a.name.localeCompare(b.name, "en", { numeric: true }));
  return active.map(([id, server]) => {
    const load = fleet.loadOf(id);
    const site = sites.get(id);
    const newer = fleet.contradictions.newerOf(id);
    return {
      standing: encodeStanding(site?.standing ?? "active"),
      lost: log.isLeading && (site?.isLost ?? false),
      serverId: id,
      name: server.name,
      dataAddress: server.dataAddress,
      state: encodeLiveness(fleet.liveness(id, now)),
      chunkCount: load?.chunkCount ?? 0,
      usedBytes: load?.usedBytes ?? 0,
      capacityBytes: load?.capacityBytes ?? 0,
      damagedCount: fleet.damagedCount(id),
      lastHeartbeatMsAgo: Math.round(fleet.silenceOf(id, now) ?? 0),
      readOnly: load?.isReadOnly ?? false,
      labels: { ...labelsOf(log.local, server) },
      scrub: encodeScrub(fleet.checks.scrubOf(id)),
      disks: encodeDisks(fleet.checks.disksOf(id)),
      stoppedHandles: [...fleet.checks.stoppedOf(id)],
      controlAddress: server.controlAddress,
      newerCount: newer.length,
      newerHandles: newer.slice(0, NEWER_SHOWN),
    };
  });
}

/** An operator sees who is unreachable; that is the answer, not a failure of it. */
function orUndefined(error: unknown): undefined {
  if (error instanceof Error && "code" in error && isErrorCode(String(error.code)))
    return undefined;
  throw error;
}
