// Jobs, nodes and single chunks over gRPC: any master passes a call on to the leader.

import { type Code, LumeoError } from "@lumeofs/base";
import { AuditService, ChunkService, HealingService, lumeo } from "@lumeofs/proto";
import type {
  ChunkFilter,
  ChunkState,
  CopyCheck,
  CopyVerdict,
  JobInfo,
  NodeChange,
  NodeInfo,
  NodeListing,
} from "../healing.js";
import { type AdminClient, decodeScrub, type UnaryOptions } from "./admin-client.js";
import { encodeCode } from "./coding-wire.js";
import { decodeDisk } from "./disk-wire.js";
import { decodeHealth, decodeJob, decodeNodeStanding } from "./healing-wire.js";
import {
  decodeGrowingPage,
  decodeSalvaged,
  type GrowingChunk,
  type SalvagedChunk,
} from "./tail-wire.js";
import { decodeLocated, decodeServerState } from "./wire.js";

const Wire = lumeo.master.v1;

const BEGUN = {
  drain: Wire.JobKind.JOB_KIND_DRAIN,
  decommission: Wire.JobKind.JOB_KIND_DECOMMISSION,
  rebalance: Wire.JobKind.JOB_KIND_REBALANCE,
} as const;
const CHANGES = {
  pause: Wire.JobChange.JOB_CHANGE_PAUSE,
  resume: Wire.JobChange.JOB_CHANGE_RESUME,
  cancel: Wire.JobChange.JOB_CHANGE_CANCEL,
} as const;
const FILTERS = {
  all: Wire.ChunkFilter.CHUNK_FILTER_ALL,
  underReplicated: Wire.ChunkFilter.CHUNK_FILTER_UNDER_REPLICATED,
  corrupt: Wire.ChunkFilter.CHUNK_FILTER_CORRUPT,
  orphan: Wire.ChunkFilter.CHUNK_FILTER_ORPHAN,
} as const satisfies Record<ChunkFilter, lumeo.master.v1.ChunkFilter>;

export class HealingClient {
  readonly #admin: AdminClient;

  constructor(admin: AdminClient) {
    this.#admin = admin;
  }

  async jobs(options: UnaryOptions): Promise<readonly JobInfo[]> {
    const { jobs } = await this.#admin.askAny(HealingService.listJobs, {}, options);
    return (jobs ?? []).map(decodeJob);
  }

  async begin(
    kind: keyof typeof BEGUN,
    { node, anyway }: { readonly node: string; readonly anyway: boolean },
    options: UnaryOptions,
  ): Promise<JobInfo> {
    const request = { kind: BEGUN[kind], node, anyway };
    const { job } = await this.#admin.askAny(HealingService.createJob, request, options);
    return decodeJob(job ?? {});
  }

  async convert(
    wish: {
      readonly path: string;
      readonly to: Code | undefined;
      /** 0: as files say. */
      readonly copies: number;
      readonly recursive: boolean;
    },
    options: UnaryOptions,
  ): Promise<JobInfo> {
    const { path, to, copies, recursive } = wish;
    const code = to === undefined ? {} : { to: encodeCode(to) };
    const conversion = { path, recursive, copies, ...code };
    const request = { kind: Wire.JobKind.JOB_KIND_CONVERT, conversion };
    const { job } = await this.#admin.askAny(HealingService.createJob, request, options);
    return decodeJob(job ?? {});
  }

  async changeJob(
    id: number,
    change: keyof typeof CHANGES,
    options: UnaryOptions,
  ): Promise<JobInfo> {
    const request = { id, change: CHANGES[change] };
    const { job } = await this.#admin.askAny(HealingService.changeJob, request, options);
    return decodeJob(job ?? {});
  }

  async nodes(options: UnaryOptions): Promise<NodeListing> {
    const answer = await this.#admin.askAny(HealingService.listNodes, {}, options);
    const { nodes, health } = answer;
    return {
      nodes: (nodes ?? []).map(decodeNode),
      health: health == null ? undefined : decodeHealth(health),
    };
  }

  async changeNode(name: string, change: NodeChange, options: UnaryOptions): Promise<NodeInfo> {
    const { standing, setLabels, removeLabels } = change;
    const { NODE_STANDING_ACTIVE, NODE_STANDING_MAINTENANCE, NODE_STANDING_UNSPECIFIED } =
      Wire.NodeStanding;
    const part = standing === "active" ? NODE_STANDING_ACTIVE : NODE_STANDING_MAINTENANCE;
    const request = {
      name,
      standing: standing === undefined ? NODE_STANDING_UNSPECIFIED : part,
      setLabels: { ...setLabels },
      removeLabels: [...(removeLabels ?? [])],
    };
    const { node } = await this.#admin.askAny(HealingService.changeNode, request, options);
    return decodeNode(node ?? {});
  }

  async chunks(
    window: { readonly filter: ChunkFilter; readonly after: number; readonly limit: number },
    options: UnaryOptions,
  ): Promise<{ readonly chunks: readonly ChunkState[]; readonly next: number }> {
    const request = { ...window, filter: FILTERS[window.filter] };
    const answer = await this.#admin.askAny(HealingService.listChunks, request, options);
    return { chunks: (answer.chunks ?? []).map(decodeChunkState), next: answer.next ?? 0 };
  }

  /** Undefined for a chunk to which nothing is appended. */
  async tail(handle: number, options: UnaryOptions): Promise<GrowingChunk | undefined> {
    try {
      return await this.#admin.locateTail(handle, options);
    } catch (error) {
      if (error instanceof LumeoError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  async growing(
    window: { readonly after: number; readonly limit: number },
    options: UnaryOptions,
  ): Promise<readonly GrowingChunk[]> {
    const answer = await this.#admin.askAny(AuditService.listTails, { ...window }, options);
    return decodeGrowingPage(answer);
  }

  async salvage(
    handle: number,
    acceptLoss: boolean,
    options: UnaryOptions,
  ): Promise<SalvagedChunk> {
    const request = { handle, acceptLoss };
    return decodeSalvaged(await this.#admin.askAny(ChunkService.salvageChunk, request, options));
  }

  async verify(handle: number, options: UnaryOptions): Promise<readonly CopyVerdict[]> {
    const request = { handles: [handle] };
    const answer = await this.#admin.askAny(HealingService.verifyChunks, request, options);
    const [chunk] = answer.chunks ?? [];
    if (chunk !== undefined) return (chunk.copies ?? []).map(decodeVerdict);
    throw new LumeoError("NOT_FOUND", `Cannot verify chunk ${handle}: no file has it`);
  }
}

function decodeNode(node: lumeo.master.v1.Node.$Properties): NodeInfo {
  return {
    name: node.name ?? "",
    serverId: node.serverId ?? 0,
    state: decodeServerState(node.state),
    standing: decodeNodeStanding(node.standing),
    lost: node.lost ?? false,
    labels: { ...node.labels },
    address: node.dataAddress ?? "",
    chunks: node.chunks ?? undefined,
    bytes: node.bytes ?? 0,
    usedBytes: node.usedBytes ?? 0,
    capacityBytes: node.capacityBytes ?? 0,
    damaged: node.damagedCount ?? 0,
    jobs: [...(node.jobs ?? [])],
    scrub: decodeScrub(node.scrub ?? {}),
    disks: (node.disks ?? []).map(decodeDisk),
  };
}

function decodeChunkState(state: lumeo.master.v1.ChunkState.$Properties): ChunkState {
  const target = state.moveTargetName ?? "";
  return {
    ...decodeLocated(state.chunk ?? {}),
    goodCopies: state.goodCopies ?? 0,
    orphan: state.orphan ?? false,
    move: (state.moveTarget ?? 0) === 0 ? undefined : { target, job: state.job ?? 0 },
    checks: (state.checks ?? []).map(decodeCheck),
    inlineFault: state.inlineFault ?? "",
  };
}

function decodeCheck(check: lumeo.master.v1.CopyCheck.$Properties): CopyCheck {
  const readSinceMs = check.readSinceMs ?? 0;
  return {
    readSince: readSinceMs === 0 ? undefined : new Date(readSinceMs),
    stopped: check.stopped ?? false,
  };
}

/** Of one copy. */
export function decodeVerdict(verdict: lumeo.master.v1.CopyVerdict.$Properties): CopyVerdict {
  const { COPY_FINDING_INTACT, COPY_FINDING_BAD } = Wire.CopyFinding;
  const isBad = verdict.finding === COPY_FINDING_BAD ? "bad" : "unknown";
  return {
    node: verdict.name ?? "",
    serverId: verdict.serverId ?? 0,
    finding: verdict.finding === COPY_FINDING_INTACT ? "intact" : isBad,
    why: verdict.why ?? "",
  };
}
