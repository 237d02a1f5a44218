// Conversion of one chunk, as the masters order it: its data is read from whoever has it, in copies
// or in units, and written to other servers under a new handle, in units or in copies. Nothing of
// it is kept here, and this server need not be one of either.
//
// T1. It is done only when all targets have it durably, and the data that was read is, as a whole,
//     what the masters say that it is.
// T2. What it holds is a stripe of the target, a piece or a stripe of the source, and two frames
//     for each target. All conversions together hold stripes of at most STRIPES_BYTES_MAX, or one.
// T3. Whatever ends it before, the targets drop what they have of a large chunk; the rest is
//     garbage when the grant has ended.

import {
  asLumeoError,
  Budget,
  type Cancellation,
  CancelSource,
  type ChunkHandle,
  type Closable,
  type Code,
  type Epoch,
  invariant,
  LumeoError,
  MiB,
  unitCount,
  unitLength,
} from "@lumeofs/base";
import { TwoHistories } from "../transfer/incoming-replica.js";
import type { SourceFault } from "../transfer/replica-copy.js";
import type { Holder } from "../transfer/replica-source.js";
import { type DataPorts, type DataSource, readData } from "./chunk-data.js";
import { encoderBytes, StripeEncoder } from "./stripe-encoder.js";
import { TargetWriter } from "./target-writer.js";

const STRIPES_BYTES_MAX = 64 * MiB;

export interface TranscodeOrder {
  readonly source: DataSource;
  readonly target: {
    readonly handle: ChunkHandle;
    readonly epoch: Epoch;
    readonly token: Uint8Array | undefined;
    /** Undefined: copies. */
    readonly code: Code | undefined;
    /** The primary first; of a coded chunk by the numbers of the units. */
    readonly servers: readonly Holder[];
  };
  /** 0 for no limit. */
  readonly bytesPerSecondMax: number;
}

export type TranscodeResult =
  | {
      readonly kind: "done";
      /** Of a coded target. */
      readonly unitCrcs: readonly number[];
      readonly faults: readonly SourceFault[];
    }
  | { readonly kind: "noSource"; readonly why: string; readonly faults: readonly SourceFault[] };

export interface TranscoderOptions extends DataPorts {
  /** Conversions at once. */
  readonly conversionsMax: number;
}

/** Where data goes. */
interface Sink {
  take(bytes: Uint8Array): Promise<void>;
  /** @returns Checksums of units. */
  finish(): Promise<readonly number[]>;
  close(): void;
}

/** See the head of this file. */
export class Transcoder implements Closable {
  readonly #options: TranscoderOptions;
  readonly #stripes = new Budget(STRIPES_BYTES_MAX);
  readonly #running = new Map<Promise<unknown>, CancelSource>();
  #isClosed = false;

  constructor(options: TranscoderOptions) {
    this.#options = options;
  }

  /** Conversions under way. */
  get inFlight(): number {
    return this.#running.size;
  }

  /**
   * @throws LumeoError OVERLOADED if as many are under way as this server does at once; an error
   *         that names the target that failed; TwoHistories of units; the signal's reason.
   */
  async run(order: TranscodeOrder, signal: Cancellation): Promise<TranscodeResult> {
    if (this.#isClosed) throw closed();
    const { conversionsMax } = this.#options;
    if (conversionsMax <= this.#running.size) {
      const message = `Cannot convert one more chunk: ${conversionsMax} are under way here; wait`;
      throw new LumeoError("OVERLOADED", message);
    }
    const ended = new CancelSource();
    const onAbort = (): void => ended.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const working = this.#convert(order, ended);
    this.#running.set(working, ended);
    try {
      return await working;
    } finally {
      this.#running.delete(working);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const ended of this.#running.values()) ended.abort(closed());
    await Promise.allSettled(this.#running.keys());
  }

  async #convert(order: TranscodeOrder, ended: CancelSource): Promise<TranscodeResult> {
    const { source, target, bytesPerSecondMax } = order;
    const bytes = target.code === undefined ? 0 : encoderBytes(target.code);
    const permit = bytes === 0 ? undefined : await this.#stripes.take(bytes, ended);
    const { chunk } = source;
    const sink = this.#sink(order, ended);
    const sum = { crc32c: 0 };
    const { crc32c } = this.#options;
    const take = (piece: Uint8Array): Promise<void> => {
      sum.crc32c = crc32c(piece, sum.crc32c);
      return sink.take(piece);
    };
    try {
      const limits = { bytesPerSecondMax, signal: ended };
      const { isWhole, faults } = await readData(this.#options, source, limits, take);
      if (!isWhole) return { kind: "noSource", why: whyOf(faults), faults };
      if (sum.crc32c !== chunk.crc32c) {
        const why = `its data has checksum ${sum.crc32c}, expected ${chunk.crc32c}`;
        return { kind: "noSource", why, faults };
      }
      return { kind: "done", unitCrcs: await sink.finish(), faults };
    } catch (error) {
      if (error instanceof TwoHistories)
        return { kind: "noSource", why: error.message, faults: [] };
      const failure = asLumeoError(error);
      ended.abort(failure); // targets that are still being written to are given up
      throw failure;
    } finally {
      sink.close();
      permit?.release();
    }
  }

  #sink({ source, target }: TranscodeOrder, signal: Cancellation): Sink {
    return target.code === undefined
      ? this.#copies(target, source.chunk.length, signal)
      : this.#units(target, target.code, { lengthBytes: source.chunk.length, signal });
  }

  #copies(target: TranscodeOrder["target"], lengthBytes: number, signal: Cancellation): Sink {
    const { handle, epoch, token } = target;
    const [primary, ...others] = target.servers;
    invariant(primary !== undefined, "copies have a primary", { handle });
    const author = primary.server;
    const chain = [primary, ...others] as const;
    const one = { handle, epoch, token, chain, author, lengthBytes };
    const writer = new TargetWriter(this.#options, one, signal);
    return {
      take: (bytes) => writer.write(bytes),
      finish: async () => {
        await writer.finish();
        return [];
      },
      close: () => writer.close(),
    };
  }

  #units(
    target: TranscodeOrder["target"],
    code: Code,
    { lengthBytes, signal }: { readonly lengthBytes: number; readonly signal: Cancellation },
  ): Sink {
    const { handle, epoch, token, servers } = target;
    invariant(servers.length === unitCount(code), "each unit has a server", { handle });
    const author = servers[0]?.server;
    invariant(author !== undefined, "units have an author", { handle });
    const writers = servers.map((server, unit) => {
      const length = unitLength(code, lengthBytes, unit);
      const one = { handle, epoch, token, author, lengthBytes: length, chain: [server] as const };
      return new TargetWriter(this.#options, one, signal);
    });
    const encoder = new StripeEncoder(code, lengthBytes, (unit, bytes) => {
      const writer = writers[unit];
      invariant(writer !== undefined, "a unit has a writer", { unit });
      return writer.write(bytes);
    });
    return {
      take: (bytes) => encoder.add(bytes),
      finish: async () => {
        invariant(encoder.isComplete, "all of a chunk is coded", { handle });
        await Promise.all(writers.map((writer) => writer.finish()));
        return writers.map((writer) => writer.crc32c);
      },
      close: () => {
        for (const writer of writers) writer.close();
      },
    };
  }
}

function whyOf(faults: readonly SourceFault[]): string {
  const each = faults.map(({ server, why }) => `server ${server}: ${why}`);
  return each.length === 0 ? "nobody has it" : each.join("; ");
}

function closed(): LumeoError {
  return new LumeoError("CLOSED", "Cannot convert: the chunkserver is stopping");
}
