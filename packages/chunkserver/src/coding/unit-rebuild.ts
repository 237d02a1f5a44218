// One unit of a coded chunk that nobody has any more, rebuilt from others and kept here.
//
// B1. It is recorded only when its whole bytes have the length and the checksum that it had when
//     the chunk was written, under the record that the others have: see IncomingReplica.
// B2. A source that fails is replaced by another one at the range where it failed; ranges that are
//     rebuilt stay.
// B3. It holds one arena.

import { type Cancellation, invariant, LumeoError } from "@lumeofs/base";
import { blockCrcs, crcOfBlocks } from "@lumeofs/node/frames";
import type { Rebuilder } from "../transfer/copy-service.js";
import { IncomingReplica, TwoHistories } from "../transfer/incoming-replica.js";
import type { RebuildOrder } from "../transfer/rebuild-order.js";
import type { CopyPorts, CopyResult } from "../transfer/replica-copy.js";
import { ArenaPool, cellBytesFor } from "./arena-pool.js";
import { UnitReader } from "./unit-reader.js";

export interface RebuildPorts extends CopyPorts {
  readonly arenas: ArenaPool;
}

/** Obeys orders to rebuild, in so many arenas: for CopyService. */
export function unitRebuilder(ports: CopyPorts, arenasMax: number): Rebuilder {
  const withArenas = { ...ports, arenas: new ArenaPool(arenasMax) };
  return (order, signal) => new UnitRebuild(withArenas, order, signal).run();
}

/** One rebuilding under way. */
export class UnitRebuild {
  readonly #ports: RebuildPorts;
  readonly #order: RebuildOrder;
  readonly #signal: Cancellation;
  readonly #incoming: IncomingReplica;

  constructor(ports: RebuildPorts, order: RebuildOrder, signal: Cancellation) {
    this.#ports = ports;
    this.#order = order;
    this.#signal = signal;
    this.#incoming = new IncomingReplica(ports, { ...order, isUnit: true }, signal);
  }

  /**
   * @throws LumeoError CORRUPT if what comes out is not what the unit was, though its sources are
   *         what they were; STALE_EPOCH, NO_SPACE, STORE_FAILED, CLOSED; the signal's reason, and
   *         then nothing is left of it.
   */
  async run(): Promise<CopyResult> {
    const { chunk, rebuild } = this.#order;
    try {
      if (await this.#incoming.isHere()) return { kind: "here" };
    } catch (error) {
      return this.#stop(error);
    }
    const { dataCells, parityCells } = rebuild.geometry;
    const lease = await this.#ports.arenas.take(dataCells + parityCells, this.#signal);
    try {
      const source = { ...chunk, geometry: rebuild.geometry, units: rebuild.sources };
      const { bytesPerSecondMax } = this.#order;
      const from = { ...source, bytesPerSecondMax };
      return await this.#make(new UnitReader(this.#ports, from, lease.arena));
    } catch (error) {
      return await this.#stop(error);
    } finally {
      await this.#incoming.drop(); // no write reads from the arena behind this
      lease.release();
    }
  }

  async #make(reader: UnitReader): Promise<CopyResult> {
    const { chunk, rebuild } = this.#order;
    const { dataCells, parityCells } = rebuild.geometry;
    const step = cellBytesFor(dataCells + parityCells);
    for (let offset = 0; offset < chunk.length; offset += step) {
      const length = Math.min(step, chunk.length - offset);
      const range = { offset, length, isFree: this.#incoming.written() };
      const cells = await reader.read([rebuild.unit], range, this.#signal);
      if (cells === undefined) return { kind: "noSource", faults: reader.faults };
      await this.#accept(cells, offset, reader);
    }
    this.#check();
    await this.#incoming.finish();
    return { kind: "copied", readBytes: reader.readBytes, faults: reader.faults };
  }

  async #accept(
    [bytes]: readonly Uint8Array[],
    offset: number,
    { version }: UnitReader,
  ): Promise<void> {
    const { handle } = this.#order.chunk;
    invariant(bytes !== undefined && version !== undefined, "a unit comes from others", { handle });
    const crcs = blockCrcs([bytes], this.#ports.crc32c);
    const crc32c = crcOfBlocks(crcs, bytes.byteLength);
    await this.#incoming.accept({ offset, bytes, crcs, crc32c, version });
  }

  /** B1. */
  #check(): void {
    const { chunk, rebuild } = this.#order;
    if (this.#incoming.crc32c === chunk.crc32c) return;
    const what = `it has checksum ${this.#incoming.crc32c}, expected ${chunk.crc32c}`;
    throw new LumeoError(
      "CORRUPT",
      `Cannot rebuild unit ${rebuild.unit} of chunk ${chunk.handle}: ${what}, though the units ` +
        "that it was made of are as they were written",
    );
  }

  async #stop(error: unknown): Promise<CopyResult> {
    if (!(error instanceof TwoHistories)) throw error;
    await this.#ports.stopped.stop(this.#order.chunk.handle, error.message);
    return { kind: "twoHistories", why: error.message };
  }
}
