// A leader with its conversions, a state of its own and chunkservers that only remember what they
// hold: for tests of conversions in virtual time.

import {
  type ChunkHandle,
  type Code,
  LumeoError,
  SeededRandom,
  type ServerId,
  SILENT_LOGGER,
  unitCount,
} from "@lumeofs/base";
import { conversionDuty } from "../src/duties/conversion/conversion-duty.js";
import type {
  TranscodeOrder,
  TranscodeOutcome,
  Transcoding,
} from "../src/duties/conversion/transcoding.js";
import type { AuditOrder, AuditOutcome } from "../src/duties/orders.js";
import type { FileInode } from "../src/metadata/inode-record.js";
import { type Conversion, getJob, type Job, type JobId } from "../src/metadata/jobs.js";
import { fileChunks, stat } from "../src/metadata/queries.js";
import type { Server } from "../src/metadata/servers.js";
import { commitOf } from "./metadata-driver.js";
import { Office, type OfficeMachine, SECOND } from "./office.js";

const LIMITS = {
  conversionsMax: 4,
  conversionsPerServer: 2,
  bytesPerSecond: 1e9,
  policyLookMs: 60 * SECOND,
  restMs: 3_600 * SECOND,
  repairAfterMs: 60 * SECOND,
  failureDomain: "rack",
};

export class ConversionOffice extends Office<OfficeMachine> implements Transcoding {
  /** How long a conversion takes. */
  takesMs = 50;
  /** Orders so far, and the most at once of one worker and of all. */
  ordered = 0;
  mostOfOne = 0;
  mostAtOnce = 0;
  /** Chunks that nobody can read. */
  readonly unreadable = new Set<ChunkHandle>();
  /** Targets that fail whoever writes to them. */
  readonly refusing = new Set<ServerId>();
  /** Targets whose new chunks are bad on the disk. */
  readonly rotten = new Set<ServerId>();
  audits = 0;
  readonly #working = new Map<string, number>();

  constructor(limits: Partial<typeof LIMITS> = {}) {
    super();
    const { log, clock, fleet } = this;
    const orders = {
      auditReplica: (auditor: Server, order: AuditOrder) => this.#audit(auditor, order),
    };
    const random = new SeededRandom(1);
    const parts = { log, clock, random, fleet, orders, transcoding: this, logger: SILENT_LOGGER };
    this.run(conversionDuty(parts, { ...LIMITS, ...limits }));
  }

  start(servers: number): Promise<void> {
    const names = Array.from({ length: servers }, (_, i) => `cs${i + 1}`);
    return this.begin(names, {}, SECOND);
  }

  protected override furnished(machine: OfficeMachine): OfficeMachine {
    return machine;
  }

  protected override heard() {
    return { damaged: [], isFirst: false };
  }

  /** A file of so many chunks of 4 bytes, on servers 1, 2 and 3. */
  async file(path: string, count = 1): Promise<void> {
    const handles = await this.allocate([1, 2, 3], count);
    await this.change(commitOf(path, handles, { makeParents: true }));
  }

  async convert(conversion: Conversion): Promise<JobId> {
    const job = { kind: "createJob", job: "convert", subject: undefined, conversion } as const;
    const reply = await this.change(job);
    if (reply.kind !== "jobCreated") throw new Error(reply.kind);
    return reply.job;
  }

  async tree(path: string, to: Code | undefined, copies?: number): Promise<JobId> {
    const found = stat(this.state, path);
    if (found.kind === "refused") throw new Error(found.message);
    return this.convert({ kind: "tree", root: found.id, path, to, copies });
  }

  job(id: JobId): Job {
    const job = getJob(this.state, id);
    if (job === undefined) throw new Error(`there is no job ${id}`);
    return job;
  }

  inode(path: string): FileInode {
    const found = stat(this.state, path);
    if (found.kind === "refused" || found.inode.kind !== "file") throw new Error(path);
    return found.inode;
  }

  chunks(path: string) {
    const found = stat(this.state, path);
    if (found.kind === "refused" || found.inode.kind !== "file") throw new Error(path);
    return fileChunks(this.state, { id: found.id, inode: found.inode }, { first: 0, countMax: 99 });
  }

  /** Of each chunk, how many servers have it; negative if it is coded. */
  shape(path: string): readonly number[] {
    return this.chunks(path).map(({ chunk: { coding, members } }) => {
      return coding === undefined ? members.length : -members.length;
    });
  }

  async transcode(worker: Server, order: TranscodeOrder): Promise<TranscodeOutcome> {
    this.ordered++;
    const { source, target, signal } = order;
    const busy = (this.#working.get(worker.name) ?? 0) + 1;
    this.#working.set(worker.name, busy);
    this.mostOfOne = Math.max(this.mostOfOne, busy);
    const all = [...this.#working.values()].reduce((sum, one) => sum + one, 0);
    this.mostAtOnce = Math.max(this.mostAtOnce, all);
    await this.world.sleep(this.takesMs);
    this.#working.set(worker.name, (this.#working.get(worker.name) ?? 0) - 1);
    signal.throwIfAborted();
    if (!this.#isUp(worker.name)) throw new LumeoError("UNAVAILABLE", "nobody answers");
    const gone = target.holders.filter(({ id, server }) => {
      return this.refusing.has(id) || !this.#isUp(server.name);
    });
    if (0 < gone.length) {
      const servers = gone.map(({ id }) => id);
      throw new LumeoError("CONNECTION_LOST", "a target went away", { servers });
    }
    const readable = source.holders.filter(
      (one) => one !== undefined && this.#isUp(one.server.name),
    );
    const needed = source.chunk.coding?.data ?? 1;
    if (this.unreadable.has(source.handle) || readable.length < needed) {
      return { kind: "noSource", why: "nobody has it", faults: [] };
    }
    const { code } = target;
    const unitCrcs = code === undefined ? [] : Array.from({ length: unitCount(code) }, () => 1);
    return { kind: "done", unitCrcs, faults: [] };
  }

  async #audit(auditor: Server, { holder }: AuditOrder): Promise<AuditOutcome> {
    this.audits++;
    if (auditor.name === holder.server.name) throw new Error("it audits itself");
    if (!this.#isUp(auditor.name)) throw new LumeoError("UNAVAILABLE", "nobody answers");
    if (!this.#isUp(holder.server.name)) return { kind: "unreached", why: "away" };
    if (this.rotten.has(holder.id)) return { kind: "bad", why: "other bytes" };
    return { kind: "intact", readBytes: 1 };
  }

  #isUp(name: string): boolean {
    return this.named(name).isUp;
  }
}
