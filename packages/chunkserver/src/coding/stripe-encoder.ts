// The data of a chunk, in its order, turned into what its units get: cells of data as they come,
// and cells of parity at the end of each stripe.
//
// E1. It holds one stripe at a time.
// E2. Units get their cells in the order of the stripes, each unit as many bytes as `unitLength`.

import {
  type Code,
  cellLength,
  invariant,
  type Stripe,
  stripeCount,
  stripeOf,
  unitCount,
} from "@lumeofs/base";
import { CellArena, ErasureCodec } from "@lumeofs/erasure";

/** Takes the next bytes of a unit; they may be changed when it has resolved. */
export type WriteUnit = (unit: number, bytes: Uint8Array) => Promise<void>;

/** Bytes that an encoder of a code holds. */
export function encoderBytes(code: Code): number {
  return unitCount(code) * code.cellBytes;
}

/** See the head of this file. */
export class StripeEncoder {
  readonly #code: Code;
  readonly #lengthBytes: number;
  readonly #write: WriteUnit;
  readonly #arena: CellArena;
  readonly #codec: ErasureCodec;
  #stripe: Stripe | undefined;
  /** In the stripe. */
  #filled = 0;

  /** @param lengthBytes  Of the chunk's data. */
  constructor(code: Code, lengthBytes: number, write: WriteUnit) {
    this.#code = code;
    this.#lengthBytes = lengthBytes;
    this.#write = write;
    this.#arena = new CellArena({ cells: unitCount(code), cellBytes: code.cellBytes });
    const { data: dataCells, parity: parityCells } = code;
    this.#codec = new ErasureCodec({ dataCells, parityCells }, this.#arena.combine);
    this.#stripe = 0 < lengthBytes ? stripeOf(code, lengthBytes, 0) : undefined;
  }

  /** The next bytes of the data. @throws As units are written. */
  async add(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      const stripe = this.#stripe;
      invariant(stripe !== undefined, "a chunk has no more data than it is long");
      const cell = Math.floor(this.#filled / stripe.cellBytes);
      const inCell = this.#filled - cell * stripe.cellBytes;
      const room = cellLength(this.#code, stripe, cell) - inCell;
      const part = bytes.subarray(at, at + room);
      this.#cell(cell).set(part, inCell);
      at += part.byteLength;
      this.#filled += part.byteLength;
      if (this.#filled === stripe.lengthBytes) await this.#end(stripe);
    }
  }

  /** Whether all of the data has come. */
  get isComplete(): boolean {
    return this.#stripe === undefined;
  }

  async #end(stripe: Stripe): Promise<void> {
    const { data } = this.#code;
    const parityBytes = cellLength(this.#code, stripe, data);
    const cells = this.#arena.cells.map((cell, unit) => {
      const coded = cell.subarray(0, parityBytes);
      if (unit < data) coded.fill(0, cellLength(this.#code, stripe, unit)); // absent bytes
      return coded;
    });
    this.#codec.encode(cells.slice(0, data), cells.slice(data));
    const written = cells.map((cell, unit) => {
      const length = cellLength(this.#code, stripe, unit);
      return length === 0 ? undefined : this.#write(unit, cell.subarray(0, length));
    });
    // All of them, whatever becomes of one: cells are read from until their unit has taken them.
    const ends = await Promise.allSettled(written);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    const next = stripe.number + 1;
    this.#filled = 0;
    this.#stripe =
      next < stripeCount(this.#code, this.#lengthBytes)
        ? stripeOf(this.#code, this.#lengthBytes, next)
        : undefined;
  }

  #cell(unit: number): Uint8Array {
    const cell = this.#arena.cells[unit];
    invariant(cell !== undefined, "a stripe has this cell", { unit });
    return cell;
  }
}
