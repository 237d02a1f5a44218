// put(): a body becomes chunks on chunkservers, then one commit makes them a file. A small one goes
// with its commit, and the masters keep it (inline-puts.ts).
//
// V1. Nothing of a put is visible before its commit, and then all of it is.
// V2. Of a body that can be read again nothing is kept: PARALLEL_CHUNKS of its chunks are under way
//     at once. Of a stream at most two chunks are kept: the one that is being read and the one
//     before it, while that waits for its replicas.
// V3. A stream that has been read is never silently sent in part: a chunk that must be sent again
//     is sent from what is kept, and where that is not enough the put fails.

import { LumeoError } from "@lumeofs/base";
import {
  type Body,
  inMemory,
  isEmpty,
  openBody,
  type ReplayableSource,
  type Source,
  type StreamSource,
} from "./body.js";
import type { Call } from "./call.js";
import { type ChunkBody, FrameReader, ReplayableChunk, RetainedChunk } from "./chunk-body.js";
import { ChunkList, type FinishedList } from "./chunk-list.js";
import type { ChunkSender } from "./chunk-sender.js";
import { INLINE_BYTES_CEILING, InlinePuts, smallBodyOf } from "./inline-puts.js";
import type { Metadata } from "./metadata.js";
import type {
  Ask,
  Attributes,
  CodeFallback,
  CodePolicy,
  Fence,
  InodeInfo,
  Precondition,
} from "./operations.js";
import { PeekedStream } from "./peeked-stream.js";
import { type Placement, PlacementPolicies } from "./placement-policies.js";
import type { Ports } from "./ports.js";
import { AUTO_CODED_BYTES_MIN, codeFor, type Redundancy } from "./redundancy.js";
import { type ChunkRoom, StreamRoom } from "./stream-room.js";

/** Chunks of one body under way at once. */
const PARALLEL_CHUNKS = 3;
/** How often a body is stored anew because the masters no longer knew its chunks. */
const STORE_ATTEMPTS_MAX = 3;

/** How a file is written. */
export interface WriteOptions {
  readonly chunkBytes: number;
  /** Undefined for what the policy of the directory says. */
  readonly replicas: number | undefined;
  /** The same; copies if there are `replicas`. */
  readonly code: CodePolicy | undefined;
  readonly fallback: CodeFallback | undefined;
  /** The masters may keep it, if it is small. */
  readonly isInlineable: boolean;
  readonly precondition: Precondition;
  readonly makeParents: boolean;
  readonly attributes: Attributes;
  readonly fence: Fence | undefined;
  /** What the caller says the body has. */
  readonly sizeBytes: number | undefined;
  readonly onProgress: ((loaded: number, total: number | undefined) => void) | undefined;
}

const NOTHING: FinishedList = {
  upload: undefined,
  chunks: [],
  crc32c: 0,
  sizeBytes: 0,
  chunkCount: 0,
};

/** What a put has stored. */
interface Written {
  readonly info: InodeInfo;
  readonly chunkCount: number;
}

type SettledOptions = Omit<WriteOptions, keyof Redundancy> & Redundancy;

/** What the writer works with. */
export interface WriterParts {
  readonly metadata: Metadata;
  readonly sender: ChunkSender;
  readonly ports: Ports;
}

/** One file on its way: what all steps of storing it need. */
interface Job {
  readonly call: Call;
  readonly list: ChunkList;
  readonly options: SettledOptions;
  readonly onSent: (bytes: number) => void;
}

export class Writer {
  readonly #parts: WriterParts;
  readonly #sender: ChunkSender;
  readonly #policies: PlacementPolicies;
  readonly #inline: InlinePuts;
  readonly #streams: StreamRoom;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#sender = parts.sender;
    this.#streams = parts.ports.streamRoom ?? new StreamRoom();
    this.#policies = new PlacementPolicies(parts.metadata, parts.ports.clock);
    this.#inline = new InlinePuts(parts.metadata, parts.ports.clock);
  }

  /** Stores a body as the file at `path`; the call's path may have been given differently. */
  put(call: Call, path: string, body: Body, wishes: WriteOptions): Promise<Written> {
    if (isEmpty(body)) return this.#putEmpty(call, path, wishes);
    const small = wishes.isInlineable ? inMemory(body, INLINE_BYTES_CEILING) : undefined;
    if (small === undefined) return this.#putBody(call, path, body, wishes);
    return this.#putSmall(call, path, small, wishes);
  }

  /** The short way of what may go with its commit: there are many of these, and each is cheap. */
  async #putSmall(
    call: Call,
    path: string,
    bytes: Uint8Array,
    wishes: WriteOptions,
  ): Promise<Written> {
    const { byteLength } = bytes;
    const placing = this.#placement(call, path, wishes);
    const placement = placing instanceof Promise ? await placing : placing;
    const options = settled(wishes, placement, byteLength);
    if (options.code === undefined) {
      const offering = this.#inlineMax(call, wishes, placement);
      const inlineMax = typeof offering === "number" ? offering : await offering;
      const kept = byteLength <= inlineMax && (await this.#putInline(call, path, bytes, options));
      if (kept) return kept;
    }
    return this.#putBody(call, path, bytes, { ...wishes, isInlineable: false });
  }

  async #putBody(call: Call, path: string, body: Body, wishes: WriteOptions): Promise<Written> {
    const opened = await openBody(body);
    const source = opened.kind === "stream" ? new PeekedStream(opened) : opened;
    try {
      checkSize(source, wishes.sizeBytes);
      const placement = await this.#placement(call, path, wishes);
      const inlineMax = await this.#inlineMax(call, wishes, placement);
      const sizeBytes = call.unlessAborted(sizeToDecide(source, wishes, placement));
      const options = settled(wishes, placement, await sizeBytes);
      const small =
        options.code === undefined
          ? await call.unlessAborted(smallBodyOf(source, inlineMax))
          : undefined;
      const kept = small && (await this.#putInline(call, path, small, options));
      if (kept !== undefined) return kept;
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#store(call, path, source, options);
        } catch (error) {
          if (!(error instanceof LumeoError) || error.code !== "GRANT_EXPIRED") throw error;
          this.#sender.forgetGrants();
          if (source.kind === "stream") throw streamIsGone(path, error);
          if (STORE_ATTEMPTS_MAX <= attempt) throw error;
        }
      }
    } finally {
      const closing = source.close();
      if (call.cancellation.aborted)
        closing.catch(() => undefined); // it may never end (B3)
      else await closing;
    }
  }

  /** What the caller says, and for the rest the policy, which is not asked without need. */
  #placement(call: Call, path: string, wishes: WriteOptions): Placement | Promise<Placement> {
    const said = saidBy(wishes);
    if (said !== undefined) return said;
    const byPolicy = this.#policies.placementFor(call, path);
    if (!(byPolicy instanceof Promise)) return merged(byPolicy, wishes);
    return byPolicy.then((placement) => merged(placement, wishes));
  }

  /** Bytes of the largest body that may go with its commit; 0 for none. */
  #inlineMax(
    call: Call,
    { isInlineable, sizeBytes = 0 }: WriteOptions,
    { replicas }: Placement,
  ): number | Promise<number> {
    if (!isInlineable) return 0;
    const most = this.#inline.bytesMax(call, replicas);
    const within = (offered: number): number => (offered < sizeBytes ? 0 : offered);
    return typeof most === "number" ? within(most) : most.then(within);
  }

  /** The content goes with the commit; undefined if the masters do not take it. */
  #putInline(
    call: Call,
    path: string,
    inlineBytes: Uint8Array,
    options: SettledOptions,
  ): Promise<Written | undefined> {
    const { byteLength: sizeBytes } = inlineBytes;
    const crc32c = this.#parts.ports.crc32c(inlineBytes);
    const list = { ...NOTHING, crc32c, sizeBytes };
    checkWhole(list, options.sizeBytes);
    const ask = { ...commitOf(options, path, list), inlineBytes };
    return this.#inline.commit(call, ask).then((info) => {
      if (info === undefined) return undefined;
      call.bytes += sizeBytes;
      options.onProgress?.(sizeBytes, sizeBytes);
      return { info, chunkCount: 1 };
    });
  }

  /** A file without chunks is made by its commit alone. */
  async #putEmpty(call: Call, path: string, wishes: WriteOptions): Promise<Written> {
    const placement = await this.#placement(call, path, wishes);
    const options = settled(wishes, placement, 0);
    checkWhole(NOTHING, options.sizeBytes);
    return { info: await this.#commit(call, options, path, NOTHING), chunkCount: 0 };
  }

  async #store(
    call: Call,
    path: string,
    source: Source,
    options: SettledOptions,
  ): Promise<Written> {
    const { metadata, ports } = this.#parts;
    const list = new ChunkList(call, path, metadata, ports);
    const total = source.kind === "replayable" ? source.sizeBytes : options.sizeBytes;
    let loaded = 0;
    const onSent = (bytes: number): void => {
      loaded += bytes;
      call.bytes += bytes;
      options.onProgress?.(loaded, total);
    };
    const job: Job = { call, list, options, onSent };
    try {
      if (source.kind === "replayable") await this.#sendReplayable(job, source);
      else await this.#sendBuffered(job, source);
      const finished = await list.finish();
      checkWhole(finished, options.sizeBytes);
      return {
        info: await this.#commit(call, options, path, finished),
        chunkCount: finished.chunkCount,
      };
    } catch (error) {
      this.#abandon(call, list);
      throw error;
    }
  }

  async #sendReplayable(job: Job, source: ReplayableSource): Promise<void> {
    const { chunkBytes } = job.options;
    const underWay = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    for (let start = 0, index = 0; start < source.sizeBytes; start += chunkBytes, index++) {
      while (PARALLEL_CHUNKS <= underWay.size) await Promise.race(underWay);
      if (failure !== undefined) break;
      const end = Math.min(start + chunkBytes, source.sizeBytes);
      const sending = this.#send(job, index, new ReplayableChunk(source, start, end))
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
    await Promise.all(underWay);
    if (failure !== undefined) throw (failure as { readonly error: unknown }).error;
  }

  async #sendBuffered(job: Job, source: StreamSource): Promise<void> {
    const { buffers } = this.#streams;
    buffers.enter();
    try {
      await this.#sendStream(job, source);
    } finally {
      buffers.leave();
    }
  }

  async #sendStream(job: Job, source: StreamSource): Promise<void> {
    const { call, options } = job;
    const reader = new FrameReader(source);
    let previous: Promise<void> = Promise.resolve();
    let sending = previous;
    try {
      for (let index = 0; ; index++) {
        const chunk = new RetainedChunk(reader, this.#streams.buffers, options.chunkBytes);
        const first = await call.unlessAborted(chunk.frame(0));
        if (first === undefined) break;
        const room = await this.#roomFor(job, chunk);
        sending = this.#send(job, index, chunk).finally(() => room?.end());
        sending.catch(() => undefined); // awaited below, perhaps after another failure
        await Promise.race([sending, chunk.whenComplete]);
        await previous; // so at most two are kept (V2)
        previous = sending;
      }
      await previous;
    } catch (error) {
      this.#sender.leave([previous, sending]);
      throw error;
    }
  }

  /** For the rest of a chunk whose first frame is here. */
  async #roomFor({ call, options }: Job, chunk: RetainedChunk): Promise<ChunkRoom | undefined> {
    if (chunk.isComplete) return undefined;
    const bytes = Math.min(options.chunkBytes, options.sizeBytes ?? Infinity);
    const room = await this.#streams.take(bytes, this.#parts.ports.timers, call.cancellation);
    chunk.readWithin(room);
    return room;
  }

  async #send(job: Job, index: number, body: ChunkBody): Promise<void> {
    const { replicas, code, fallback } = job.options;
    const redundancy = { replicas, code, fallback };
    const stored = await this.#sender.send(job.call, body, { ...redundancy, onSent: job.onSent });
    if (job.list.isAbandoned) this.#sender.abandon([stored.handle]);
    else await job.list.add(index, stored);
  }

  #commit(
    call: Call,
    options: SettledOptions,
    path: string,
    list: FinishedList,
  ): Promise<InodeInfo> {
    return this.#parts.metadata.mutate(call, "commit", commitOf(options, path, list));
  }

  /** The masters may forget what was recorded; without this they do so after a while. */
  #abandon(call: Call, list: ChunkList): void {
    const forget = async (): Promise<void> => {
      const { upload, handles } = await list.abandon();
      this.#sender.abandon(handles);
      if (upload === undefined || call.cancellation.aborted) return;
      await this.#parts.metadata.mutate(call, "abortUpload", { upload });
    };
    this.#sender.leave([forget().catch(() => undefined)]);
  }
}

function commitOf(
  options: SettledOptions,
  path: string,
  { upload, chunks, crc32c }: FinishedList,
): Ask<"commit"> {
  const { chunkBytes, replicas, code, precondition, makeParents, attributes, fence } = options;
  return {
    path,
    chunks,
    upload,
    chunkBytes,
    replicas,
    code,
    crc32c,
    inlineBytes: undefined,
    precondition,
    makeParents,
    attributes,
    fence,
  };
}

/** What the caller says of it all; undefined if the policy has to say something. */
function saidBy({ replicas, code, fallback }: WriteOptions): Placement | undefined {
  if (replicas === undefined) return undefined;
  return { replicas, code: code ?? { kind: "replicated" }, fallback: fallback ?? "refuse" };
}

/** What the policy says, but for what the caller does. */
function merged(policy: Placement, { code, fallback }: WriteOptions): Placement {
  if (code === undefined && fallback === undefined) return policy;
  const { replicas } = policy;
  return { replicas, code: code ?? policy.code, fallback: fallback ?? policy.fallback };
}

function settled(
  wishes: WriteOptions,
  { replicas, code, fallback }: Placement,
  sizeBytes: number,
): SettledOptions {
  return { ...wishes, replicas, code: codeFor(code, sizeBytes), fallback };
}

/** Bytes of a body, as far as they matter for how it is kept. */
async function sizeToDecide(
  source: ReplayableSource | PeekedStream,
  { sizeBytes }: WriteOptions,
  { code }: Placement,
): Promise<number> {
  if (source.kind === "replayable") return source.sizeBytes;
  if (sizeBytes !== undefined || code.kind !== "auto") return sizeBytes ?? 0;
  return source.peek(AUTO_CODED_BYTES_MIN);
}

function checkSize(source: Source, sizeBytes: number | undefined): void {
  if (source.kind === "stream" || sizeBytes === undefined) return;
  if (source.sizeBytes !== sizeBytes) throw wrongSize(source.sizeBytes, sizeBytes);
}

function checkWhole(list: FinishedList, sizeBytes: number | undefined): void {
  if (sizeBytes !== undefined && list.sizeBytes !== sizeBytes) {
    throw wrongSize(list.sizeBytes, sizeBytes);
  }
}

function wrongSize(actual: number, announced: number): LumeoError {
  return new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot store the body: it has ${actual} bytes, the option "size" says ${announced}`,
  );
}

function streamIsGone(path: string, cause: LumeoError): LumeoError {
  return new LumeoError(
    "GRANT_EXPIRED",
    `Cannot store "${path}": its chunks waited too long for the commit, ` +
      "and a stream cannot be read again; start over",
    { cause },
  );
}
