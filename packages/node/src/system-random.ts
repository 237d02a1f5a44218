import { getRandomValues } from "node:crypto";
import type { Random } from "@lumeofs/base";

/** How many 32-bit words are drawn from the machine at once: one call serves many numbers. */
const POOL_WORDS = 512;

/** Chance from the machine's own generator: not repeatable, not to be guessed. */
export class SystemRandom implements Random {
  readonly #pool = new Uint32Array(POOL_WORDS);
  #next = POOL_WORDS;

  /** Uniform in [0, 1), with all 53 bits that a number can hold. */
  fraction(): number {
    const high = this.#word() >>> 5; // 27 bits
    const low = this.#word() >>> 6; // 26 bits
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  #word(): number {
    if (this.#next === POOL_WORDS) {
      getRandomValues(this.#pool);
      this.#next = 0;
    }
    return this.#pool[this.#next++] as number;
  }
}
