// Conversions as one leader does them in one term of office. A piece of work looks at files of the
// open jobs, begins conversions of their chunks as far as the pace allows, and ends jobs.
//
// Y1. What counts is in the state: jobs, and what chunks are. All else here may be lost at any
//     time: the next look finds it again, and grants that were not used end.
// Y2. A chunk is looked at again, in the state of that moment, right before its conversion begins;
//     the command at its end looks once more (conversions.ts).

import {
  type ChunkHandle,
  type Clock,
  handleIn,
  type InodeId,
  invariant,
  isSameCode,
  type Logger,
  type MonotonicMs,
  type Random,
  ROOT_INODE,
  type ServerId,
} from "@lumeofs/base";
import type { Fleet } from "../../fleet/servers.js";
import { type ChunkRecord, getChunk } from "../../metadata/chunk-table.js";
import { getInode } from "../../metadata/inodes.js";
import {
  type Amount,
  type Conversion,
  isOpen,
  type Job,
  type JobId,
  openJob,
} from "../../metadata/jobs.js";
import type { StateReader } from "../../metadata/state.js";
import { Setbacks } from "../healing/setbacks.js";
import { type PictureTerms, type TakenPicture, takePicture } from "../healing/take-picture.js";
import type { MetadataLog } from "../metadata-log.js";
import type { Holder, Orders } from "../orders.js";
import { type ConversionOutcome, convertChunk, targetOf } from "./chunk-conversion.js";
import { type ChunkTask, JobPass } from "./job-pass.js";
import {
  chooseWorker,
  placeConversion,
  type Surroundings,
  sourceHolders,
} from "./plan-conversion.js";
import type { Transcoding } from "./transcoding.js";

/** Between two looks of a job of which the first has brought nothing. */
const PASS_PAUSE_MS = 1_000;
/** And so many times as long as a look took, if that is more. */
const PASS_PAUSE_FACTOR = 4;
const NOTHING: ReadonlySet<InodeId> = new Set();

export interface ConverterParts {
  readonly log: MetadataLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly fleet: Fleet;
  readonly orders: Pick<Orders, "auditReplica">;
  readonly transcoding: Transcoding;
  readonly logger: Logger;
}

export interface ConversionLimits extends PictureTerms {
  /** Conversions at once: in all, and made by one server. */
  readonly conversionsMax: number;
  readonly conversionsPerServer: number;
  /** Of one server that makes them, for all that it does in the background. */
  readonly bytesPerSecond: number;
  /** Between two looks for what policies want. */
  readonly policyLookMs: number;
  /** See `Circumstances.restMs`. */
  readonly restMs: number;
}

interface OpenConversion {
  readonly id: JobId;
  readonly job: Job;
  readonly conversion: Conversion;
}

/** One of those that are open. */
interface Which {
  readonly one: OpenConversion;
  readonly open: readonly OpenConversion[];
}

/** How far a job is in this term. */
interface Course {
  pass: JobPass;
  readonly startedAt: MonotonicMs;
  converted: number;
  failed: number;
}

interface Running {
  readonly job: JobId;
  readonly worker: ServerId;
  readonly stopping: AbortController;
}

interface Planned {
  readonly open: OpenConversion;
  readonly task: ChunkTask;
  readonly chunk: ChunkRecord;
  readonly sources: readonly (Holder | undefined)[];
  readonly worker: Holder;
  readonly members: readonly ServerId[];
}

/** See the head of this file. */
export class Converter {
  readonly #parts: ConverterParts;
  readonly #limits: ConversionLimits;
  readonly #courses = new Map<JobId, Course>();
  readonly #pausedUntil = new Map<JobId, number>();
  /** The last reason why a chunk was not converted. */
  readonly #whys = new Map<JobId, string>();
  readonly #running = new Map<ChunkHandle, Running>();
  readonly #setbacks = new Setbacks();
  #policyLook: JobPass | undefined;
  #policyLookedAt: number | undefined;

  constructor(parts: ConverterParts, limits: ConversionLimits) {
    this.#parts = parts;
    this.#limits = limits;
  }

  /** This master does not lead any more. */
  stop(): void {
    for (const { stopping } of this.#running.values()) stopping.abort();
  }

  /** One bounded piece of work. */
  async work(): Promise<"done" | "more"> {
    const { log, fleet, clock, random } = this.#parts;
    const state = await log.read();
    const now = clock.monotonicMs();
    const picture = await takePicture({ state, fleet, now }, this.#limits);
    const open = openConversions(picture);
    this.#drop(open);
    await this.#lookForPolicies(state, open, now);
    const surroundings = { picture, fleet, now, random };
    let isLooking = false;
    for (const one of open) {
      if (one.job.state !== "running") continue;
      isLooking = (await this.#look(state, { one, open }, now)) || isLooking;
    }
    await this.#begin(state, open, surroundings);
    for (const one of open) await this.#conclude(state, { one, open }, now);
    const isWaiting = [...this.#courses.values()].some(({ pass }) => 0 < pass.waiting.length);
    return isLooking || isWaiting ? "more" : "done";
  }

  /** What jobs have begun that were ended or paused meanwhile is forgotten, or called off. */
  #drop(open: readonly OpenConversion[]): void {
    const states = new Map(open.map(({ id, job }) => [id, job.state]));
    for (const id of this.#courses.keys()) {
      if (states.get(id) !== "running") this.#courses.delete(id);
    }
    for (const known of [this.#pausedUntil, this.#whys]) {
      for (const id of known.keys()) if (!states.has(id)) known.delete(id);
    }
    for (const { job, stopping } of this.#running.values()) {
      if (!states.has(job)) stopping.abort();
    }
  }

  /** Begins a job when policies want something converted. */
  async #lookForPolicies(
    state: StateReader,
    open: readonly OpenConversion[],
    now: MonotonicMs,
  ): Promise<void> {
    const { log, clock, logger } = this.#parts;
    const { policyLookMs, restMs } = this.#limits;
    const conversion = { kind: "policy" } as const;
    const wish = { kind: "convert", subject: undefined, conversion } as const;
    if (openJob(state, wish) !== undefined) {
      this.#policyLook = undefined;
      return;
    }
    const last = this.#policyLookedAt;
    if (this.#policyLook === undefined) {
      if (last !== undefined && now < last + policyLookMs) return;
      if (getInode(state, ROOT_INODE) === undefined) return; // the cluster is being set up
      const except = treesOf(open);
      this.#policyLook = new JobPass(state, {
        ...{ conversion, isMeasure: true, since: undefined, restMs, except },
        begunAt: clock.wallMs(),
      });
    }
    const look = this.#policyLook;
    await look.look(state, clock.wallMs());
    if (look.isClean && !look.isAtEnd) return;
    this.#policyLook = undefined;
    this.#policyLookedAt = now;
    if (look.isClean) return;
    const { subject } = wish;
    const reply = await log.change({ kind: "createJob", job: "convert", subject, conversion });
    if (reply.kind === "jobCreated") logger.info("conversion begun", { job: reply.job });
  }

  /** Looks at some more files of a job. @returns Whether more are waiting for the next look. */
  async #look(state: StateReader, which: Which, now: MonotonicMs): Promise<boolean> {
    const course = this.#courseOf(state, which, now);
    if (course === undefined) return false;
    const { pass } = course;
    if (pass.isAtEnd) return false;
    await pass.look(state, this.#parts.clock.wallMs());
    const files = pass.codes.splice(0);
    if (0 < files.length) await this.#parts.log.change({ kind: "setFileCodes", files });
    return !pass.isAtEnd && pass.waiting.length === 0;
  }

  /** A job's look under way, or a new one if it is time. The first one only counts. */
  #courseOf(state: StateReader, which: Which, now: MonotonicMs): Course | undefined {
    const { id } = which.one;
    const known = this.#courses.get(id);
    if (known !== undefined) return known;
    if (now < (this.#pausedUntil.get(id) ?? 0)) return undefined;
    const isMeasure = !this.#pausedUntil.has(id);
    return this.#newCourse(state, which, { isMeasure, now });
  }

  #newCourse(
    state: StateReader,
    { one: { id, job, conversion }, open }: Which,
    { isMeasure, now }: { readonly isMeasure: boolean; readonly now: MonotonicMs },
  ): Course {
    const { restMs } = this.#limits;
    const except = conversion.kind === "policy" ? treesOf(open) : NOTHING;
    const since = job.createdAt;
    const begunAt = this.#parts.clock.wallMs();
    const pass = new JobPass(state, { conversion, isMeasure, since, begunAt, restMs, except });
    const course = { pass, startedAt: now, converted: 0, failed: 0 };
    this.#courses.set(id, course);
    return course;
  }

  /** Begins what waits, in its order, as far as the pace allows. */
  async #begin(
    state: StateReader,
    open: readonly OpenConversion[],
    surroundings: Surroundings,
  ): Promise<void> {
    const planned: Planned[] = [];
    for (const one of open) {
      const course = this.#courses.get(one.id);
      if (course === undefined) continue;
      const { waiting } = course.pass;
      while (0 < waiting.length) {
        if (this.#limits.conversionsMax <= this.#running.size + planned.length) break;
        const task = waiting[0] as ChunkTask;
        const plan = this.#plan(state, { open: one, task }, surroundings, planned);
        if (plan === "busy") break;
        waiting.shift();
        if (plan !== undefined) planned.push(plan);
      }
    }
    if (planned.length === 0) return;
    const placements = planned.map(({ members }) => members);
    const { log } = this.#parts;
    const reply = await log.change({ kind: "allocate", placements, handles: 1 });
    invariant(reply.kind === "allocated", "a placement that was chosen can be granted");
    for (const [i, plan] of planned.entries()) {
      const grant = reply.grants[i];
      invariant(grant !== undefined, "every placement gets a grant", { count: planned.length });
      this.#start(plan, handleIn(grant, 0), surroundings.picture);
    }
  }

  /** Undefined: it is not to be converted, or cannot be now. */
  #plan(
    state: StateReader,
    { open, task }: { readonly open: OpenConversion; readonly task: ChunkTask },
    surroundings: Surroundings,
    planned: readonly Planned[],
  ): Planned | "busy" | undefined {
    const { handle, to, copies } = task;
    const chunk = getChunk(state, handle);
    if (chunk === undefined || chunk.releasedAt !== undefined) return undefined;
    const isRight = to !== undefined || chunk.members.length === copies;
    if (isSameCode(chunk.coding, to) && isRight) return undefined;
    if (this.#running.has(handle)) return undefined;
    if (planned.some((one) => one.task.handle === handle)) return undefined;
    if (!this.#setbacks.isOver(handle, surroundings.now)) return undefined;
    const sources = sourceHolders(handle, chunk, surroundings);
    const worker = chooseWorker(sources, surroundings, (id) => this.#busyOf(id, planned));
    if (worker === "busy") return "busy";
    const avoid = this.#setbacks.targetsOf(handle);
    const members = placeConversion(task, surroundings, avoid);
    if ("code" in members || worker === undefined) {
      const why = "code" in members ? members.message : "no chunkserver is alive";
      this.#whys.set(open.id, why);
      return undefined;
    }
    return { open, task, chunk, sources, worker, members };
  }

  /** Conversions that a server makes; undefined if it makes as many as it may. */
  #busyOf(server: ServerId, planned: readonly Planned[]): number | undefined {
    const running = [...this.#running.values()].filter(({ worker }) => worker === server).length;
    const busy = running + planned.filter(({ worker }) => worker.id === server).length;
    return busy < this.#limits.conversionsPerServer ? busy : undefined;
  }

  #start(plan: Planned, target: ChunkHandle, picture: TakenPicture): void {
    const { open, task, chunk, sources, worker } = plan;
    const { handle, to } = task;
    const holders = plan.members.flatMap((id): Holder[] => {
      const server = picture.servers.get(id);
      return server === undefined ? [] : [{ id, server }];
    });
    const stopping = new AbortController();
    this.#running.set(handle, { job: open.id, worker: worker.id, stopping });
    const { bytesPerSecond: bytesPerSecondMax } = this.#limits;
    const order = {
      source: { handle, chunk, holders: sources },
      target: targetOf(target, to, holders),
      bytesPerSecondMax,
      signal: stopping.signal,
    };
    void convertChunk(this.#parts, { job: open.id, worker, order }).then((outcome) => {
      this.#running.delete(handle);
      this.#settle(open.id, handle, { worker: worker.id, outcome });
    });
  }

  #settle(
    job: JobId,
    handle: ChunkHandle,
    { worker, outcome }: { readonly worker: ServerId; readonly outcome: ConversionOutcome },
  ): void {
    const { fleet, clock, logger } = this.#parts;
    const course = this.#courses.get(job);
    for (const server of outcome.bad) fleet.suspect({ server, handle });
    if (outcome.kind === "converted") {
      if (course !== undefined) course.converted++;
      this.#setbacks.forget(handle);
      return;
    }
    if (outcome.kind === "dropped") return;
    const { why, avoid } = outcome;
    logger.debug("conversion failed", { chunk: handle, server: worker, job, error: why });
    if (course !== undefined) course.failed++;
    this.#whys.set(job, why);
    for (const server of 0 < avoid.length ? avoid : [worker]) {
      this.#setbacks.note(handle, server, clock.monotonicMs());
    }
  }

  /** At the end of a look: a job of which nothing is left is done; others are looked at again. */
  async #conclude(state: StateReader, which: Which, now: MonotonicMs): Promise<void> {
    const { log, logger } = this.#parts;
    const { id, job } = which.one;
    const course = this.#courses.get(id);
    if (course === undefined || !course.pass.isAtEnd || 0 < course.pass.waiting.length) return;
    if ([...this.#running.values()].some((one) => one.job === id)) return;
    this.#courses.delete(id);
    const { pass, converted, failed } = course;
    const why = this.#whys.get(id) ?? "";
    const { done } = job;
    if (pass.isClean) {
      this.#pausedUntil.delete(id);
      const isNothing = done.chunks === 0;
      const what = isNothing ? "nothing was to be done" : "every chunk was read again";
      const note = pass.small === 0 ? what : `${what}; ${smallOnes(pass.small)}`;
      await log.change({ kind: "noteJob", job: id, total: done, note: "", failures: failed });
      await log.change({ kind: "changeJob", job: id, to: "done", note });
      logger.info("job done", { job: id });
      return;
    }
    const { isMeasure } = pass.terms;
    const left = pass.left.chunks - converted;
    const note = isMeasure || left <= 0 || why === "" ? "" : noteOf(left, why);
    const total = totalOf(job, pass, left);
    if (note !== job.note || 0 < failed || total.chunks !== job.total.chunks) {
      await log.change({ kind: "noteJob", job: id, total, note, failures: failed });
    }
    const hasProgress = isMeasure || 0 < converted || (0 < pass.unmarked && pass.left.chunks === 0);
    const pauseMs = Math.max(PASS_PAUSE_MS, PASS_PAUSE_FACTOR * (now - course.startedAt));
    this.#pausedUntil.set(id, hasProgress ? now : now + pauseMs);
    if (hasProgress) this.#newCourse(state, which, { isMeasure: false, now });
  }
}

function openConversions({ allJobs }: TakenPicture): readonly OpenConversion[] {
  return allJobs.flatMap(({ id, job }): OpenConversion[] => {
    const { conversion } = job;
    return conversion === undefined || !isOpen(job) ? [] : [{ id, job, conversion }];
  });
}

/** As counted in the first look; more when more has come meanwhile. */
function totalOf({ done, total }: Job, { left, terms }: JobPass, leftChunks: number): Amount {
  if (terms.isMeasure) {
    return { chunks: done.chunks + left.chunks, bytes: done.bytes + left.bytes };
  }
  return {
    chunks: Math.max(total.chunks, done.chunks + Math.max(0, leftChunks)),
    bytes: Math.max(total.bytes, done.bytes),
  };
}

function noteOf(left: number, why: string): string {
  return `${left} chunks could not be converted yet: ${why}`;
}

function smallOnes(count: number): string {
  const files =
    count === 1 ? "1 file is too small and stays" : `${count} files are too small and stay`;
  return `${files} with the masters`;
}

/** Trees of operators: no policy looks there, or two that disagree would go on for ever. */
function treesOf(open: readonly OpenConversion[]): ReadonlySet<InodeId> {
  const roots = open.flatMap(({ conversion }) => {
    return conversion.kind === "tree" ? [conversion.root] : [];
  });
  return new Set(roots);
}
