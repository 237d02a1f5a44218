// One replica made or healed from those of other servers.
//
// P1. The next source goes on where the one before it failed: a byte that came checked is not
//     fetched again, unless the whole turns out wrong.
// P2. Nothing is recorded before it is whole, and under the record of its source: see
//     IncomingReplica. If that is not of one history with what is here, the chunk is stopped.
// P3. It holds two pieces of at most 1 MiB at a time, beside a small chunk as a whole.

import { type Cancellation, LumeoError, type ServerId } from "@lumeofs/base";
import {
  type IncomingOrder,
  type IncomingPorts,
  IncomingReplica,
  TwoHistories,
} from "./incoming-replica.js";
import {
  type Holder,
  isBadReplica,
  PIECE_BYTES,
  type Piece,
  readPiece,
  type SourcePorts,
} from "./replica-source.js";

export interface CopyOrder extends IncomingOrder {
  /** Asked in this order. */
  readonly sources: readonly Holder[];
}

/** Why a source did not give what it should have. */
export interface SourceFault {
  readonly server: ServerId;
  /** Its replica is not what it should be; else it was not reached, or broke off. */
  readonly isBad: boolean;
  readonly why: string;
}

export type CopyResult =
  | {
      readonly kind: "copied";
      readonly readBytes: number;
      readonly faults: readonly SourceFault[];
    }
  | { readonly kind: "here" }
  | { readonly kind: "noSource"; readonly faults: readonly SourceFault[] }
  | { readonly kind: "twoHistories"; readonly why: string };

export interface CopyPorts extends SourcePorts, IncomingPorts {}

/** One copy under way. */
export class ReplicaCopy {
  readonly #ports: CopyPorts;
  readonly #order: CopyOrder;
  readonly #signal: Cancellation;
  readonly #incoming: IncomingReplica;
  readonly #faults: SourceFault[] = [];
  #readBytes = 0;

  constructor(ports: CopyPorts, order: CopyOrder, signal: Cancellation) {
    this.#ports = ports;
    this.#order = order;
    this.#signal = signal;
    this.#incoming = new IncomingReplica(ports, order, signal);
  }

  /**
   * @throws LumeoError STALE_EPOCH, CONFLICT (other intact bytes of the same record are here),
   *         NO_SPACE, STORE_FAILED, CLOSED; the signal's reason, and then nothing is left of it.
   */
  async run(): Promise<CopyResult> {
    const { handle } = this.#order.chunk;
    try {
      if (await this.#incoming.isHere()) return { kind: "here" };
      for (const source of this.#order.sources) {
        const fault = await this.#pull(source);
        if (fault === undefined) return await this.#finish();
        this.#faults.push(fault);
      }
      return { kind: "noSource", faults: this.#faults };
    } catch (error) {
      if (!(error instanceof TwoHistories)) throw error;
      await this.#ports.stopped.stop(handle, error.message);
      return { kind: "twoHistories", why: error.message };
    } finally {
      await this.#incoming.drop();
    }
  }

  /** Takes from a source what is missing. @returns Why it did not give all of it, if so. */
  async #pull(source: Holder): Promise<SourceFault | undefined> {
    const { chunk } = this.#order;
    const startedAt = this.#incoming.length;
    do {
      const piece = await this.#fetch(source);
      if ("why" in piece) return piece;
      await this.#incoming.accept(piece);
    } while (this.#incoming.length < chunk.length);
    if (this.#incoming.crc32c === chunk.crc32c) return undefined;
    await this.#incoming.drop();
    const { server } = source;
    if (startedAt === 0) return { server, isBad: true, why: "its bytes have another checksum" };
    return this.#pull(source); // bytes of two sources: now all of them from this one
  }

  async #fetch(source: Holder): Promise<Piece | SourceFault> {
    const { chunk, bytesPerSecondMax } = this.#order;
    const offset = this.#incoming.length;
    const bytes = Math.min(PIECE_BYTES, chunk.length - offset);
    await this.#ports.throttle.take(bytes, bytesPerSecondMax, this.#signal);
    try {
      const from = { holder: source, chunk, offset };
      const piece = await readPiece(this.#ports, from, this.#signal);
      this.#readBytes += bytes;
      return piece;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!(error instanceof LumeoError)) throw error;
      return { server: source.server, isBad: isBadReplica(error), why: error.message };
    }
  }

  async #finish(): Promise<CopyResult> {
    await this.#incoming.finish();
    return { kind: "copied", readBytes: this.#readBytes, faults: this.#faults };
  }
}
