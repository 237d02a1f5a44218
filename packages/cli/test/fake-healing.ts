// Jobs, nodes and chunks of a cluster in memory: the same answers as the SDK gives, no processes.

import type {
  ChunkFilter,
  ChunkState,
  ConvertOptions,
  CopyVerdict,
  GrowingChunk,
  Healing,
  JobInfo,
  NodeChange,
  NodeInfo,
  NodeListing,
  SalvagedChunk,
} from "@lumeofs/client";

/** What the commands call. */
export type FakedHealing = Pick<Healing, keyof Healing>;

export const AT = new Date(1_790_000_000_000);

export function jobOf(id: number, more: Partial<JobInfo> = {}): JobInfo {
  return {
    ...{ id, kind: "drain", node: "cs1", state: "running", createdAt: AT, endedAt: undefined },
    ...{ totalChunks: 7, totalBytes: 7_000, doneChunks: 5, doneBytes: 5_000 },
    ...{ failures: 0, moves: 2, note: "", conversion: undefined },
    ...more,
  };
}

export function nodeOf(name: string, more: Partial<NodeInfo> = {}): NodeInfo {
  return {
    ...{ name, serverId: 1, state: "alive", standing: "active", lost: false, labels: {} },
    ...{ address: "h:2", chunks: 7, bytes: 70, usedBytes: 1_536, capacityBytes: 2 ** 30 },
    ...{ damaged: 0, jobs: [] },
    disks: [],
    scrub: {
      ...{ rounds: 2, roundBeganAt: 0, lastRoundBeganAt: 1, lastRoundEndedAt: 2, position: 0 },
      ...{ replicasRead: 14, bytesRead: 3_072, found: 0, yielding: false, bytesPerSecond: 2 ** 20 },
    },
    ...more,
  };
}

export function chunkOf(handle: number, more: Partial<ChunkState> = {}): ChunkState {
  const replicas = ["cs1", "cs2", "cs3"].map((name, i) => ({
    ...{ server: (i + 1) as never, name, address: "h:2", state: "alive" as const, damaged: false },
    ...{ role: i === 0 ? ("primary" as const) : ("secondary" as const), labels: {} },
  }));
  return {
    ...{ handle, epoch: 1, lengthBytes: 2_048, crc32c: 0xabc, coding: undefined },
    ...{ token: undefined, replicas, isInline: false, inlineBytes: undefined, inlineFault: "" },
    ...{ goodCopies: 3, orphan: false, move: undefined },
    checks: replicas.map(() => ({ readSince: undefined, stopped: false })),
    ...more,
  };
}

export class FakeHealing implements FakedHealing {
  readonly calls: string[] = [];
  allJobs: JobInfo[] = [];
  allNodes: NodeInfo[] = [];
  allChunks: ChunkState[] = [];
  verdicts = new Map<number, readonly CopyVerdict[]>();

  async jobs(): Promise<readonly JobInfo[]> {
    return this.allJobs;
  }

  async job(id: number): Promise<JobInfo> {
    const found = this.allJobs.find((job) => job.id === id);
    if (found === undefined) throw notFound(`job ${id}`);
    return found;
  }

  async begin(kind: JobInfo["kind"], node: string | undefined): Promise<JobInfo> {
    this.calls.push(`begin ${kind} ${node ?? "all"}`);
    const job = jobOf(9, { kind, node });
    this.allJobs.push(job);
    return job;
  }

  async convert(path: string, { to, recursive = false }: ConvertOptions): Promise<JobInfo> {
    this.calls.push(`convert ${path} to ${to}${recursive ? " -r" : ""}`);
    const job = jobOf(9, { kind: "convert", node: undefined, conversion: { path, to } });
    this.allJobs.push(job);
    return job;
  }

  async changeJob(id: number, change: "pause" | "resume" | "cancel"): Promise<JobInfo> {
    this.calls.push(`${change} ${id}`);
    const state = ({ pause: "paused", resume: "running", cancel: "cancelled" } as const)[change];
    return { ...(await this.job(id)), state };
  }

  /** Two looks on the way, then the end. */
  async untilEnded(
    id: number,
    { onProgress }: { readonly onProgress?: (job: JobInfo) => void } = {},
  ): Promise<JobInfo> {
    const job = await this.job(id);
    onProgress?.(job);
    onProgress?.(job);
    const ended: JobInfo = {
      ...job,
      state: "done",
      doneChunks: 7,
      endedAt: new Date(+AT + 90_000),
    };
    onProgress?.(ended);
    return ended;
  }

  async nodes(): Promise<NodeListing> {
    return { nodes: this.allNodes, health: undefined };
  }

  async changeNode(name: string, change: NodeChange): Promise<NodeInfo> {
    this.calls.push(`change ${name} ${JSON.stringify(change)}`);
    const labels = change.setLabels ?? {};
    return nodeOf(name, { standing: change.standing ?? "active", labels });
  }

  async *chunks(filter: ChunkFilter): AsyncGenerator<ChunkState, void, undefined> {
    this.calls.push(`chunks ${filter}`);
    yield* this.allChunks;
  }

  async chunk(handle: number): Promise<ChunkState> {
    const found = this.allChunks.find((chunk) => chunk.handle === handle);
    if (found === undefined) throw notFound(`chunk ${handle}`);
    return found;
  }

  async tail(): Promise<GrowingChunk | undefined> {
    return undefined;
  }

  async growing(): Promise<readonly GrowingChunk[]> {
    return [];
  }

  async salvage(handle: number, acceptLoss: boolean): Promise<SalvagedChunk> {
    this.calls.push(`salvage ${handle} ${acceptLoss}`);
    return { path: "/log", survivors: handle === 64 ? ["cs3"] : [], lost: ["cs1", "cs2"] };
  }

  async verify(handle: number): Promise<readonly CopyVerdict[]> {
    return this.verdicts.get(handle) ?? [];
  }
}

function notFound(what: string): Error {
  return Object.assign(new Error(`Cannot find ${what}`), { code: "LUMEO_NOT_FOUND" });
}
