// What a caller may set, and what holds if nothing is said.

import { BLOCK_BYTES, CHUNK_BYTES_DEFAULT, LumeoError } from "@lumeofs/base";
import { revisionOf } from "./etag.js";
import { HEDGE_DEFAULT, type HedgeLimits } from "./hedge-policy.js";
import {
  type Attributes,
  type CodeFallback,
  type Consistency,
  type Fence,
  LATEST,
  NO_PRECONDITION,
  type Precondition,
  type ReadWish,
} from "./operations.js";
import { NO_RETRY, RETRY_DEFAULT, type RetryPolicy } from "./retry.js";

/** How a client is made. */
export interface LumeoOptions {
  /** The masters: "lumeo://m1:7400,m2:7400", "m1:7400,m2:7400", or a list of host:port. */
  readonly endpoints: string | readonly string[];
  /** Default: 20 attempts in some ten seconds; 30 s while no master leads (`leaderlessMs`). */
  readonly retry?: Partial<RetryPolicy> | false;
  /** For one attempt of one step. Default 10 s. */
  readonly timeoutMs?: number;
  /** For a whole call. Default: none for content; the masters are given 60 s for each step. */
  readonly deadlineMs?: number;
  /** How fresh the answers of the masters are. Default: linearizable. */
  readonly consistency?: Consistency;
  /** Stale answers that may be further behind are not taken. Default: no limit. */
  readonly maxAgeMs?: number;
  /**
   * Where this client stands, from the widest label to the narrowest, such as zone, then rack: of
   * several replicas those are read whose servers share the most of it. Default: nothing.
   */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * How operations on metadata travel. "direct": over a connection of their own to the same port,
   * without HTTP/2, at half the cost for each message. "grpc": where only gRPC gets through to the
   * masters. All other calls are gRPC anyway. Default "direct".
   */
  readonly transport?: "direct" | "grpc";
  /**
   * Read large chunks of chunkservers on this machine from their files, where this process may read
   * these: checked all the same, without the way through the server. Default true.
   */
  readonly localReads?: boolean;
  /** When a second replica is asked for what the first one does not send; false for never. */
  readonly hedge?: Partial<HedgeOptions> | false;
}

/** The delay follows how long the reads of this client are waiting for data, within limits. */
export interface HedgeOptions {
  /** Not sooner. Default 10 ms. */
  readonly minMs: number;
  /** Not later, whatever was asked twice before. Default 1 s. */
  readonly maxMs: number;
  /** For each read at most so many hedges on average. Default 0.1. */
  readonly share: number;
}

/** For every call. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly deadlineMs?: number;
  readonly retry?: Partial<RetryPolicy> | false;
  /** Aborting it rejects the call with an error named "AbortError". */
  readonly signal?: AbortSignal;
  /** As for the client. It makes no difference to what changes something. */
  readonly consistency?: Consistency;
  readonly maxAgeMs?: number;
}

export interface Progress {
  /** Bytes sent or received so far. */
  readonly loaded: number;
  /** Bytes in all, where that is known. */
  readonly total?: number;
}

export interface PutOptions extends CallOptions {
  /** Bytes of a stream, if the caller knows. A body of another size is refused. */
  readonly size?: number;
  /** Bytes of a chunk: a multiple of 64 KiB, at most 64 MiB. Default 64 MiB. */
  readonly chunkSize?: number;
  /** Default: as the policy of the directory says, or 3 replicas. */
  readonly redundancy?: { readonly replicas: number };
  /**
   * "4+2": as units on six servers, any four of which give the file; "4+2/256KiB": in smaller
   * cells; "auto", "auto:6+3": files from 1 MiB on; "none": as copies. Default: as the policy of
   * the directory says; copies where `redundancy` is given.
   */
  readonly code?: string;
  /**
   * What becomes of chunks for whose code there are too few servers: "refuse" them, or "replicate"
   * them. Default: as the policy of the directory says, or "refuse".
   */
  readonly codeFallback?: CodeFallback;
  /**
   * Whether the masters may keep the content themselves, if it is small (4 KiB, unless they are set
   * otherwise) and not coded: one step, and no chunkserver is asked. Default true.
   */
  readonly inline?: boolean;
  /** "*": only if nothing has that name. */
  readonly ifNoneMatch?: "*";
  /** Only if the file has this etag. */
  readonly ifMatch?: string;
  /** Make missing parent directories. Default true. */
  readonly makeParents?: boolean;
  readonly contentType?: string;
  /** What the file is to carry: names and texts of the user's own. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>>;
  /** The file is removed so long after it was written; 0 for never. Default: by policy. */
  readonly ttlMs?: number;
  /** Only while this lock is held with this token. */
  readonly fence?: Fence;
  readonly onProgress?: (progress: Progress) => void;
}

export interface AppendOptions extends CallOptions {
  /** Make an empty file if there is none. Default true. */
  readonly create?: boolean;
  /** Make missing parent directories. Default true. */
  readonly makeParents?: boolean;
  /** Of a file that is made. Default: as the policy of the directory says, or 3 replicas. */
  readonly redundancy?: { readonly replicas: number };
}

export interface GetOptions extends CallOptions {
  /** An earlier content of the file, by its version. */
  readonly version?: string;
  /** Bytes from `start` (default 0) up to, not including, `end` (default: the end of the file). */
  readonly range?: { readonly start?: number; readonly end?: number };
  /** Name of the only chunkserver whose replicas are read: for comparing them. */
  readonly onlyReplica?: string;
  readonly onProgress?: (progress: Progress) => void;
}

export interface StatOptions extends CallOptions {
  /** Also where every chunk is. */
  readonly chunks?: boolean;
  /** An earlier content of the file, by its version. */
  readonly version?: string;
}

export interface CopyOptions extends CallOptions {
  /** An earlier content of the source, by its version. */
  readonly version?: string;
  /** Replace a file at the target. */
  readonly overwrite?: boolean;
  /** Make missing parent directories. Default true. */
  readonly makeParents?: boolean;
  /** Only while this lock is held with this token. */
  readonly fence?: Fence;
}

/** A change of what a file or directory carries: null takes a key away. */
export interface AttributeOptions extends CallOptions {
  readonly metadata?: Readonly<Record<string, string | null>>;
  readonly tags?: Readonly<Record<string, string | null>>;
  readonly contentType?: string;
  /** The file is removed so long from now; 0 for never. */
  readonly ttlMs?: number;
  /** Only if the file has this etag. */
  readonly ifMatch?: string;
}

export interface ListOptions extends CallOptions {
  /** Also everything below, each directory before what is in it. */
  readonly recursive?: boolean;
}

export interface RemoveOptions extends CallOptions {
  /** A directory with everything in it. */
  readonly recursive?: boolean;
  /** Only if the file has this etag. */
  readonly ifMatch?: string;
  /** Free it at once, whatever the policy says of the trash. */
  readonly skipTrash?: boolean;
  /** Only while this lock is held with this token. */
  readonly fence?: Fence;
}

export interface RenameOptions extends CallOptions {
  /** Replace a file, or an empty directory, that has the new name. */
  readonly overwrite?: boolean;
  /** Only while this lock is held with this token. */
  readonly fence?: Fence;
}

export interface MkdirOptions extends CallOptions {
  /** Make missing parents, and succeed if the directory is there. */
  readonly recursive?: boolean;
}

/** A client's options with everything filled in. */
export interface ClientSettings {
  readonly endpoints: readonly string[];
  readonly policy: RetryPolicy;
  readonly wish: ReadWish;
  /** The user has chosen a consistency, and is told how fresh each answer is. */
  readonly tellsFreshness: boolean;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  /** Operations on metadata go without HTTP/2. */
  readonly direct: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Files of chunkservers on this machine are read. */
  readonly localReads: boolean;
  /** Undefined for never. */
  readonly hedge: HedgeLimits | undefined;
}

const TIMEOUT_MS_DEFAULT = 10_000;
/** The primary, and the longest chain of the data plane. */
const REPLICAS_MAX = 8;

/** @throws LumeoError CONFIG if LUMEO_ENDPOINTS is not set. */
export function environmentOptions(env: Record<string, string | undefined>): LumeoOptions {
  const endpoints = env["LUMEO_ENDPOINTS"]?.trim();
  if (endpoints === undefined || endpoints === "") {
    throw new LumeoError(
      "CONFIG",
      "Cannot tell which cluster is meant: set LUMEO_ENDPOINTS=host:port,host:port",
    );
  }
  return { endpoints };
}

/** @throws LumeoError CONFIG if an endpoint is not host:port or a number is out of range. */
export function clientSettings(options: LumeoOptions): ClientSettings {
  const { timeoutMs = TIMEOUT_MS_DEFAULT, deadlineMs = Infinity } = options;
  return {
    endpoints: parseEndpoints(options.endpoints),
    policy: mergePolicy(RETRY_DEFAULT, options.retry),
    timeoutMs: duration(timeoutMs, "timeoutMs"),
    deadlineMs: duration(deadlineMs, "deadlineMs"),
    direct: options.transport !== "grpc",
    labels: options.labels ?? {},
    localReads: options.localReads ?? true,
    hedge: hedgeOf(options.hedge),
    ...readSettings({ wish: LATEST, tellsFreshness: false }, options),
  };
}

/** The settings of one call. */
export function callSettings(
  settings: ClientSettings,
  options: CallOptions,
): Omit<ClientSettings, "endpoints" | "direct" | "labels" | "localReads" | "hedge"> {
  if (isPlain(options)) return settings;
  return {
    ...readSettings(settings, options),
    policy: mergePolicy(settings.policy, options.retry),
    timeoutMs: duration(options.timeoutMs ?? settings.timeoutMs, "timeoutMs"),
    deadlineMs: duration(options.deadlineMs ?? settings.deadlineMs, "deadlineMs"),
  };
}

/** Whether a call is to be as its client is: most are, and nothing is made for them. */
function isPlain(options: CallOptions): boolean {
  const { retry, timeoutMs, deadlineMs, consistency, maxAgeMs } = options;
  const isPatient = retry === undefined && timeoutMs === undefined && deadlineMs === undefined;
  return isPatient && consistency === undefined && maxAgeMs === undefined;
}

/** "lumeo://a:1,b:2/", "a:1,b:2" or a list → host:port, each once. */
export function parseEndpoints(given: string | readonly string[]): readonly string[] {
  const texts: unknown = typeof given === "string" ? [given] : given;
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === "string")) {
    throw config("Cannot connect without endpoints: expected host:port, or a list of these");
  }
  const endpoints = texts.flatMap((text: string) => text.split(",")).map(parseEndpoint);
  if (endpoints.length === 0) throw config("Cannot use an empty list of endpoints");
  return [...new Set(endpoints)];
}

/** The chunk size of a put. */
export function chunkBytesOf({ chunkSize = CHUNK_BYTES_DEFAULT }: PutOptions): number {
  const isWhole = Number.isSafeInteger(chunkSize) && chunkSize % BLOCK_BYTES === 0;
  if (isWhole && 0 < chunkSize && chunkSize <= CHUNK_BYTES_DEFAULT) return chunkSize;
  throw invalid(
    `Cannot store in chunks of ${chunkSize} bytes: expected a multiple of 65536 up to 67108864`,
  );
}

/** How many copies a put makes; undefined if its caller does not say. */
export function replicasOf({ redundancy }: Pick<PutOptions, "redundancy">): number | undefined {
  if (redundancy === undefined) return undefined;
  const { replicas } = redundancy;
  if (Number.isInteger(replicas) && 1 <= replicas && replicas <= REPLICAS_MAX) return replicas;
  throw invalid(`Cannot store ${replicas} replicas: expected 1 to ${REPLICAS_MAX}`);
}

/** What must hold for a change to be made. */
export function preconditionOf(options: {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: "*";
}): Precondition {
  const { ifMatch, ifNoneMatch } = options;
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw invalid("Cannot ask for a certain etag and for no file at the same time");
  }
  if (ifMatch !== undefined) return { kind: "revision", revision: revisionOf(ifMatch) };
  if (ifNoneMatch === undefined) return NO_PRECONDITION;
  if (ifNoneMatch === "*") return { kind: "absent" };
  throw invalid(`Cannot use ifNoneMatch "${String(ifNoneMatch)}": only "*" is known`);
}

/** What a put gives the file to carry. */
export function attributesOf(options: PutOptions): Attributes {
  const { contentType = "", metadata = {}, tags = {}, ttlMs } = options;
  return { contentType, metadata, tags, ttlMs: ttlMs === undefined ? ttlMs : timeToLive(ttlMs) };
}

/** Milliseconds that a file or lock lives. */
export function timeToLive(ttlMs: number): number {
  if (Number.isSafeInteger(ttlMs) && 0 <= ttlMs) return ttlMs;
  throw invalid(`Cannot let anything live ${ttlMs} ms: expected a whole number, 0 for ever`);
}

/** The revision that a version names; 0 for none given. */
export function versionOf(version: string | undefined): number {
  if (version === undefined) return 0;
  const revision = /^[1-9]\d{0,15}$/.test(version) ? Number(version) : Number.NaN;
  if (Number.isSafeInteger(revision)) return revision;
  throw invalid(`Cannot use version "${version}": expected a number, as a listing shows it`);
}

function parseEndpoint(text: string): string {
  const endpoint = text
    .trim()
    .replace(/^lumeo:\/\//, "")
    .replace(/\/$/, "");
  const port = Number(/^(?:\[[^\]]+\]|[^:[\]/?#@\s]+):(\d{1,5})$/.exec(endpoint)?.[1]);
  if (0 < port && port <= 65_535) return endpoint;
  throw config(`Cannot use endpoint "${text.trim()}": expected host:port`);
}

function hedgeOf(given: Partial<HedgeOptions> | false | undefined): HedgeLimits | undefined {
  if (given === false) return undefined;
  const { msMin, msMax } = HEDGE_DEFAULT;
  const {
    minMs = msMin,
    maxMs = Math.max(msMax, minMs),
    share = HEDGE_DEFAULT.share,
  } = given ?? {};
  if (!(0 <= share && share <= 1)) {
    throw config(`Cannot use hedge.share ${share}: expected a number from 0 to 1`);
  }
  const limits = { msMin: duration(minMs, "hedge.minMs"), msMax: duration(maxMs, "hedge.maxMs") };
  if (limits.msMin <= limits.msMax) return { ...limits, share };
  throw config(`Cannot use hedge.minMs ${minMs}: expected at most hedge.maxMs ${maxMs}`);
}

function mergePolicy(
  base: RetryPolicy,
  given: Partial<RetryPolicy> | false | undefined,
): RetryPolicy {
  if (given === undefined) return base;
  if (given === false) return NO_RETRY;
  // Whoever counts attempts means all of them.
  const counted = given.maxAttempts === undefined ? {} : { leaderlessMs: 0 };
  const policy = { ...base, ...counted, ...given };
  if (!(0 <= policy.leaderlessMs)) {
    throw config(`Cannot use retry.leaderlessMs ${policy.leaderlessMs}: expected 0 or more`);
  }
  if (Number.isInteger(policy.maxAttempts) && 1 <= policy.maxAttempts) return policy;
  throw config(
    `Cannot use retry.maxAttempts ${policy.maxAttempts}: expected a whole number from 1`,
  );
}

/** The longest delay that timers take. */
const DURATION_MS_MAX = 2 ** 31 - 1;

const CONSISTENCIES: readonly string[] = ["linearizable", "lease", "stale"] satisfies Consistency[];

function readSettings(
  base: Pick<ClientSettings, "wish" | "tellsFreshness">,
  given: Pick<CallOptions, "consistency" | "maxAgeMs">,
): Pick<ClientSettings, "wish" | "tellsFreshness"> {
  const { consistency = base.wish.consistency, maxAgeMs } = given;
  if (!CONSISTENCIES.includes(consistency)) {
    throw config(`Cannot read "${consistency}": expected ${CONSISTENCIES.join(", ")}`);
  }
  const ageMsMax = maxAgeMs === undefined ? base.wish.ageMsMax : ageLimit(maxAgeMs);
  const tellsFreshness = base.tellsFreshness || given.consistency !== undefined;
  return { wish: { consistency, ageMsMax }, tellsFreshness };
}

/** 0 stands for no limit from here on. */
function ageLimit(maxAgeMs: number): number {
  return duration(maxAgeMs, "maxAgeMs") === Infinity ? 0 : Math.ceil(maxAgeMs);
}

function duration(ms: number, name: string): number {
  if (0 < ms && (ms <= DURATION_MS_MAX || ms === Infinity)) return ms;
  throw config(`Cannot use ${name} ${ms}: expected milliseconds above 0`);
}

function config(message: string): LumeoError {
  return new LumeoError("CONFIG", message);
}

function invalid(message: string): LumeoError {
  return new LumeoError("INVALID_ARGUMENT", message);
}
