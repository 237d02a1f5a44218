// The writes of one command, held back until it is known that the command is not refused: so a
// refusal half way through leaves nothing behind, and no command needs to check everything first.

import { ByteMap, isEqual } from "@lumeofs/base";
import type { State, StateView } from "./state.js";

/** Up to so many keys, comparing with each is cheaper than hashing one. */
const COMPARED_MAX = 16;

export class Draft implements State {
  readonly #base: StateView;
  readonly #keys: Uint8Array[] = [];
  /** The last write of each key; undefined is "removed". */
  readonly #values: (Uint8Array | undefined)[] = [];
  /** Places in `#keys`, once there are more than COMPARED_MAX. */
  #places: ByteMap<number> | undefined;

  constructor(base: StateView) {
    this.#base = base;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const place = this.#find(key);
    return place < 0 ? this.#base.get(key) : this.#values[place];
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#write(key, value);
  }

  delete(key: Uint8Array): void {
    this.#write(key, undefined);
  }

  /** Puts all writes into the state, in the order in which their keys were first written. */
  commitTo(state: State): void {
    for (let i = 0; i < this.#keys.length; i++) {
      const key = this.#keys[i] as Uint8Array;
      const value = this.#values[i];
      if (value === undefined) state.delete(key);
      else state.put(key, value);
    }
  }

  #write(key: Uint8Array, value: Uint8Array | undefined): void {
    const place = this.#find(key);
    if (0 <= place) {
      this.#values[place] = value;
      return;
    }
    this.#places?.set(key, this.#keys.length);
    this.#keys.push(key);
    this.#values.push(value);
    if (this.#keys.length === COMPARED_MAX) this.#beginHashing();
  }

  /** Place of a key, or -1. */
  #find(key: Uint8Array): number {
    if (this.#places !== undefined) return this.#places.get(key) ?? -1;
    for (let i = this.#keys.length - 1; 0 <= i; i--) {
      if (isEqual(this.#keys[i] as Uint8Array, key)) return i;
    }
    return -1;
  }

  #beginHashing(): void {
    this.#places = new ByteMap();
    for (const [place, key] of this.#keys.entries()) this.#places.set(key, place);
  }
}
