// What a caller may store, as one of two kinds: a body that can be read again from any position, or
// a stream that can be read once.
//
// B1. A piece that a replayable body gives never changes afterwards.
// B2. Pieces of a stream belong to the caller: whoever keeps their bytes copies them.
// B3. `close` is called exactly once when the body is not read any more, also after a failure, and
//     also while `next` still waits for a piece.

import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Readable } from "node:stream";
import { LumeoError, MiB } from "@lumeofs/base";

/** Everything that `put` takes. Memory given as a body must not change until `put` has ended. */
export type Body =
  | string
  | Uint8Array
  | ArrayBuffer
  | Blob
  | ReadableStream<Uint8Array>
  | NodeJS.ReadableStream
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array | string>
  | { readonly file: string };

/** Can be read any number of times. */
export interface ReplayableSource {
  readonly kind: "replayable";
  readonly sizeBytes: number;
  /** All of it, where it is in memory. */
  readonly bytes?: Uint8Array;
  /** The bytes from `start` to `end`, of which there are so many; pieces of any size (B1). */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Can be read once. */
export interface StreamSource {
  readonly kind: "stream";
  /** The next piece (B2), or undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

export type Source = ReplayableSource | StreamSource;

/** Bytes that are read from a local file at once. */
const FILE_READ_BYTES = 1 * MiB;

const encoder = new TextEncoder();

/**
 * Opens a body for reading.
 *
 * @throws LumeoError NOT_FOUND if a local file is missing, IS_DIRECTORY if it is a folder;
 *         INVALID_ARGUMENT if it cannot be read or the body is of no known kind.
 */
export async function openBody(body: Body): Promise<Source> {
  if (typeof body === "string") return memory(encoder.encode(body));
  if (body instanceof ArrayBuffer) return memory(new Uint8Array(body));
  if (ArrayBuffer.isView(body)) {
    return memory(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  }
  if (body instanceof Blob) return blob(body);
  if (isFile(body)) return openFile(body.file);
  if (body instanceof ReadableStream) return webStream(body);
  if (isNodeStream(body)) return nodeStream(body);
  if (typeof body === "object" && body !== null) {
    if (Symbol.asyncIterator in body) return iterated(body[Symbol.asyncIterator]());
    if (Symbol.iterator in body) return iterated(body[Symbol.iterator]());
  }
  throw new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot store a body of type ${typeof body}: ` +
      "expected text, bytes, a Blob, a stream, an iterable or { file }",
  );
}

/** The bytes of a body that is in memory and has at most so many; undefined of any other. */
export function inMemory(body: Body, bytesMax: number): Uint8Array | undefined {
  const bytes = typeof body === "string" ? encodedText(body, bytesMax) : bytesIn(body);
  return bytes !== undefined && bytes.byteLength <= bytesMax ? bytes : undefined;
}

/** Text of more characters has more bytes, too: it is not encoded to find that out. */
function encodedText(text: string, bytesMax: number): Uint8Array | undefined {
  return text.length <= bytesMax ? encoder.encode(text) : undefined;
}

function bytesIn(body: Body): Uint8Array | undefined {
  if (body instanceof Uint8Array) return body;
  return body instanceof ArrayBuffer ? new Uint8Array(body) : undefined;
}

/** Whether it is known beforehand that the body has no bytes. */
export function isEmpty(body: Body): boolean {
  if (typeof body === "string") return body === "";
  return (ArrayBuffer.isView(body) || body instanceof ArrayBuffer) && body.byteLength === 0;
}

function isFile(body: unknown): body is { readonly file: string } {
  return (
    typeof body === "object" && body !== null && "file" in body && typeof body.file === "string"
  );
}

function memory(bytes: Uint8Array): ReplayableSource {
  return {
    kind: "replayable",
    sizeBytes: bytes.byteLength,
    bytes,
    async *read(start, end) {
      yield bytes.subarray(start, end);
    },
    async close() {},
  };
}

function blob(body: Blob): ReplayableSource {
  return {
    kind: "replayable",
    sizeBytes: body.size,
    async *read(start, end) {
      for (let at = start; at < end; at += FILE_READ_BYTES) {
        const part = body.slice(at, Math.min(at + FILE_READ_BYTES, end));
        yield new Uint8Array(await part.arrayBuffer());
      }
    },
    async close() {},
  };
}

function webStream(body: ReadableStream<Uint8Array>): StreamSource {
  const reader = body.getReader();
  return {
    kind: "stream",
    async next() {
      const { done, value } = await reader.read();
      return done ? undefined : asBytes(value);
    },
    close: () => reader.cancel(), // also while a read waits; harmless at the end
  };
}

function isNodeStream(body: unknown): body is NodeJS.ReadableStream {
  return typeof body === "object" && body !== null && "pipe" in body && "on" in body;
}

function nodeStream(body: NodeJS.ReadableStream): StreamSource {
  const readable = body instanceof Readable ? body : new Readable().wrap(body);
  const iterator = readable[Symbol.asyncIterator]();
  return {
    kind: "stream",
    next: () => nextOf(iterator),
    async close() {
      readable.destroy(); // the iterator's own end would wait for data that may never come
    },
  };
}

type Pieces = AsyncIterator<Uint8Array | string> | Iterator<Uint8Array | string>;

function iterated(iterator: Pieces): StreamSource {
  let isOver = false;
  return {
    kind: "stream",
    async next() {
      const piece = await nextOf(iterator);
      isOver = piece === undefined;
      return piece;
    },
    async close() {
      if (!isOver) await iterator.return?.();
    },
  };
}

async function nextOf(iterator: Pieces): Promise<Uint8Array | undefined> {
  const { done, value } = await iterator.next();
  return done === true ? undefined : asBytes(value);
}

function asBytes(piece: unknown): Uint8Array {
  if (typeof piece === "string") return encoder.encode(piece);
  if (piece instanceof Uint8Array) return piece;
  throw new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot store a piece of type ${typeof piece}: a stream must give bytes or text`,
  );
}

/** A regular file is read by position; a pipe or device as a stream. */
async function openFile(path: string): Promise<Source> {
  const handle = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      throw new LumeoError("IS_DIRECTORY", `Cannot read local file "${path}": it is a folder`);
    }
    if (stats.isFile()) return regularFile(path, handle, stats.size);
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return nodeStream(createReadStream(path));
}

function regularFile(path: string, handle: FileHandle, sizeBytes: number): ReplayableSource {
  return {
    kind: "replayable",
    sizeBytes,
    async *read(start, end) {
      for (let at = start; at < end; ) {
        const buffer = Buffer.allocUnsafeSlow(Math.min(FILE_READ_BYTES, end - at));
        const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, at);
        if (bytesRead === 0) {
          throw new LumeoError(
            "INVALID_ARGUMENT",
            `Cannot store local file "${path}": it shrank to ${at} of ${sizeBytes} bytes meanwhile`,
          );
        }
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    },
    close: () => handle.close(),
  };
}

function unreadable(path: string, cause: unknown): LumeoError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "ENOENT") {
    return new LumeoError("NOT_FOUND", `Cannot read local file "${path}": it does not exist`);
  }
  // "EACCES: permission denied, open 'a'" becomes "permission denied".
  const reason = /^E[A-Z0-9]+: (.+?), \w+/s.exec(message)?.[1] ?? message;
  return new LumeoError("INVALID_ARGUMENT", `Cannot read local file "${path}": ${reason}`, {
    cause,
  });
}
