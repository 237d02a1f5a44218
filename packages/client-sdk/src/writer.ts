// put(): a body becomes chunks on chunkservers, then one commit makes them a file.
//
// V1. Nothing of a put is visible before its commit, and then all of it is.
// V2. Of a body that can be read again nothing is kept: PARALLEL_CHUNKS of its chunks are under way
//     at once. Of a stream at most two chunks are kept: the one that is being read and the one
//     before it, while that waits for its replicas.
// V3. A stream that has been read is never silently sent in part: a chunk that must be sent again
//     is sent from what is kept, and where that is not enough the put fails.

import { Budget, LumeoError, MiB } from "@lumeofs/base";
import {
  type Body,
  isEmpty,
  openBody,
  type ReplayableSource,
  type Source,
  type StreamSource,
} from "./body.js";
import type { Call } from "./call.js";
import {
  type ChunkBody,
  FrameBuffers,
  FrameReader,
  ReplayableChunk,
  RetainedChunk,
} from "./chunk-body.js";
import { ChunkList, type FinishedList } from "./chunk-list.js";
import type { ChunkSender } from "./chunk-sender.js";
import type { Metadata } from "./metadata.js";
import type { Attributes, Fence, InodeInfo, Precondition } from "./operations.js";
import { PlacementPolicies } from "./placement-policies.js";
import type { Ports } from "./ports.js";

/** Chunks of one body under way at once. */
const PARALLEL_CHUNKS = 3;
/** Bytes that all streams of a client together may keep beyond one chunk each. */
const OVERLAP_BYTES = 128 * MiB;
/** How often a body is stored anew because the masters no longer knew its chunks. */
const STORE_ATTEMPTS_MAX = 3;

/** How a file is written. */
export interface WriteOptions {
  readonly chunkBytes: number;
  /** Undefined for what the policy of the directory says. */
  readonly replicas: number | undefined;
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

interface SettledOptions extends WriteOptions {
  readonly replicas: number;
}

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
  readonly #overlap = new Budget(OVERLAP_BYTES);
  readonly #buffers = new FrameBuffers();

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#sender = parts.sender;
    this.#policies = new PlacementPolicies(parts.metadata, parts.ports.clock);
  }

  /** Stores a body as the file at `path`; the call's path may have been given differently. */
  put(call: Call, path: string, body: Body, wishes: WriteOptions): Promise<Written> {
    return isEmpty(body)
      ? this.#putEmpty(call, path, wishes)
      : this.#putBody(call, path, body, wishes);
  }

  async #putBody(call: Call, path: string, body: Body, wishes: WriteOptions): Promise<Written> {
    const source = await openBody(body);
    try {
      checkSize(source, wishes.sizeBytes);
      const options = await this.#settle(call, path, wishes);
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

  async #settle(call: Call, path: string, wishes: WriteOptions): Promise<SettledOptions> {
    const replicas = wishes.replicas ?? (await this.#policies.replicasFor(call, path));
    return { ...wishes, replicas };
  }

  /** A file without chunks is made by its commit alone. */
  async #putEmpty(call: Call, path: string, wishes: WriteOptions): Promise<Written> {
    const replicas = wishes.replicas ?? this.#policies.knownReplicasFor(path);
    const options =
      replicas === undefined ? await this.#settle(call, path, wishes) : { ...wishes, replicas };
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
    this.#buffers.enter();
    try {
      await this.#sendStream(job, source);
    } finally {
      this.#buffers.leave();
    }
  }

  async #sendStream(job: Job, source: StreamSource): Promise<void> {
    const { call, options } = job;
    const reader = new FrameReader(source);
    let previous: Promise<void> = Promise.resolve();
    for (let index = 0; ; index++) {
      const chunk = new RetainedChunk(reader, this.#buffers, options.chunkBytes);
      const first = await call.unlessAborted(chunk.frame(0));
      if (first === undefined) break;
      const sending = this.#send(job, index, chunk);
      sending.catch(() => undefined); // awaited below, perhaps after another failure
      await Promise.race([sending, chunk.whenComplete]);
      await previous; // so at most two are kept (V2)
      const overlap = this.#overlap.tryTake(options.chunkBytes);
      if (overlap === undefined) await sending;
      previous = sending.finally(() => overlap?.release());
      previous.catch(() => undefined); // as above
    }
    await previous;
  }

  async #send(job: Job, index: number, body: ChunkBody): Promise<void> {
    const { replicas } = job.options;
    const stored = await this.#sender.send(job.call, body, { replicas, onSent: job.onSent });
    await job.list.add(index, stored);
  }

  #commit(
    call: Call,
    options: SettledOptions,
    path: string,
    list: FinishedList,
  ): Promise<InodeInfo> {
    const { chunkBytes, replicas, precondition, makeParents, attributes, fence } = options;
    const { upload, chunks, crc32c } = list;
    return this.#parts.metadata.mutate(call, "commit", {
      path,
      chunks,
      upload,
      chunkBytes,
      replicas,
      code: undefined,
      crc32c,
      precondition,
      makeParents,
      attributes,
      fence,
    });
  }

  /** The masters may forget what was recorded; without this they do so after a while. */
  #abandon(call: Call, list: ChunkList): void {
    const forget = async (): Promise<void> => {
      const upload = await list.abandon();
      if (upload === undefined || call.cancellation.aborted) return;
      await this.#parts.metadata.mutate(call, "abortUpload", { upload });
    };
    forget().catch(() => undefined);
  }
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
