// A file that is read and written anywhere. What is written is kept here until `sync`, which sends
// every chunk that changed as a new one and lets the file have them in one step.
//
// F1. Others see all of what a sync brings, or nothing; and it succeeds only if nobody else changed
//     the file since it was opened, or synced last, but for records behind its end. What somebody
//     changes behind a sync is the matter of the next call, not of that sync.
// F2. At most DIRTY_BYTES_MAX are kept: more are synced on the way.
// F3. Calls on one file run one after the other.

import { invariant, LumeoError, MiB } from "@lumeofs/base";
import type { Appenders, AppendResult } from "../append/appenders.js";
import { openBody } from "../body.js";
import type { Call } from "../call.js";
import { ReplayableChunk } from "../chunk-body.js";
import { CHUNK_PAGE } from "../chunk-map.js";
import type { ChunkSender } from "../chunk-sender.js";
import { type FileInfo, toFileInfo } from "../file-info.js";
import type { Metadata } from "../metadata.js";
import type { RunCall } from "../metadata-runner.js";
import type { ChunkRef, InodeInfo } from "../operations.js";
import type { CallOptions } from "../options.js";
import type { PlacementPolicies } from "../placement-policies.js";
import { measured, type Reader, sizeWith } from "../reader.js";
import type { KnownTail, TailReader } from "../tail-reader.js";
import { Overlay } from "./overlay.js";
import { type BaseChunk, type Segment, segmentsOf } from "./segments.js";

/** Written and not synced. */
const DIRTY_BYTES_MAX = 64 * MiB;
/** New chunks of one sync. */
const NEW_CHUNKS_MAX = 256;
/** How often a sync begins anew because records were appended meanwhile. */
const ATTEMPTS_MAX = 5;

export interface LumeoFileParts {
  readonly run: RunCall;
  readonly metadata: Metadata;
  readonly policies: PlacementPolicies;
  readonly reader: Reader;
  readonly tails: TailReader;
  readonly sender: ChunkSender;
  readonly appenders: Appenders;
}

/** The file as the masters had it when it was looked at last. */
interface Base {
  readonly info: InodeInfo;
  readonly chunks: readonly BaseChunk[];
  readonly tail: KnownTail | undefined;
  /** With what was being appended. */
  readonly sizeBytes: number;
}

export class LumeoFile implements AsyncDisposable {
  readonly path: string;
  readonly #parts: LumeoFileParts;
  readonly #isWritable: boolean;
  readonly #overlay = new Overlay();
  #base: Base;
  #sizeBytes: number;
  /** Bytes of the base at or behind this are not the file's any more: it was cut there once. */
  #baseEnd: number;
  #isClosed = false;
  /** Our last change took effect, and somebody has changed the file since. */
  #overtaken: LumeoError | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, base: Base, isWritable: boolean, parts: LumeoFileParts) {
    this.path = path;
    this.#parts = parts;
    this.#isWritable = isWritable;
    this.#base = base;
    this.#sizeBytes = base.sizeBytes;
    this.#baseEnd = base.sizeBytes;
  }

  static async open(
    call: Call,
    path: string,
    isWritable: boolean,
    parts: LumeoFileParts,
  ): Promise<LumeoFile> {
    return new LumeoFile(path, await load(call, path, 0, parts), isWritable, parts);
  }

  /** Bytes, with what is not synced yet. */
  get size(): number {
    return this.#sizeBytes;
  }

  /** As many of `length` bytes from `position` on as the file has. */
  read(position: number, length: number, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#inTurn("file.read", options, (call) => {
      checkBounds(position, length);
      this.#checkCurrent();
      const end = Math.min(position + length, this.#sizeBytes);
      return this.#bytes(call, Math.min(position, end), end);
    });
  }

  /** Puts bytes at a position; a gap between the end and there is zeros. They may change then. */
  write(data: Uint8Array, position: number, options: CallOptions = {}): Promise<void> {
    const bytes = new Uint8Array(data); // slice() of a Buffer would copy nothing
    return this.#inTurn("file.write", options, async (call) => {
      this.#checkWritable();
      checkBounds(position, bytes.byteLength);
      for (let at = 0; at < bytes.byteLength; at += DIRTY_BYTES_MAX) {
        const part = bytes.subarray(at, at + DIRTY_BYTES_MAX);
        if (DIRTY_BYTES_MAX < this.#overlay.byteLength + part.byteLength) await this.#sync(call);
        this.#checkCurrent();
        this.#overlay.write(position + at, part);
        this.#sizeBytes = Math.max(this.#sizeBytes, position + at + part.byteLength);
      }
    });
  }

  /** Cuts the file, or makes it longer with zeros. */
  truncate(sizeBytes: number, options: CallOptions = {}): Promise<void> {
    return this.#inTurn("file.truncate", options, async () => {
      this.#checkWritable();
      checkBounds(sizeBytes, 0);
      this.#checkCurrent();
      this.#overlay.cut(sizeBytes);
      this.#baseEnd = Math.min(this.#baseEnd, sizeBytes);
      this.#sizeBytes = sizeBytes;
    });
  }

  /** Syncs, then adds a record at the end, wherever that is by then: see `Lumeo.append`. */
  append(record: Uint8Array | string, options: CallOptions = {}): Promise<AppendResult> {
    return this.#inTurn("file.append", options, async (call) => {
      this.#checkWritable();
      await this.#sync(call);
      this.#checkCurrent();
      const wish = { create: false, makeParents: false, replicas: this.#base.info.replicas };
      const appended = await this.#parts.appenders.append(call, this.path, record, wish);
      await this.#rebase(call, this.#base.info.revision);
      return appended;
    });
  }

  /** Brings all that was written into the file, durably. @throws LumeoError LUMEO_CONFLICT (F1) */
  sync(options: CallOptions = {}): Promise<void> {
    return this.#inTurn("file.sync", options, (call) => this.#sync(call));
  }

  /** What the masters know of the file, without what is not synced yet. */
  stat(options: CallOptions = {}): Promise<FileInfo> {
    return this.#inTurn("file.stat", options, async (call) => {
      const { info, tail } = await load(call, this.path, 0, this.#parts);
      return toFileInfo(info, undefined, call.freshness, tail);
    });
  }

  /** Syncs, and lets nothing happen any more. Harmless the second time. */
  async close(options: CallOptions = {}): Promise<void> {
    if (this.#isClosed) return;
    await this.sync(options);
    this.#isClosed = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One call behind the other. (F3) */
  #inTurn<T>(method: string, options: CallOptions, action: (call: Call) => Promise<T>): Promise<T> {
    const before = this.#last.catch(() => undefined);
    const mine = before.then(() =>
      this.#parts.run(method, this.path, options, async (call) => {
        if (!this.#isClosed) return action(call);
        throw new LumeoError("CLOSED", `Cannot use "${this.path}" any more: the file is closed`);
      }),
    );
    this.#last = mine;
    return mine;
  }

  #checkWritable(): void {
    if (this.#isWritable) return;
    const way = 'open it with "r+"';
    throw new LumeoError(
      "INVALID_ARGUMENT",
      `Cannot write "${this.path}": open for reading; ${way}`,
    );
  }

  /** @throws LumeoError CONFLICT (F1) */
  #checkCurrent(): void {
    if (this.#overtaken !== undefined) throw this.#overtaken;
  }

  get #isDirty(): boolean {
    if (this.#overtaken !== undefined) return false;
    return (
      0 < this.#overlay.byteLength ||
      this.#sizeBytes !== this.#base.sizeBytes ||
      this.#baseEnd < this.#base.sizeBytes
    );
  }

  async #sync(call: Call): Promise<void> {
    for (let attempt = 1; this.#isDirty; attempt++) {
      const { info, tail } = this.#base;
      try {
        if (tail === undefined) return await this.#commit(call);
        await this.#sealTail(call);
      } catch (error) {
        const isOther = error instanceof LumeoError && error.code === "PRECONDITION";
        if (!isOther || ATTEMPTS_MAX <= attempt) throw error;
        await this.#rebase(call, info.revision);
      }
    }
  }

  /** Sends the chunks that changed, and lets the file have them. (F1) */
  async #commit(call: Call): Promise<void> {
    const { info, chunks } = this.#base;
    const wish = { sizeBytes: this.#sizeBytes, chunkBytes: info.chunkBytes };
    const segments = segmentsOf(chunks, wish, (start, end) => {
      return (
        this.#overlay.touches(start, end) || this.#baseEnd < Math.min(end, this.#base.sizeBytes)
      );
    });
    const fresh = segments.filter(({ isSame }) => !isSame).length;
    if (NEW_CHUNKS_MAX < fresh) {
      const limit = `${fresh} chunks would change, at most ${NEW_CHUNKS_MAX} do at once`;
      throw new LumeoError("INVALID_ARGUMENT", `Cannot write "${this.path}": ${limit}`);
    }
    const keep = Math.min(chunks.length, segments.length);
    const replaced: { position: number; chunk: ChunkRef }[] = [];
    const appended: ChunkRef[] = [];
    const sent: number[] = [];
    const edit = async (): Promise<InodeInfo> => {
      for (const [position, segment] of segments.entries()) {
        if (segment.isSame) continue;
        const chunk = await this.#send(call, segment);
        sent.push(chunk.handle);
        if (position < keep) replaced.push({ position, chunk });
        else appended.push(chunk);
      }
      const ask = { path: this.path, revision: info.revision, keep, replaced, appended };
      return this.#parts.metadata.mutate(call, "editFile", ask);
    };
    const edited = await edit().catch((error: unknown) => {
      this.#parts.sender.abandon(sent);
      throw error;
    });
    this.#overlay.clear();
    await this.#follow(call, edited.revision);
  }

  /** Goes on from our own change; where that is not the last one any more, nothing does. (F1) */
  async #follow(call: Call, revision: number): Promise<void> {
    try {
      this.#setBase(await load(call, this.path, revision, this.#parts));
    } catch (error) {
      const isKnown = error instanceof LumeoError;
      if (!isKnown || (error.code !== "CONFLICT" && error.code !== "NOT_FOUND")) throw error;
      this.#overtaken = changed(this.path, error);
    }
  }

  /**
   * What is being appended becomes a chunk when the file is to change: this asks for no change.
   *
   * @throws LumeoError PRECONDITION if it held something: then the file has another revision.
   */
  async #sealTail(call: Call): Promise<void> {
    const { info, chunks } = this.#base;
    const { revision } = info;
    const same = { path: this.path, revision, keep: chunks.length, replaced: [], appended: [] };
    const edited = await this.#parts.metadata.mutate(call, "editFile", same);
    this.#base = await load(call, this.path, edited.revision, this.#parts);
  }

  /** Goes on from what the file is now, if it was only appended to. (F1) */
  async #rebase(call: Call, revision: number): Promise<void> {
    const before = this.#base;
    const base = await load(call, this.path, revision, this.#parts).catch((error: unknown) => {
      const isOther = error instanceof LumeoError && error.code === "CONFLICT";
      throw isOther ? changed(this.path, error) : error;
    });
    if (base.sizeBytes === before.sizeBytes) {
      this.#base = base;
      return;
    }
    const isWithin = this.#overlay.end <= before.sizeBytes;
    const isAsLong = this.#sizeBytes === before.sizeBytes && this.#baseEnd === before.sizeBytes;
    if (!isWithin || !isAsLong) throw changed(this.path);
    this.#setBase(base);
  }

  #setBase(base: Base): void {
    this.#base = base;
    this.#sizeBytes = base.sizeBytes;
    this.#baseEnd = base.sizeBytes;
  }

  async #send(call: Call, { start, end }: Segment): Promise<ChunkRef> {
    const source = await openBody(await this.#bytes(call, start, end));
    invariant(source.kind === "replayable", "bytes in memory can be read again");
    const body = new ReplayableChunk(source, 0, end - start);
    const { replicas, code } = this.#base.info;
    const { policies, sender } = this.#parts;
    const fallback =
      code === undefined ? "refuse" : (await policies.placementFor(call, this.path)).fallback;
    const onSent = (bytes: number): void => {
      call.bytes += bytes;
    };
    const options = { replicas, code, fallback, onSent };
    const { handle, epoch, lengthBytes, crc32c, coding } = await sender.send(call, body, options);
    return { handle, epoch, lengthBytes, crc32c, coding };
  }

  /** Bytes of the file as it is to be. */
  async #bytes(call: Call, start: number, end: number): Promise<Uint8Array> {
    const target = new Uint8Array(end - start);
    const range = { start, end: Math.min(end, this.#baseEnd) };
    if (range.start < range.end) {
      const { reader } = this.#parts;
      const { revision } = this.#base.info;
      const plan = await reader.planAt(call, this.path, range, revision);
      let at = 0;
      for await (const piece of reader.read(call, plan, () => Promise.reject(changed(this.path)))) {
        target.set(piece, at);
        at += piece.byteLength;
      }
    }
    this.#overlay.applyTo(target, start);
    return target;
  }
}

/** The file with all its chunks. @param revision  It must be a beginning of what it is; 0: any. */
async function load(
  call: Call,
  path: string,
  revision: number,
  { metadata, tails }: Pick<LumeoFileParts, "metadata" | "tails">,
): Promise<Base> {
  const chunks: BaseChunk[] = [];
  let offset = 0;
  for (let seen = revision; ; ) {
    const page = { firstChunk: chunks.length, chunkCountMax: CHUNK_PAGE, revision: seen };
    const ask = { path, version: 0, ...page };
    const found = await measured(call, tails, () => metadata.query(call, "stat", ask));
    const { info, tail } = found;
    if (info.kind === "dir") {
      throw new LumeoError("IS_DIRECTORY", `Cannot open "${path}": it is a directory`);
    }
    for (const { lengthBytes } of found.chunks) {
      chunks.push({ offset, lengthBytes });
      offset += lengthBytes;
    }
    seen = info.revision;
    if (chunks.length < info.chunkCount && 0 < found.chunks.length) continue;
    return { info, chunks, tail, sizeBytes: sizeWith(info, tail) };
  }
}

function changed(path: string, cause?: LumeoError): LumeoError {
  const why = "somebody else has changed it since it was opened; open it again";
  return new LumeoError("CONFLICT", `Cannot go on with "${path}": ${why}`, { cause });
}

function checkBounds(position: number, length: number): void {
  const isWhole = Number.isSafeInteger(position) && Number.isSafeInteger(length);
  if (isWhole && 0 <= position && 0 <= length && Number.isSafeInteger(position + length)) return;
  const message = `Cannot use position ${position} and length ${length}: whole numbers from 0`;
  throw new LumeoError("INVALID_ARGUMENT", message);
}
