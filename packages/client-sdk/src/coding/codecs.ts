// The codecs of a client: one for each width of code, with the plans for what was lost lately.

import type { Code } from "@lumeofs/base";
import { ErasureCodec } from "@lumeofs/erasure";

/** More than any cluster uses at once; the oldest makes room. */
const CODECS_MAX = 16;

export class Codecs {
  readonly #codecs = new Map<string, ErasureCodec>();

  /** For cells that lie anywhere. */
  of({ data, parity }: Code): ErasureCodec {
    const key = `${data}+${parity}`;
    const known = this.#codecs.get(key);
    if (known !== undefined) return known;
    const codec = new ErasureCodec({ dataCells: data, parityCells: parity });
    for (const oldest of this.#codecs.keys()) {
      if (this.#codecs.size < CODECS_MAX) break;
      this.#codecs.delete(oldest);
    }
    this.#codecs.set(key, codec);
    return codec;
  }
}
