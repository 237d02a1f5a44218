// Jobs: what is to become of copies, as an operator sees it. A job says which chunks it is for by
// its kind and subject; which copies are under way for it, the moves say. What is still to be done
// is found by looking at the chunks, again and again: so a job needs no place where it has got to,
// and goes on under the next leader as if nothing had happened.
//
// J1. There is at most one open job (running or paused) of a kind and subject: the open table names
//     it, and names nothing else.
// J2. A job's `moves` is the number of its moves in the moves table.
// J3. A job that has ended does not change any more, apart from its last moves.

import {
  type Brand,
  type ByteReader,
  type ByteWriter,
  type Code,
  type InodeId,
  inodeId,
  invariant,
  type ServerId,
  serverId,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { readOptionalCode, writeOptionalCode } from "./coding-codec.js";
import { type Reply, refuse } from "./command.js";
import { takeNumber } from "./counters.js";
import { corrupt, encodeWhole, readId, readText, readWhole, writeText } from "./fields.js";
import { jobKey, openJobKey } from "./keys.js";
import { setStanding } from "./nodes.js";
import { getServer } from "./servers.js";
import type { State, StateView } from "./state.js";

export type JobId = Brand<number, "JobId">;

export function jobId(n: number): JobId {
  invariant(Number.isSafeInteger(n) && 0 < n, "job id out of range", { n });
  return n as JobId;
}

/**
 * What a job is for: the copies of a lost server; the damaged or missing copies of a server; all
 * copies of a server that is to hold none, for a while or for good; the balance between servers; or
 * what the files of a tree are kept as.
 */
export type JobKind = (typeof JOB_KINDS)[number];
const JOB_KINDS = ["repair", "mend", "drain", "decommission", "rebalance", "convert"] as const;

export type JobState = (typeof JOB_STATES)[number];
const JOB_STATES = ["running", "paused", "done", "cancelled"] as const;

export interface JobSubject {
  readonly kind: JobKind;
  /** Undefined for a job that is not for one server. */
  readonly subject: ServerId | undefined;
  /** Of a conversion alone. */
  readonly conversion?: Conversion | undefined;
}

/** Which files are to be kept as what. */
export type Conversion =
  /** All that lie below a directory, or one file. */
  | {
      readonly kind: "tree";
      readonly root: InodeId;
      /** Where it was when the job began; for people. */
      readonly path: string;
      /** Undefined for copies. */
      readonly to: Code | undefined;
      /** So many copies, and files are to have so many from then on; absent: as files say. */
      readonly copies?: number | undefined;
    }
  /** Whatever policies, and what files are meant to be, say: duties/conversion/wanted-layout.ts. */
  | { readonly kind: "policy" };

/** Copies, and the bytes of their chunks. */
export interface Amount {
  readonly chunks: number;
  readonly bytes: number;
}

export interface Job extends JobSubject {
  readonly state: JobState;
  readonly createdAt: WallMs;
  /** 0 while it is open. */
  readonly endedAt: WallMs;
  /** As far as they have been found. */
  readonly total: Amount;
  /** Made, read again by another server, and in the chunk table. */
  readonly done: Amount;
  /** Tries that failed; their chunks are tried again. */
  readonly failures: number;
  /** Under way. */
  readonly moves: number;
  /** What it waits for, or why it ended; for people. */
  readonly note: string;
}

export interface JobChange {
  readonly job: JobId;
  readonly to: JobState;
  readonly note: string;
}

/** A note is cut to this. */
export const NOTE_LENGTH_MAX = 300;
const NOTHING: Amount = { chunks: 0, bytes: 0 };
/** Jobs of version 3 may be conversions. */
const JOB_VERSION = 3;
const CONVERSION = { none: 0, tree: 1, policy: 2 } as const;

export function createJob(state: State, wish: JobSubject, at: WallMs): Reply {
  const { kind, subject } = wish;
  const server = subject === undefined ? undefined : getServer(state, subject);
  if (kind === "convert" || kind === "rebalance") {
    if (subject !== undefined || (kind === "convert") !== (wish.conversion !== undefined)) {
      return refuse("INVALID_ARGUMENT", `Cannot begin a ${kind}: it is not for one server`);
    }
  } else if (server === undefined || wish.conversion !== undefined) {
    return refuse("NOT_FOUND", `Cannot begin a ${kind}: there is no such server`);
  }
  const open = openJob(state, wish) ?? otherLeaving(state, wish);
  if (open !== undefined) {
    return refuse("CONFLICT", `Cannot begin a ${kind}: job ${open} is open and does it`);
  }
  const id = jobId(takeNumber(state, "job"));
  putJob(state, id, {
    ...{ kind, subject, ...withConversion(wish.conversion) },
    state: "running",
    createdAt: at,
    endedAt: wallMs(0),
    total: NOTHING,
    done: NOTHING,
    failures: 0,
    moves: 0,
    note: "",
  });
  state.put(openKey(wish), encodeJobId(id));
  const isLeaving = kind === "drain" || kind === "decommission";
  if (server !== undefined && isLeaving) setStanding(state, server.name, "draining");
  return { kind: "jobCreated", job: id };
}

/** Pauses, resumes or ends a job, and does with its server what follows from the end. */
export function changeJob(state: State, change: JobChange, at: WallMs): Reply {
  const { job: id, to } = change;
  const job = getJob(state, id);
  if (job === undefined) return refuse("NOT_FOUND", `Cannot change job ${id}: there is none`);
  if (job.state === to) return { kind: "done" };
  if (!isOpen(job)) {
    return refuse("PRECONDITION", `Cannot change job ${id}: it is ${job.state} already`);
  }
  const note = change.note.slice(0, NOTE_LENGTH_MAX);
  if (to === "running" || to === "paused") {
    putJob(state, id, { ...job, state: to, note });
    return { kind: "done" };
  }
  putJob(state, id, { ...job, state: to, note, endedAt: at });
  state.delete(openKey(job));
  followEnd(state, job, to);
  return { kind: "done" };
}

/** How much a job is for, as last counted, and what it waits for. Not for one that has ended. */
export function noteJob(
  state: State,
  change: {
    readonly job: JobId;
    readonly total: Amount;
    readonly note: string;
    readonly failures?: number | undefined;
  },
): void {
  const { job: id, total, failures = 0 } = change;
  const job = getJob(state, id);
  if (job === undefined || !isOpen(job)) return;
  const note = change.note.slice(0, NOTE_LENGTH_MAX);
  putJob(state, id, { ...job, total, note, failures: job.failures + failures });
}

/** Forgets jobs that have ended and have no moves left. */
export function dropJobs(state: State, ids: readonly JobId[]): void {
  for (const id of ids) {
    const job = getJob(state, id);
    if (job !== undefined && !isOpen(job) && job.moves === 0) state.delete(jobKey(id));
  }
}

/** One more move of a job, or one less with what became of it. */
export function countMove(
  state: State,
  id: JobId,
  change: { readonly moves: 1 | -1; readonly done?: Amount; readonly failures?: number },
): void {
  const job = getJob(state, id);
  invariant(job !== undefined, "a move's job is in the table", { job: id });
  const { done = NOTHING, failures = 0 } = change;
  putJob(state, id, {
    ...job,
    moves: job.moves + change.moves,
    failures: job.failures + failures,
    done: { chunks: job.done.chunks + done.chunks, bytes: job.done.bytes + done.bytes },
  });
}

/** Chunks that a conversion has replaced. */
export function countConverted(state: State, id: JobId, more: Amount): void {
  const job = getJob(state, id);
  invariant(job !== undefined, "a conversion's job is in the table", { job: id });
  const { chunks, bytes } = job.done;
  putJob(state, id, { ...job, done: { chunks: chunks + more.chunks, bytes: bytes + more.bytes } });
}

export function isOpen(job: Job): boolean {
  return job.state === "running" || job.state === "paused";
}

export function getJob(view: StateView, id: JobId): Job | undefined {
  const bytes = view.get(jobKey(id));
  return bytes === undefined ? undefined : decodeJob(bytes);
}

/** The open job of a kind and subject. */
export function openJob(view: StateView, wanted: JobSubject): JobId | undefined {
  const bytes = view.get(openKey(wanted));
  return bytes === undefined ? undefined : readWhole("open job", bytes, (r) => jobId(r.u53()));
}

export function encodeJob(job: Job): Uint8Array {
  return encodeWhole((writer) => {
    writer
      .u8(jobKindNumber(job.kind))
      .u53(job.subject ?? 0)
      .u8(jobStateNumber(job.state));
    writer.u53(job.createdAt).u53(job.endedAt).u53(job.total.chunks).u53(job.total.bytes);
    writer.u53(job.done.chunks).u53(job.done.bytes).u53(job.failures).u53(job.moves);
    writeText(writer, job.note);
    writeConversion(writer, job.conversion);
  }, JOB_VERSION);
}

export function decodeJob(bytes: Uint8Array): Job {
  return readWhole(
    "job record",
    bytes,
    (r) => {
      const kind = jobKindOf(r.u8());
      const subject = r.u53();
      return {
        kind,
        subject: subject === 0 ? undefined : serverId(subject),
        state: jobStateOf(r.u8()),
        createdAt: wallMs(r.u53()),
        endedAt: wallMs(r.u53()),
        total: { chunks: r.u53(), bytes: r.u53() },
        done: { chunks: r.u53(), bytes: r.u53() },
        failures: r.u53(),
        moves: r.u53(),
        note: readText(r),
        ...withConversion(readConversion(r)),
      };
    },
    JOB_VERSION,
  );
}

export function writeConversion(w: ByteWriter, conversion: Conversion | undefined): void {
  if (conversion === undefined) {
    w.u8(CONVERSION.none);
  } else if (conversion.kind === "policy") {
    w.u8(CONVERSION.policy);
  } else {
    writeText(w.u8(CONVERSION.tree).u53(conversion.root), conversion.path);
    writeOptionalCode(w, conversion.to);
    w.u8(conversion.copies ?? 0);
  }
}

export function readConversion(r: ByteReader): Conversion | undefined {
  const kind = r.u8();
  if (kind === CONVERSION.none) return undefined;
  if (kind === CONVERSION.policy) return { kind: "policy" };
  if (kind !== CONVERSION.tree) throw corrupt("conversion", `it is of kind ${kind}`);
  const root = readId(r, inodeId);
  const tree = { kind: "tree", root, path: readText(r), to: readOptionalCode(r) } as const;
  const copies = r.u8();
  return copies === 0 ? tree : { ...tree, copies };
}

/** The number of a kind in keys, records and commands, from 1. */
export function jobKindNumber(kind: JobKind): number {
  return JOB_KINDS.indexOf(kind) + 1;
}

/** @throws LumeoError CORRUPT */
export function jobKindOf(number: number): JobKind {
  const kind = JOB_KINDS[number - 1];
  if (kind === undefined) throw corrupt("job", `its kind is ${number}`);
  return kind;
}

/** The number of a state in records and commands, from 1. */
export function jobStateNumber(state: JobState): number {
  return JOB_STATES.indexOf(state) + 1;
}

/** @throws LumeoError CORRUPT */
export function jobStateOf(number: number): JobState {
  const state = JOB_STATES[number - 1];
  if (state === undefined) throw corrupt("job", `its state is ${number}`);
  return state;
}

/** A server is drained for a while or for good, not both. */
function otherLeaving(view: StateView, wish: JobSubject): JobId | undefined {
  if (wish.kind === "drain") return openJob(view, { ...wish, kind: "decommission" });
  if (wish.kind === "decommission") return openJob(view, { ...wish, kind: "drain" });
  return undefined;
}

/** Most jobs are no conversions, and have no such field. */
export function withConversion(conversion: Conversion | undefined): Pick<JobSubject, "conversion"> {
  return conversion === undefined ? {} : { conversion };
}

function openKey({ kind, subject, conversion }: JobSubject): Uint8Array {
  const root = conversion?.kind === "tree" ? conversion.root : undefined;
  return openJobKey(jobKindNumber(kind), subject ?? root);
}

/** A drain that is called off gives its server back; one for good ends with the server's part. */
function followEnd(state: State, { kind, subject }: Job, end: JobState): void {
  const server = subject === undefined ? undefined : getServer(state, subject);
  if (server === undefined || (kind !== "drain" && kind !== "decommission")) return;
  if (end === "cancelled") setStanding(state, server.name, "active");
  else if (kind === "decommission") setStanding(state, server.name, "decommissioned");
}

function putJob(state: State, id: JobId, job: Job): void {
  state.put(jobKey(id), encodeJob(job));
}

function encodeJobId(id: JobId): Uint8Array {
  return encodeWhole((writer) => writer.u53(id));
}
