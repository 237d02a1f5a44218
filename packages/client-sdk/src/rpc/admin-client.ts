// Unary calls on the masters: the cluster's state, and single chunks.

import { asLumeoError, LumeoError } from "@lumeofs/base";
import { type RpcChannel, unary } from "@lumeofs/node/rpc";
import { AdminService, ChunkService, IntegrityService, lumeo } from "@lumeofs/proto";
import type {
  ChunkserverStatus,
  ClusterStatus,
  MasterStatus,
  ScrubStatus,
} from "../cluster-status.js";
import type { NewMaster } from "../masters.js";
import type { LocatedChunk, ReplicaState } from "../operations.js";
import type { CheckFinding } from "../state-check.js";
import { decodeDisk } from "./disk-wire.js";
import { decodeHealth, decodeJob, decodeNodeStanding } from "./healing-wire.js";
import { type MasterPool, unreachable } from "./master-pool.js";
import { decodeGrowing, type GrowingChunk } from "./tail-wire.js";
import { decodeLocated, decodeServerState } from "./wire.js";

const { CheckState, MasterRole, MasterStanding } = lumeo.master.v1;

/** A unary method as the generated code describes it. */
type Method<Q, A> = Parameters<typeof unary<Q, A>>[1];

/** What bounds one call. */
export interface UnaryOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export class AdminClient {
  readonly #masters: MasterPool;

  constructor(masters: MasterPool) {
    this.#masters = masters;
  }

  /**
   * The state of the cluster, from the leader if it answers, else from any master.
   *
   * @throws LumeoError of the last master asked, if none answers.
   */
  async clusterStatus(options: UnaryOptions): Promise<ClusterStatus> {
    const { leader, endpoints } = this.#masters;
    const candidates = [...new Set(leader === undefined ? endpoints : [leader, ...endpoints])];
    let failure: LumeoError | undefined;
    let followers: ClusterStatus | undefined;
    for (const address of candidates) {
      try {
        const status = await this.#statusFrom(address, options);
        const leader = leaderToAsk(status, address);
        if (leader === undefined) return status;
        followers = status;
        return await this.#statusFrom(leader, options);
      } catch (error) {
        failure = asLumeoError(error);
        if (failure.code === "ABORTED" || failure.code === "CLOSED") throw failure;
      }
    }
    // Nobody who answers leads: what a follower knows is better than nothing.
    if (followers !== undefined && failure?.code !== "PROTOCOL") return followers;
    const last = failure ?? new LumeoError("UNAVAILABLE", "no master is known");
    if (last.code === "PROTOCOL") throw new LumeoError("UNAVAILABLE", last.message); // no master
    throw last.code === "UNAVAILABLE" ? unreachable(endpoints, last) : last;
  }

  /** Has a master taken into the group, which gets the log and does not vote yet. */
  async addMaster(master: NewMaster, options: UnaryOptions): Promise<void> {
    await this.askAny(AdminService.addMaster, { ...master }, options);
  }

  /** Lets learners vote. */
  async promoteMasters(ids: readonly string[], options: UnaryOptions): Promise<void> {
    await this.askAny(AdminService.promoteMasters, { ids: [...ids] }, options);
  }

  /** Takes masters out of the group. */
  async removeMasters(ids: readonly string[], options: UnaryOptions): Promise<void> {
    await this.askAny(AdminService.removeMasters, { ids: [...ids] }, options);
  }

  /** Hands the leadership over; to the nearest master if `to` is empty. */
  async transferLeadership(to: string, options: UnaryOptions): Promise<void> {
    await this.askAny(AdminService.transferLeadership, { to }, options);
  }

  /** Has all masters compare their states. @returns Where in the log; only the leader can. */
  async beginCheck(address: string, options: UnaryOptions): Promise<number> {
    const channel = this.#masters.channel(address);
    return (await unary(channel, IntegrityService.beginCheck, {}, options)).index ?? 0;
  }

  /**
   * What a master knows of a comparison.
   *
   * @throws LumeoError NOT_FOUND if it knows nothing.
   */
  async checkAt(
    address: string,
    index: number,
    options: UnaryOptions,
  ): Promise<readonly CheckFinding[]> {
    const channel = this.#masters.channel(address);
    const report = await unary(channel, IntegrityService.getCheck, { index }, options);
    return (report.masters ?? []).map(decodeFinding);
  }

  /** Where the copies of a chunk are now. */
  async locate(
    asked: { readonly handle: number; readonly withLabels: boolean },
    options: UnaryOptions,
  ): Promise<LocatedChunk> {
    const { chunk } = await unary(this.#leader(), ChunkService.locateChunk, asked, options);
    if (chunk == null) throw new LumeoError("PROTOCOL", "Cannot locate the chunk: empty answer");
    return decodeLocated(chunk);
  }

  /** The same of a growing chunk, with what the masters know about its writing. */
  async locateTail(handle: number, options: UnaryOptions): Promise<GrowingChunk | undefined> {
    const request = { handle, withLabels: false };
    const answer = await this.askAny(ChunkService.locateChunk, request, options);
    const { chunk, tail } = answer;
    return chunk == null || tail == null ? undefined : decodeGrowing(decodeLocated(chunk), tail);
  }

  /** Tells the masters of a bad copy, so that they look at it. */
  async reportDamage(
    damage: { readonly handle: number; readonly serverId: number; readonly reason: string },
    options: UnaryOptions,
  ): Promise<void> {
    await unary(this.#leader(), ChunkService.reportDamage, damage, options);
  }

  /** Any master passes it on to the leader: the first that answers decides. */
  async askAny<Q, A>(method: Method<Q, A>, request: Q, options: UnaryOptions): Promise<A> {
    const { leader, endpoints } = this.#masters;
    let failure: LumeoError | undefined;
    for (const address of new Set(leader === undefined ? endpoints : [leader, ...endpoints])) {
      try {
        return await unary(this.#masters.channel(address), method, request, options);
      } catch (error) {
        failure = asLumeoError(error);
        if (!failure.retryable || failure.code === "LEADERSHIP_LOST") throw failure;
      }
    }
    throw failure ?? new LumeoError("UNAVAILABLE", "no master is known");
  }

  #leader(): RpcChannel {
    return this.#masters.channel(this.#masters.leader ?? (this.#masters.endpoints[0] as string));
  }

  async #statusFrom(address: string, options: UnaryOptions): Promise<ClusterStatus> {
    const channel = this.#masters.channel(address);
    return decodeStatus(await unary(channel, AdminService.getClusterStatus, {}, options));
  }
}

/** Where the leader is if that is another master: only its answer covers the chunkservers. */
function leaderToAsk(status: ClusterStatus, answeredBy: string): string | undefined {
  const leader = status.masters.find(({ id }) => id === status.leader);
  return leader?.address === "" || leader?.address === answeredBy ? undefined : leader?.address;
}

function decodeStatus(status: lumeo.master.v1.IGetClusterStatusResponse): ClusterStatus {
  return {
    clusterId: status.clusterId ?? "",
    leader: status.leader ?? "",
    term: status.term ?? 0,
    masters: (status.masters ?? []).map(decodeMaster).sort(byId),
    health: status.health == null ? undefined : decodeHealth(status.health),
    jobs: (status.jobs ?? []).map(decodeJob),
    chunkservers: (status.chunkservers ?? []).map(decodeChunkserver).sort(byId),
  };
}

/** "cs2" comes before "cs10". */
function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id.localeCompare(b.id, "en", { numeric: true });
}

/** A master as one of them describes it. */
export function decodeMaster(master: lumeo.master.v1.MasterStatus.$Properties): MasterStatus {
  return {
    id: master.id ?? "",
    address: master.address ?? "",
    role: decodeRole(master.role),
    term: master.term ?? 0,
    leader: master.leader ?? "",
    firstIndex: master.firstIndex ?? 0,
    lastIndex: master.lastIndex ?? 0,
    commitIndex: master.commitIndex ?? 0,
    lastApplied: master.appliedIndex ?? 0,
    snapshotIndex: master.snapshotIndex ?? 0,
    standing: decodeStanding(master.standing),
    matchIndex: master.matchIndex ?? 0,
    caughtUp: master.caughtUp ?? false,
    memoryBytes: master.memoryBytes ?? 0,
    stateHash: master.stateHash ?? "",
    inlineChunks: master.inlineChunks ?? 0,
    inlineBytes: master.inlineBytes ?? 0,
  };
}

function decodeFinding(master: lumeo.master.v1.MasterCheck.$Properties): CheckFinding {
  const id = master.id ?? "";
  switch (master.state) {
    case CheckState.CHECK_STATE_DONE:
      return { id, kind: "hash", hash: master.hash ?? "" };
    case CheckState.CHECK_STATE_PENDING:
      return { id, kind: "pending" };
    default:
      return { id, kind: "unknown" };
  }
}

function decodeRole(role: lumeo.master.v1.MasterRole | null | undefined): MasterStatus["role"] {
  if (role === MasterRole.MASTER_ROLE_LEADER) return "leader";
  if (role === MasterRole.MASTER_ROLE_CANDIDATE) return "candidate";
  return role === MasterRole.MASTER_ROLE_FOLLOWER ? "follower" : "unreachable";
}

function decodeStanding(
  standing: lumeo.master.v1.MasterStanding | null | undefined,
): MasterStatus["standing"] {
  switch (standing) {
    case MasterStanding.MASTER_STANDING_LEARNER:
      return "learner";
    case MasterStanding.MASTER_STANDING_LEAVING:
      return "leaving";
    case MasterStanding.MASTER_STANDING_WAITING:
      return "waiting";
    case MasterStanding.MASTER_STANDING_REMOVED:
      return "removed";
    default:
      return "voter";
  }
}

function decodeChunkserver(
  server: lumeo.master.v1.ChunkserverStatus.$Properties,
): ChunkserverStatus {
  const state: ReplicaState["state"] = decodeServerState(server.state);
  return {
    id: server.name ?? "",
    serverId: server.serverId ?? 0,
    address: server.dataAddress ?? "",
    state,
    chunks: server.chunkCount ?? 0,
    usedBytes: server.usedBytes ?? 0,
    capacityBytes: server.capacityBytes ?? 0,
    damaged: server.damagedCount ?? 0,
    lastHeartbeatMsAgo: server.lastHeartbeatMsAgo ?? 0,
    readOnly: server.readOnly ?? false,
    standing: decodeNodeStanding(server.standing),
    lost: server.lost ?? false,
    labels: { ...server.labels },
    scrub: decodeScrub(server.scrub ?? {}),
    disks: (server.disks ?? []).map(decodeDisk),
    stopped: [...(server.stoppedHandles ?? [])],
    controlAddress: server.controlAddress ?? "",
    newerCount: server.newerCount ?? 0,
    newer: [...(server.newerHandles ?? [])],
  };
}

/** How far a server is with reading its replicas again. */
export function decodeScrub(scrub: lumeo.common.v1.IScrubStatus): ScrubStatus {
  return {
    rounds: scrub.roundCount ?? 0,
    roundBeganAt: scrub.roundBeganAtMs ?? 0,
    lastRoundBeganAt: scrub.lastRoundBeganAtMs ?? 0,
    lastRoundEndedAt: scrub.lastRoundEndedAtMs ?? 0,
    position: scrub.position ?? 0,
    replicasRead: scrub.readCount ?? 0,
    bytesRead: scrub.readBytes ?? 0,
    found: scrub.foundCount ?? 0,
    yielding: scrub.yielding ?? false,
    bytesPerSecond: scrub.bytesPerSecond ?? 0,
  };
}
