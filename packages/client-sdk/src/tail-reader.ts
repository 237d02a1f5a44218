// What is being appended to a file at present: how long it is, and its bytes.
//
// T1. How long a tail is, its primary says; any member that has committed as much then gives the
//     bytes (rules 15 and 16 of docs/design/0019).
// T2. A tail that is sealed meanwhile is a chunk of the file like any other, with the same bytes at
//     the same place: the file is looked up again, and the reading goes on.

import { LumeoError, MiB } from "@lumeofs/base";
import { type Call, UNLIMITED } from "./call.js";
import type { Metadata } from "./metadata.js";
import type { TailLocation } from "./operations.js";
import type { TailPool, TailState } from "./rpc/tail-pool.js";
import { isTokenRefusal } from "./token-refusal.js";

/** A member that says nothing for so long is followed by the next one. */
const ANSWER_MS = 3_000;
/** What one request asks for. */
const PIECE_BYTES = 1 * MiB;

/** A tail with how much of it counts for a reading. */
export interface KnownTail {
  readonly location: TailLocation;
  readonly state: TailState;
}

export class TailReader {
  readonly #metadata: Metadata;
  readonly #tails: TailPool;

  constructor(metadata: Metadata, tails: TailPool) {
    this.#metadata = metadata;
    this.#tails = tails;
  }

  /**
   * How much is committed now.
   *
   * @throws LumeoError UNAVAILABLE if the file has to be looked up again: it is sealed by now, or
   *         its primary is gone.
   */
  async measure(call: Call, location: TailLocation): Promise<KnownTail> {
    const { timeoutMs } = call;
    const limits = { timeoutMs: Math.min(timeoutMs, ANSWER_MS), signal: call.cancellation };
    const [primary] = location.replicas;
    if (primary === undefined) throw lookAgain(location, undefined);
    try {
      const nothing = { offset: 0, length: 0, seen: undefined };
      const state = await this.#tails.read(primary, location, nothing, limits);
      return { location, state };
    } catch (error) {
      call.cancellation.throwIfAborted();
      if (!(error instanceof LumeoError)) throw error;
      if (error.code !== "SEALED") await this.#complain(call, location, error);
      throw lookAgain(location, error);
    }
  }

  /**
   * Bytes from `offset` on, counted from the beginning of the tail: at least one, at most as many
   * as are asked for. Undefined if it is sealed by now (T2).
   *
   * @param relocate  Looks the file's tail up again; undefined: it is another one, or none.
   */
  async read(
    call: Call,
    known: KnownTail,
    range: { readonly offset: number; readonly length: number },
    relocate: () => Promise<TailLocation | undefined>,
  ): Promise<readonly Uint8Array[] | undefined> {
    let location: TailLocation | undefined = known.location;
    return call.run({ idempotent: true, limitMs: UNLIMITED }, async (attempt) => {
      if (1 < attempt) location = await relocate();
      if (location?.handle !== known.location.handle) return undefined;
      return this.#readAny(call, { ...known, location }, range);
    });
  }

  async #readAny(
    call: Call,
    { location, state }: KnownTail,
    range: { readonly offset: number; readonly length: number },
  ): Promise<readonly Uint8Array[] | undefined> {
    const { epoch, seq } = state;
    const length = Math.min(range.length, PIECE_BYTES);
    const limits = {
      timeoutMs: Math.min(call.timeoutMs, ANSWER_MS),
      signal: call.cancellation,
    };
    let last: LumeoError | undefined;
    for (const replica of location.replicas) {
      try {
        const wish = { offset: range.offset, length, seen: { epoch, seq } };
        const { pieces } = await this.#tails.read(replica, location, wish, limits);
        const cut = firstBytes(pieces, length);
        if (0 < cut.length) return cut;
        last = new LumeoError("UNAVAILABLE", `"${replica.name}" does not have the records yet`);
      } catch (error) {
        call.cancellation.throwIfAborted();
        if (!(error instanceof LumeoError)) throw error;
        if (error.code === "SEALED") return undefined;
        last = error;
      }
    }
    throw lookAgain(location, last);
  }

  async #complain(call: Call, { handle, epoch }: TailLocation, error: LumeoError): Promise<void> {
    if (isTokenRefusal(error)) return;
    const why = `${error.code}: ${error.message}`;
    await this.#metadata
      .askLeader(call, "reportTail", { handle, epoch, why })
      .catch(() => undefined); // whoever looks the file up again hears of it
  }
}

function firstBytes(pieces: readonly Uint8Array[], length: number): readonly Uint8Array[] {
  let rest = length;
  const cut: Uint8Array[] = [];
  for (const piece of pieces) {
    const part = piece.subarray(0, rest);
    rest -= part.byteLength;
    if (0 < part.byteLength) cut.push(part);
  }
  return cut;
}

function lookAgain({ handle }: TailLocation, cause: LumeoError | undefined): LumeoError {
  const why = cause === undefined ? "it has no primary" : cause.message;
  return new LumeoError("UNAVAILABLE", `Cannot read what is appended in chunk ${handle}: ${why}`, {
    cause,
  });
}
