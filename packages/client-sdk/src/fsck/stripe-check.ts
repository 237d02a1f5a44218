// Whether the units of a coded chunk belong together: whether its parity units are those of its
// data units. Each unit by itself may be as it was written, and still not be what would give lost
// ones back. Readers of the units hand over what they read, and wait for each other, so that the
// memory is that of a window of each.
//
// C1. Who waits is let go when the others have come as far, or when somebody leaves.
// C2. Nothing is said unless all bytes of all units have come.

import { type ChunkCoding, KiB, unitCount, unitLength } from "@lumeofs/base";
import { ErasureCodec, type StripeVerifier } from "@lumeofs/erasure";

/** Of each unit: at most 32 of them, so 8 MiB together. */
const WINDOW_BYTES = 256 * KiB;

export class StripeCheck {
  readonly #lengths: readonly number[];
  /** Of the longest unit. */
  readonly #length: number;
  readonly #verifier: StripeVerifier;
  readonly #windows: readonly Uint8Array[];
  readonly #filled: number[];
  /** Where the windows begin in their units. */
  #offset = 0;
  #hasLeft = false;
  #waiting: (() => void)[] = [];

  /** @param lengthBytes  Of the chunk's data. */
  constructor(coding: ChunkCoding, lengthBytes: number) {
    const units = [...new Array(unitCount(coding)).keys()];
    this.#lengths = units.map((unit) => unitLength(coding, lengthBytes, unit));
    this.#length = Math.max(...this.#lengths);
    const geometry = { dataCells: coding.data, parityCells: coding.parity };
    this.#verifier = new ErasureCodec(geometry).verifier();
    const windowBytes = Math.min(WINDOW_BYTES, this.#length);
    this.#windows = units.map(() => new Uint8Array(windowBytes));
    this.#filled = units.map(() => 0);
  }

  /** Takes the next bytes of a unit, and waits until the others are as far. Nothing is kept. */
  async take(unit: number, pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      for (let at = 0; at < piece.byteLength && !this.#hasLeft; ) {
        const window = this.#windows[unit] as Uint8Array;
        const filled = this.#filled[unit] as number;
        const part = piece.subarray(at, at + window.byteLength - filled);
        window.set(part, filled);
        this.#filled[unit] = filled + part.byteLength;
        at += part.byteLength;
        this.#goOn();
        if (at < piece.byteLength) await this.#room(unit);
      }
    }
  }

  /** Not all bytes of all units will come: nobody waits any more. Harmless after the end. */
  leave(): void {
    this.#hasLeft = true;
    this.#letGo();
  }

  /** Parity units that do not fit; undefined if that cannot be said (C2). */
  unfit(): readonly number[] | undefined {
    if (this.#hasLeft || this.#offset < this.#length) return undefined;
    const verdict = this.#verifier.verdict();
    return verdict.kind === "consistent" ? [] : verdict.parity;
  }

  async #room(unit: number): Promise<void> {
    const isFull = (): boolean => this.#filled[unit] === this.#windows[unit]?.byteLength;
    while (isFull() && !this.#hasLeft) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Checks the windows, if all of them have come; bytes behind the end of a unit are zeros. */
  #goOn(): void {
    const bytes = Math.min(this.#windows[0]?.byteLength ?? 0, this.#length - this.#offset);
    const isWhole = this.#lengths.every((length, unit) => {
      const expected = Math.min(bytes, Math.max(0, length - this.#offset));
      return expected <= (this.#filled[unit] as number);
    });
    if (!isWhole || bytes === 0) return;
    this.#verifier.update(this.#windows.map((window) => window.subarray(0, bytes)));
    this.#offset += bytes;
    for (const window of this.#windows) window.fill(0);
    this.#filled.fill(0);
    this.#letGo();
  }

  #letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
