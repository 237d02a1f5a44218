// The appenders of a client, one for each path that is appended to: so all its appends to a file
// are in order, and find its tail without asking.

import { invariant, LumeoError } from "@lumeofs/base";
import type { Call } from "../call.js";
import { Appender, type AppenderParts, type FileWish } from "./appender.js";

/** A record is at most so long: it travels in one frame and is written in one piece. */
export const RECORD_BYTES_MAX = 512 * 1024;
/** Appenders kept; those that were not used for longest go first. */
const APPENDERS_MAX = 1_024;
/** Sessions are drawn below this. */
const SESSIONS = 2 ** 52;

/** Where a record stands. */
export interface AppendResult {
  readonly path: string;
  /** Of its first byte in the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export class Appenders {
  readonly #parts: AppenderParts;
  readonly #byPath = new Map<string, Appender>();

  constructor(parts: AppenderParts) {
    this.#parts = parts;
  }

  /** @throws LumeoError INVALID_ARGUMENT for a record that is empty or too long. */
  async append(
    call: Call,
    path: string,
    record: Uint8Array | string,
    wish: FileWish,
  ): Promise<AppendResult> {
    const bytes = typeof record === "string" ? new TextEncoder().encode(record) : record;
    const length = bytes.byteLength;
    if (length < 1 || RECORD_BYTES_MAX < length) {
      const limit = `a record has 1 to ${RECORD_BYTES_MAX} bytes`;
      throw new LumeoError("INVALID_ARGUMENT", `Cannot append ${length} bytes: ${limit}`);
    }
    const appended = this.#of(path).append(call, bytes, wish);
    const { offset } = await call.unlessAborted(appended);
    call.bytes += length;
    return { path, offset, length };
  }

  #of(path: string): Appender {
    const known = this.#byPath.get(path);
    if (known !== undefined) return known;
    const session = 1 + Math.floor(this.#parts.ports.random.fraction() * SESSIONS);
    const made = new Appender(path, session, this.#parts);
    this.#byPath.set(path, made);
    if (APPENDERS_MAX < this.#byPath.size) this.#dropIdle();
    return made;
  }

  #dropIdle(): void {
    const idle = [...this.#byPath].filter(([, appender]) => appender.isIdle);
    idle.sort(([, a], [, b]) => a.lastUsed - b.lastUsed);
    for (const [path] of idle.slice(0, Math.ceil(APPENDERS_MAX / 8))) this.#byPath.delete(path);
    invariant(0 < this.#byPath.size, "the appender that was just made is kept");
  }
}
