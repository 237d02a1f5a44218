// Small files that the masters keep themselves: the content goes with the commit, in one message,
// and no chunkserver is asked (docs/design/0031).
//
// I1. The masters say up to which size, when they open the session, and decide in each case: what
//     they refuse is written as chunks, under another request.
// I2. A refusal is remembered for REFUSED_MS: until then, files that are no smaller and are to have
//     as many copies are not offered, so that a cluster that refuses costs one message now and then
//     and not one for each file.

import { type Clock, KiB, LumeoError } from "@lumeofs/base";
import type { ReplayableSource, Source } from "./body.js";
import type { Call } from "./call.js";
import type { Metadata } from "./metadata.js";
import type { Ask, InodeInfo } from "./operations.js";
import { PeekedStream } from "./peeked-stream.js";

/** Larger ones are never offered, whatever the masters say. */
export const INLINE_BYTES_CEILING = 16 * KiB;

/** How long a refusal stands here. */
export const REFUSED_MS = 5_000;

/** Files from this size on are not taken for a while. */
interface Refusal {
  readonly bytesMin: number;
  readonly until: number;
}

export class InlinePuts {
  readonly #metadata: Pick<Metadata, "inlineBytesMax" | "mutate">;
  readonly #clock: Clock;
  /** By the copies that were asked for: what the masters refuse may rest on these. */
  readonly #refusals = new Map<number, Refusal>();

  constructor(metadata: Pick<Metadata, "inlineBytesMax" | "mutate">, clock: Clock) {
    this.#metadata = metadata;
    this.#clock = clock;
  }

  /** Bytes of the largest file worth offering; 0 for none. Opens the session if there is none. */
  bytesMax(call: Call, replicas: number): number | Promise<number> {
    const most = this.#metadata.inlineBytesMax(call);
    if (typeof most === "number") return this.#offered(most, replicas);
    return most.then((said) => this.#offered(said, replicas));
  }

  /** What is left of that after refusals (I2). */
  #offered(said: number, replicas: number): number {
    const most = Math.min(said, INLINE_BYTES_CEILING);
    const refusal = this.#refusals.get(replicas);
    if (refusal === undefined) return most;
    if (this.#clock.monotonicMs() < refusal.until) return Math.min(most, refusal.bytesMin - 1);
    this.#refusals.delete(replicas);
    return most;
  }

  /**
   * Commits a file with its content.
   *
   * @returns Undefined if the masters do not take it (I1).
   * @throws LumeoError PROTOCOL if they have taken something else; else as for any commit.
   */
  commit(
    call: Call,
    ask: Ask<"commit"> & { readonly inlineBytes: Uint8Array },
  ): Promise<InodeInfo | undefined> {
    const { byteLength } = ask.inlineBytes;
    const stored = (info: InodeInfo): InodeInfo => {
      if (info.sizeBytes === byteLength && info.crc32c === ask.crc32c) return info;
      // A master that does not know the field takes the file for an empty one.
      const what = `${info.sizeBytes} bytes of ${byteLength}`;
      throw new LumeoError("PROTOCOL", `Cannot store "${ask.path}": the masters have kept ${what}`);
    };
    const failed = (error: unknown): undefined => {
      if (!(error instanceof LumeoError) || error.code !== "INLINE_REFUSED") throw error;
      const now = this.#clock.monotonicMs();
      // Larger ones were on their way when a smaller one was refused.
      const before = this.#refusals.get(ask.replicas);
      const known = before === undefined || before.until <= now ? Infinity : before.bytesMin;
      const bytesMin = Math.min(byteLength, known);
      this.#refusals.set(ask.replicas, { bytesMin, until: now + REFUSED_MS });
    };
    return this.#metadata.mutate(call, "commit", ask).then(stored, failed);
  }
}

/** The whole body if it has at most so many bytes, and is not empty; 0: none is wanted. */
export async function smallBodyOf(
  source: Source,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  const bytes = bytesMax === 0 ? undefined : await wholeOf(source, bytesMax);
  return bytes?.byteLength === 0 ? undefined : bytes;
}

function wholeOf(source: Source, bytesMax: number): Promise<Uint8Array | undefined> | undefined {
  if (source.kind === "replayable") {
    return source.sizeBytes <= bytesMax ? allOf(source) : undefined;
  }
  return source instanceof PeekedStream ? source.whole(bytesMax) : undefined;
}

async function allOf(source: ReplayableSource): Promise<Uint8Array> {
  if (source.bytes !== undefined) return source.bytes;
  const pieces: Uint8Array[] = [];
  for await (const piece of source.read(0, source.sizeBytes)) pieces.push(piece);
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
}
