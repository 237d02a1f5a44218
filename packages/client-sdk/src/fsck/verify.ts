// Every replica of a file, or every unit, read as a reader would, from its server to here: each
// block against its checksum, and the whole against length and checksum in the metadata. Of units
// also whether the parity is that of the data. What the masters keep, from every one of them.

import {
  type Clock,
  crc32cCombine,
  type ErrorCode,
  LumeoError,
  type ServerId,
} from "@lumeofs/base";
import type { Call } from "../call.js";
import { ChunkMap } from "../chunk-map.js";
import { contentAt, type ReplicaContent } from "../coding/replica-content.js";
import type { Metadata } from "../metadata.js";
import type { RunCall } from "../metadata-runner.js";
import type { InodeInfo, LocatedChunk, ReplicaState, TailLocation } from "../operations.js";
import type { CallOptions } from "../options.js";
import type { AdminClient } from "../rpc/admin-client.js";
import type { ChunkserverPool } from "../rpc/chunkserver-pool.js";
import type { InlineCheck } from "./inline-check.js";
import { StripeCheck } from "./stripe-check.js";
import { checkTail, type TailCheckParts } from "./verify-tail.js";

/** How one replica of a chunk is. */
export interface VerifiedReplica {
  /** Name of its chunkserver; of what the masters keep, of the master. */
  readonly server: string;
  /**
   * "bad": damaged, missing or another one. "unknown": the server did not answer. "unfit": a parity
   * unit that is as it was written, but is not that of the data units: it would give nothing back.
   */
  readonly finding: "intact" | "bad" | "unknown" | "unfit";
  /** For people, where it is not intact. */
  readonly why: string;
}

/** A chunk of a file with all its replicas. */
export interface VerifiedChunk {
  readonly path: string;
  /** Position in the file, from 0. */
  readonly index: number;
  readonly handle: number;
  readonly length: number;
  readonly replicas: readonly VerifiedReplica[];
  /** Records are appended to it: the length is what was committed when it was read. */
  readonly isGrowing: boolean;
  /** The masters keep it: these are the replicas. */
  readonly isInline: boolean;
}

export interface VerifyOptions extends CallOptions {
  /** Bytes that have come, of all replicas together. */
  readonly onProgress?: (bytes: number) => void;
}

export interface VerifyParts {
  readonly run: RunCall;
  readonly metadata: Metadata;
  readonly chunkservers: ChunkserverPool;
  readonly admin: AdminClient;
  readonly clock: Clock;
  /** Servers that did not answer, and until when they are not asked again. */
  readonly silent: Map<ServerId, { readonly until: number; readonly why: string }>;
  readonly tails: TailCheckParts;
  readonly inline: InlineCheck;
}

/** The copy itself is bad. */
const BAD_COPY: ReadonlySet<ErrorCode> = new Set([
  "CHECKSUM",
  "CORRUPT",
  "REPLICA_MISSING",
  "STALE_EPOCH",
]);
const STEP = { idempotent: true, limitMs: () => Infinity } as const;
const CHUNKS_WITH_INFO = 16;
/** A server that did not answer holds up only every so often. */
const SILENT_MS = 30_000;
/** How often a tail may be sealed, and another one begin, before the rest is left to others. */
const LOOKS_MAX = 10;

/**
 * Reads all replicas of a file, chunk by chunk. What is bad is told to the masters, which have it
 * made again.
 *
 * @throws LumeoError LUMEO_IS_DIRECTORY; LUMEO_CONFLICT if the file is replaced meanwhile.
 */
export async function* verifyFile(
  parts: VerifyParts,
  path: string,
  options: VerifyOptions,
): AsyncGenerator<VerifiedChunk, void, undefined> {
  const { run, metadata } = parts;
  const { onProgress = () => {}, ...call } = options;
  for (let index = 0, looks = 0; ; looks++) {
    const { file, tail } = await run("verify", path, call, (one) => planOf(metadata, one, path));
    const task = { parts, file, onProgress };
    for (; index < file.info.chunkCount; index++) {
      yield await run("verify", path, call, async (one) => {
        const chunk = await file.locate(one, index);
        const { handle, lengthBytes: length, isInline } = chunk;
        const replicas = isInline
          ? await parts.inline.check(one, file, { position: index, chunk, onProgress })
          : await verifyReplicas(task, one, chunk);
        const about = { path: file.info.path, index, handle, length };
        return { ...about, replicas, isGrowing: false, isInline };
      });
    }
    if (tail === undefined) return;
    const at = { file, tail, index };
    const growing = await run("verify", path, call, (one) => verifyTail(task, one, at));
    if (growing !== undefined) yield growing;
    if (growing !== undefined || LOOKS_MAX <= looks) return;
  }
}

/** What is being appended to the file; undefined if it was sealed: then it has one chunk more. */
async function verifyTail(
  { parts, onProgress }: Task,
  call: Call,
  at: { readonly file: ChunkMap; readonly tail: TailLocation; readonly index: number },
): Promise<VerifiedChunk | undefined> {
  const { file, tail, index } = at;
  const onBytes = (bytes: number): void => {
    call.bytes += bytes;
    onProgress(bytes);
  };
  const path = file.info.path;
  const about = { path, index, handle: tail.handle, isGrowing: true, isInline: false };
  try {
    const checked = await checkTail(parts.tails, call, tail, { read: true, onBytes });
    if (checked === undefined) return undefined;
    const replicas = checked.copies.map(({ name: server, finding, why }) => {
      return { server, finding, why };
    });
    return { ...about, length: checked.committedBytes, replicas };
  } catch (error) {
    call.cancellation.throwIfAborted();
    if (!(error instanceof LumeoError)) throw error;
    const replicas = tail.replicas.map(({ name }): VerifiedReplica => {
      return { server: name, finding: "unknown", why: error.message };
    });
    return { ...about, length: tail.committedBytes, replicas };
  }
}

async function planOf(
  metadata: Metadata,
  call: Call,
  path: string,
): Promise<{ readonly file: ChunkMap; readonly tail: TailLocation | undefined }> {
  const ask = { path, firstChunk: 0, chunkCountMax: CHUNKS_WITH_INFO, revision: 0, version: 0 };
  const { info, chunks, tail } = await metadata.query(call, "stat", ask);
  refuseDirectory(info);
  const first = { position: 0, offset: 0, chunks, version: 0, withLabels: false };
  return { file: new ChunkMap(metadata, info, first), tail };
}

function refuseDirectory({ kind, path }: InodeInfo): void {
  if (kind === "file") return;
  throw new LumeoError("IS_DIRECTORY", `Cannot verify "${path}": it is a directory`);
}

interface Task {
  readonly parts: VerifyParts;
  readonly file: ChunkMap;
  readonly onProgress: (bytes: number) => void;
}

/** One replica of a chunk, by its position: of a coded chunk, one unit. */
interface Place {
  readonly chunk: LocatedChunk;
  readonly position: number;
  /** Of a coded chunk: whether its units belong together. */
  readonly check: StripeCheck | undefined;
}

async function verifyReplicas(
  task: Task,
  call: Call,
  chunk: LocatedChunk,
): Promise<readonly VerifiedReplica[]> {
  const { coding, lengthBytes } = chunk;
  const check = coding === undefined ? undefined : new StripeCheck(coding, lengthBytes);
  const leave = (): void => check?.leave();
  call.cancellation.addEventListener("abort", leave, { once: true });
  try {
    const all = chunk.replicas.map((_, position) =>
      verifyReplica(task, call, { chunk, position, check }),
    );
    const replicas = await Promise.all(all);
    const unfit = check?.unfit() ?? [];
    return replicas.map((replica, unit) => (unfit.includes(unit) ? unfitOf(replica) : replica));
  } finally {
    leave(); // whoever still reads, because another one has failed for good
    call.cancellation.removeEventListener("abort", leave);
  }
}

function unfitOf({ server }: VerifiedReplica): VerifiedReplica {
  const why = "it is as it was written, but not the parity of the data: store the file again";
  return { server, finding: "unfit", why };
}

async function verifyReplica(task: Task, call: Call, place: Place): Promise<VerifiedReplica> {
  const { parts, file } = task;
  const { chunk, position, check } = place;
  const { name, server } = chunk.replicas[position] as ReplicaState;
  const expected = contentAt(chunk, position);
  if (expected.isNowhere) return { server: name, finding: "intact", why: "" };
  const known = parts.silent.get(server);
  if (known !== undefined && parts.clock.monotonicMs() < known.until) {
    check?.leave();
    return { server: name, finding: "unknown", why: known.why };
  }
  try {
    const read = (attempt: number) => readThrough(task, call, { ...place, expected, attempt });
    const why = await (known === undefined ? call.run(STEP, read) : read(1));
    parts.silent.delete(server);
    if (why === undefined) return { server: name, finding: "intact", why: "" };
    await file.checkUnchanged(call); // or its chunk was let go meanwhile
    const damage = { handle: chunk.handle, serverId: server, reason: why };
    await call.run(STEP, () => parts.admin.reportDamage(damage, call));
    return { server: name, finding: "bad", why };
  } catch (thrown) {
    call.cancellation.throwIfAborted();
    if (!(thrown instanceof LumeoError) || thrown.code === "CONFLICT") throw thrown;
    const why = thrown.message;
    parts.silent.set(server, { until: parts.clock.monotonicMs() + SILENT_MS, why });
    return { server: name, finding: "unknown", why };
  }
}

/**
 * Reads one replica from its first byte to its last.
 *
 * @returns What is wrong with it; undefined if nothing is.
 * @throws  LumeoError if its server cannot say.
 */
async function readThrough(
  { parts, onProgress }: Task,
  call: Call,
  one: Place & { readonly expected: ReplicaContent; readonly attempt: number },
): Promise<string | undefined> {
  const { expected, attempt, check, position } = one;
  const replica = one.chunk.replicas[one.position] as ReplicaState;
  // The token that came with the file may be too old by now.
  const { token } = attempt === 1 ? one.chunk : await relocated(parts, one.chunk, call);
  const { lengthBytes, crc32c } = expected;
  let [length, crc] = [0, 0];
  try {
    const chunk = { ...one.chunk, lengthBytes, crc32c };
    const part = { chunk, offset: 0, end: lengthBytes, token };
    for await (const bytes of parts.chunkservers.read(replica, part, readOptions(call))) {
      crc = crc32cCombine(crc, bytes.crc32c, bytes.lengthBytes);
      length += bytes.lengthBytes;
      call.bytes += bytes.lengthBytes;
      onProgress(bytes.lengthBytes);
      if (attempt === 1) await check?.take(position, bytes.pieces);
    }
  } catch (error) {
    check?.leave(); // what comes of a second attempt comes too late
    if (error instanceof LumeoError && BAD_COPY.has(error.code)) return error.message;
    throw error;
  }
  if (length === lengthBytes && crc === crc32c) return undefined;
  check?.leave();
  return `it has ${length} bytes with checksum ${crc}, expected ${lengthBytes} with ${crc32c}`;
}

function relocated({ admin }: VerifyParts, { handle }: LocatedChunk, call: Call) {
  return admin.locate({ handle, withLabels: false }, call);
}

function readOptions({ timeoutMs, cancellation: signal }: Call) {
  return { timeoutMs, signal };
}
