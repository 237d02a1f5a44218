/** Where chance comes from: the machine on a server, a seed in simulation. */
export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
}

/** Uniform integer in [low, high], both included. */
export function integerBetween(random: Random, low: number, high: number): number {
  return low + Math.floor(random.fraction() * (high - low + 1));
}

/**
 * A generator whose every number follows from its seed (sfc32, 128 bits of state).
 *
 * `fork` gives an independent generator for one purpose, so that drawing more numbers for one
 * purpose does not change the numbers of another.
 */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, purpose = "") {
    this.#a = mix(seed >>> 0);
    this.#b = mix(Math.floor(seed / 2 ** 32) ^ this.#a);
    this.#c = mix(hash(purpose) ^ this.#b);
    for (let i = 0; i < 16; i++) this.fraction();
  }

  fraction(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return (sum >>> 0) / 2 ** 32;
  }

  fork(purpose: string): SeededRandom {
    return new SeededRandom(Math.floor(this.fraction() * 2 ** 32), purpose);
  }
}

function mix(n: number): number {
  let x = (n + 0x9e3779b9) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
