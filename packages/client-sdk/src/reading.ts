// The content of a file on its way to whoever asked for it, like fetch's Response: it can be taken
// once, in the form that suits. Nothing is fetched before.

import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { KiB, LumeoError, MiB } from "@lumeofs/base";
import { toPublic } from "./error.js";
import type { FileInfo } from "./file-info.js";
import type { ByteRange } from "./span.js";

/** Bytes that a Node stream may hold for a slow reader. */
const STREAM_BUFFER_BYTES = 256 * KiB;
const FILE_BUFFER_BYTES = 2 * MiB;

/** Content that can be read once. Dispose of it if it is not read to its end. */
export interface Reading extends AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly info: FileInfo;
  /** The bytes that it gives: from `start` up to, not including, `end`. */
  readonly range: ByteRange;
  stream(): ReadableStream<Uint8Array>;
  node(): Readable;
  bytes(): Promise<Uint8Array>;
  text(encoding?: string): Promise<string>;
  json<T = unknown>(): Promise<T>;
  blob(): Promise<Blob>;
  /**
   * Writes a local file. It appears under its name when it is complete: until then the bytes lie
   * beside it under another name.
   */
  saveTo(file: string): Promise<void>;
}

/** What a reading is about, and where its bytes come from. */
export interface ReadingSource {
  /** As of now: another revision may take the place of the first before anything is given out. */
  current(): { readonly info: FileInfo; readonly range: ByteRange };
  /** Starts fetching. Called once. */
  open(): AsyncGenerator<Uint8Array, void, undefined>;
  /** Stops fetching at once, or makes sure that it never starts. */
  cancel(): void;
  /** A suffix for the name of an unfinished file that nobody else uses. */
  uniqueName(): string;
}

export class FileReading implements Reading {
  readonly #source: ReadingSource;
  #pieces: AsyncGenerator<Uint8Array, void, undefined> | undefined;

  constructor(source: ReadingSource) {
    this.#source = source;
  }

  get info(): FileInfo {
    return this.#source.current().info;
  }

  get range(): ByteRange {
    return this.#source.current().range;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#take();
  }

  stream(): ReadableStream<Uint8Array> {
    const pieces = this.#take();
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { done, value } = await pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => this[Symbol.asyncDispose](),
    });
  }

  node(): Readable {
    return this.#node(STREAM_BUFFER_BYTES);
  }

  async bytes(): Promise<Uint8Array> {
    const pieces = await gather(this.#take());
    return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
  }

  async text(encoding = "utf-8"): Promise<string> {
    const decoder = new TextDecoder(encoding);
    return decoder.decode(await this.bytes());
  }

  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text()) as T;
  }

  async blob(): Promise<Blob> {
    return new Blob((await gather(this.#take())) as Uint8Array<ArrayBuffer>[]);
  }

  async saveTo(file: string): Promise<void> {
    const path = this.info.path;
    try {
      await this.#saveTo(file);
    } catch (error) {
      this.#source.cancel();
      throw toPublic(localError(file, error), path, 1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#source.cancel();
    await this.#pieces?.return();
  }

  async #saveTo(file: string): Promise<void> {
    const existing = await stat(file).catch(() => undefined);
    if (existing?.isDirectory() === true) {
      throw new LumeoError("IS_DIRECTORY", `Cannot save to local file "${file}": it is a folder`);
    }
    if (existing !== undefined && !existing.isFile()) {
      await this.#pipeTo(file, "w"); // a pipe or device cannot be replaced by another file
      return;
    }
    const unfinished = `${file}.lumeo-${this.#source.uniqueName()}.tmp`;
    try {
      await this.#pipeTo(unfinished, "wx");
      await rename(unfinished, file);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  }

  async #pipeTo(file: string, flags: string): Promise<void> {
    const target = createWriteStream(file, { flags, highWaterMark: FILE_BUFFER_BYTES });
    await pipeline(this.#node(FILE_BUFFER_BYTES), target);
  }

  #node(bufferBytes: number): Readable {
    return Readable.from(this.#take(), { objectMode: false, highWaterMark: bufferBytes });
  }

  #take(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#pieces !== undefined) {
      const message = `Cannot read "${this.info.path}" again: this reading is used; call get()`;
      throw toPublic(new LumeoError("INVALID_ARGUMENT", message), this.info.path, 1);
    }
    this.#pieces = this.#source.open();
    return this.#pieces;
  }
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

/** What the local disk says, as an error of ours. */
function localError(file: string, thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !("syscall" in thrown)) return thrown;
  const { code, message } = thrown as NodeJS.ErrnoException;
  const what = `Cannot save to local file "${file}": ${message}`;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new LumeoError("NO_SPACE", what, { cause: thrown });
  if (code === "ENOENT") return new LumeoError("NOT_FOUND", what, { cause: thrown });
  return new LumeoError("INVALID_ARGUMENT", what, { cause: thrown });
}
