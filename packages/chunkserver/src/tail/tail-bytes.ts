// Where the bytes of a replica's records are: in memory until they are durable, then in the log.

import type { WalPlace } from "@lumeofs/base";

/** The bytes of one record; the place is known when it is durable. */
export interface KeptBytes {
  bytes: Uint8Array | undefined;
  place: WalPlace | undefined;
  /** Where they begin in the body at `place`. */
  at: number;
}

/** By sequence number, as far as the history goes; records without data have none. */
export class TailBytes {
  #kept: (KeptBytes | undefined)[] = [];

  at(seq: number): KeptBytes | undefined {
    return this.#kept[seq - 1];
  }

  /** Records behind this one were replaced or lost. */
  keepTo(seq: number): void {
    if (seq < this.#kept.length) this.#kept.length = seq;
  }

  set(seq: number, kept: KeptBytes | undefined): void {
    while (this.#kept.length < seq - 1) this.#kept.push(undefined);
    this.#kept[seq - 1] = kept;
  }
}
