// Jobs that make, mend and move copies, the nodes that hold them, and single chunks: for operators
// and their tools.
//
// H1. Every step may be repeated when its outcome is unknown, but `begin`: a repetition that finds
//     the job begun says so (CONFLICT), and `jobs` shows it.

import { LumeoError, parseCode } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { DiskStatus, ScrubStatus } from "./cluster-status.js";
import type { RunCall } from "./metadata-runner.js";
import type { LocatedChunk } from "./operations.js";
import type { CallOptions } from "./options.js";
import type { HealingClient } from "./rpc/healing-client.js";
import type { GrowingChunk, SalvagedChunk } from "./rpc/tail-wire.js";

/**
 * What a job is for: the copies of a lost server; damaged or missing copies of a server; all copies
 * of a server that is to hold none, for a while or for good; the balance between servers; or what
 * files are kept as. The first two begin by themselves.
 */
export type JobKind = "repair" | "mend" | "drain" | "decommission" | "rebalance" | "convert";

export interface JobInfo {
  readonly id: number;
  readonly kind: JobKind;
  /** Name of its chunkserver; undefined if it is for all. */
  readonly node: string | undefined;
  /** Of a conversion: which files become what; undefined for other jobs. */
  readonly conversion: JobConversion | undefined;
  readonly state: "running" | "paused" | "done" | "cancelled";
  readonly createdAt: Date;
  /** Undefined while it is open. */
  readonly endedAt: Date | undefined;
  /** Chunks that it is for, as far as they have been found, and their bytes. */
  readonly totalChunks: number;
  readonly totalBytes: number;
  /** Of these, copied, and read again from the disk by another server. */
  readonly doneChunks: number;
  readonly doneBytes: number;
  /** Tries that failed; their chunks are tried again. */
  readonly failures: number;
  /** Copies under way. */
  readonly moves: number;
  /** For people: what it waits for, or why it ended. */
  readonly note: string;
}

export interface JobConversion {
  /**
   * A file, or a directory with all below it; undefined where policies and files say themselves
   * what they are to be.
   */
  readonly path: string | undefined;
  /** Such as "4+2", or "replicated"; undefined by policy. */
  readonly to: string | undefined;
}

export interface BeginOptions extends CallOptions {
  /** Empty a node though too few others are left: its copies wait until there are more. */
  readonly anyway?: boolean;
}

export interface ConvertOptions extends CallOptions {
  /**
   * A code such as "4+2"; "replicated" for as many copies as each file says; or "replicated:3",
   * which changes how many copies files have, and are to have from then on.
   */
  readonly to: string;
  /** A directory is meant with all that is below it. */
  readonly recursive?: boolean;
}

/**
 * What part a node takes: all of it; no new chunks, and those it has leave; no new chunks, and no
 * repair while it is away; or none any more.
 */
export type NodeStanding = "active" | "draining" | "maintenance" | "decommissioned";

export interface NodeInfo {
  /** Of its chunkserver, such as "cs1". */
  readonly name: string;
  readonly serverId: number;
  readonly state: "alive" | "suspect" | "dead";
  readonly standing: NodeStanding;
  /** Away for so long that its copies are made elsewhere. */
  readonly lost: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** host:port of its data plane. */
  readonly address: string;
  /** Copies that the masters know of there, at their last look; undefined before the first. */
  readonly chunks: number | undefined;
  readonly bytes: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly damaged: number;
  /** Open jobs that are for it. */
  readonly jobs: readonly number[];
  /** How far it is with reading its copies again. */
  readonly scrub: ScrubStatus;
  /** Lost ones included; empty if it was not heard. */
  readonly disks: readonly DiskStatus[];
}

/** What the last complete look at all chunks has found. */
export interface ChunkHealth {
  readonly chunks: number;
  /** With fewer good copies, or units, than there should be. */
  readonly underReplicated: number;
  /** With a copy that is damaged or missing. */
  readonly damaged: number;
  /** Without any good copy that is known, or with too few units to be read. */
  readonly lost: number;
  /** Not lost, but too many of their servers are away: they cannot be read now. */
  readonly unreadable: number;
  /** Of `chunks`, those that the masters keep themselves, and their bytes. */
  readonly inlineChunks: number;
  readonly inlineBytes: number;
  readonly lookedMsAgo: number;
}

export interface NodeListing {
  readonly nodes: readonly NodeInfo[];
  /** Undefined before the leader's first complete look. */
  readonly health: ChunkHealth | undefined;
}

export interface NodeChange {
  /** "active" also cancels the job that empties the node. */
  readonly standing?: "active" | "maintenance";
  readonly setLabels?: Readonly<Record<string, string>>;
  readonly removeLabels?: readonly string[];
}

export type ChunkFilter = "all" | "underReplicated" | "corrupt" | "orphan";

export interface ChunkState extends LocatedChunk {
  /** Copies, or units, that are good, or whose server may come back. */
  readonly goodCopies: number;
  /** No file has it any more. */
  readonly orphan: boolean;
  /** The copy under way. */
  readonly move: { readonly target: string; readonly job: number } | undefined;
  /** Of each of the replicas, in their order. */
  readonly checks: readonly CopyCheck[];
  /** Of a chunk that the masters keep: what is wrong with its bytes at the leader; else empty. */
  readonly inlineFault: string;
}

/** What a server says of one of its copies. */
export interface CopyCheck {
  /**
   * The copy, if it is that old, has been read from the disk since then; undefined if nothing is
   * known.
   */
  readonly readSince: Date | undefined;
  /** Two primaries wrote the chunk without knowing of each other: it is not served there. */
  readonly stopped: boolean;
}

/** What a server found when it read its copy from the disk. */
export interface CopyVerdict {
  readonly node: string;
  /** 0 for a master: of a chunk that the masters keep, the leader says what it has. */
  readonly serverId: number;
  /** "bad": damaged or missing; a job makes it again. "unknown": the server did not answer. */
  readonly finding: "intact" | "bad" | "unknown";
  readonly why: string;
}

/** Growing chunks in one answer. */
const GROWING_MAX = 1_000;
const STEP = { idempotent: true, limitMs: () => Infinity } as const;
const ONCE = { idempotent: false, limitMs: () => Infinity } as const;
const POLL_MS = 300;
const PAGE = 1_000;

export class Healing {
  readonly #run: RunCall;
  readonly #client: HealingClient;

  constructor(run: RunCall, client: HealingClient) {
    this.#run = run;
    this.#client = client;
  }

  /** All open jobs, and the last ones that ended; oldest first. */
  jobs(options: CallOptions = {}): Promise<readonly JobInfo[]> {
    return this.#run("healing.jobs", undefined, options, (call) =>
      call.run(STEP, () => this.#client.jobs(call)),
    );
  }

  /** @throws LumeoError LUMEO_NOT_FOUND */
  job(id: number, options: CallOptions = {}): Promise<JobInfo> {
    return this.#run("healing.job", undefined, options, (call) => this.#jobOf(call, id));
  }

  /**
   * Begins to empty a node, for a while or for good, or to even all of them out.
   *
   * @throws LumeoError LUMEO_CONFLICT if an open job does it already; LUMEO_PRECONDITION if fewer
   *         servers would be left than there are copies, unless `anyway`.
   */
  begin(
    kind: "drain" | "decommission" | "rebalance",
    node: string | undefined,
    options: BeginOptions = {},
  ): Promise<JobInfo> {
    const { anyway = false } = options;
    return this.#run("healing.begin", undefined, options, (call) =>
      call.run(ONCE, () => this.#client.begin(kind, { node: node ?? "", anyway }, call)),
    );
  }

  /**
   * Begins to convert a file, or all files below a directory, in the background. Who reads or
   * writes them notices nothing; what is converted is not converted again.
   *
   * @throws LumeoError LUMEO_INVALID_ARGUMENT if there is no such code; LUMEO_TOO_FEW_SERVERS;
   *         LUMEO_IS_DIRECTORY unless `recursive`; LUMEO_CONFLICT if an open job does it already,
   *         or the opposite; LUMEO_PRECONDITION if a policy would undo it.
   */
  convert(path: string, options: ConvertOptions): Promise<JobInfo> {
    const { to, recursive = false } = options;
    const [isCopies, count = "0"] = /^replicated(?::([1-8]))?$/.exec(to) ?? [];
    const code = isCopies === undefined ? parseCode(to) : undefined;
    if (isCopies === undefined && code === undefined) {
      const what = `Cannot convert "${path}" to "${to}"`;
      const message = `${what}: it must be "replicated", "replicated:3", or a code such as "4+2"`;
      return Promise.reject(new LumeoError("INVALID_ARGUMENT", message));
    }
    return this.#run("healing.convert", path, options, (call) =>
      call.run(ONCE, () => {
        return this.#client.convert({ path, to: code, copies: Number(count), recursive }, call);
      }),
    );
  }

  /** @throws LumeoError LUMEO_PRECONDITION if it has ended, or would only begin again. */
  changeJob(
    id: number,
    change: "pause" | "resume" | "cancel",
    options: CallOptions = {},
  ): Promise<JobInfo> {
    return this.#run("healing.changeJob", undefined, options, (call) =>
      call.run(STEP, () => this.#client.changeJob(id, change, call)),
    );
  }

  /** Waits until a job has ended. */
  untilEnded(
    id: number,
    options: CallOptions & { readonly onProgress?: (job: JobInfo) => void } = {},
  ): Promise<JobInfo> {
    return this.#run("healing.untilEnded", undefined, options, async (call) => {
      for (;;) {
        const job = await this.#jobOf(call, id);
        options.onProgress?.(job);
        if (job.endedAt !== undefined) return job;
        await call.pause(POLL_MS);
      }
    });
  }

  nodes(options: CallOptions = {}): Promise<NodeListing> {
    return this.#run("healing.nodes", undefined, options, (call) =>
      call.run(STEP, () => this.#client.nodes(call)),
    );
  }

  changeNode(name: string, change: NodeChange, options: CallOptions = {}): Promise<NodeInfo> {
    return this.#run("healing.changeNode", undefined, options, (call) =>
      call.run(STEP, () => this.#client.changeNode(name, change, call)),
    );
  }

  /** Chunks that a filter lets through, in the order of their handles. */
  async *chunks(
    filter: ChunkFilter,
    options: CallOptions = {},
  ): AsyncGenerator<ChunkState, void, undefined> {
    let after = 0;
    do {
      const page = await this.#run("healing.chunks", undefined, options, (call) =>
        call.run(STEP, () => this.#client.chunks({ filter, after, limit: PAGE }, call)),
      );
      yield* page.chunks;
      after = page.next;
    } while (after !== 0);
  }

  /** @throws LumeoError LUMEO_NOT_FOUND if no file has it, nor had it lately. */
  chunk(handle: number, options: CallOptions = {}): Promise<ChunkState> {
    return this.#run("healing.chunk", undefined, options, async (call) => {
      const window = { filter: "all", after: handle - 1, limit: 1 } as const;
      const { chunks } = await call.run(STEP, () => this.#client.chunks(window, call));
      const [found] = chunks;
      if (found?.handle === handle) return found;
      throw new LumeoError("NOT_FOUND", `Cannot find chunk ${handle}: no file has it`);
    });
  }

  /** A chunk to which records are appended; undefined if it is not, or not any more. */
  tail(handle: number, options: CallOptions = {}): Promise<GrowingChunk | undefined> {
    return this.#run("healing.tail", undefined, options, (call) =>
      call.run(STEP, () => this.#client.tail(handle, call)),
    );
  }

  /** Chunks to which records are appended now, by rising handles: the first 1,000. */
  growing(options: CallOptions = {}): Promise<readonly GrowingChunk[]> {
    return this.#run("healing.growing", undefined, options, (call) =>
      call.run(STEP, () => this.#client.growing({ after: 0, limit: GROWING_MAX }, call)),
    );
  }

  /**
   * Of a chunk that grows and cannot go on, because too many of its servers are lost for good:
   * keeps what the others have, and seals it. What only the lost ones had is given up.
   *
   * @param acceptLoss  Else nothing is changed: the answer says what would be.
   * @throws LumeoError LUMEO_INVALID_ARGUMENT if nothing has to be given up.
   */
  salvage(handle: number, acceptLoss: boolean, options: CallOptions = {}): Promise<SalvagedChunk> {
    return this.#run("healing.salvage", undefined, options, (call) =>
      call.run(STEP, () => this.#client.salvage(handle, acceptLoss, call)),
    );
  }

  /** Has every server that should have a chunk read its copy from the disk. */
  verify(handle: number, options: CallOptions = {}): Promise<readonly CopyVerdict[]> {
    return this.#run("healing.verify", undefined, options, (call) =>
      call.run(STEP, () => this.#client.verify(handle, call)),
    );
  }

  async #jobOf(call: Call, id: number): Promise<JobInfo> {
    const all = await call.run(STEP, () => this.#client.jobs(call));
    const found = all.find((job) => job.id === id);
    if (found !== undefined) return found;
    throw new LumeoError("NOT_FOUND", `Cannot find job ${id}: there is none`);
  }
}
