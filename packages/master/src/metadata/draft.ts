// The writes of one command, held back until it is known that the command is not refused: so a
// refusal half way through leaves nothing behind, and no command needs to check everything first.

import { ByteMap } from "@lumeofs/base";
import type { State, StateView } from "./state.js";

export class Draft implements State {
  readonly #base: StateView;
  /** The last write of each key; undefined is "removed". */
  readonly #writes = new ByteMap<Uint8Array | undefined>();

  constructor(base: StateView) {
    this.#base = base;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const write = this.#writes.find(key);
    return write < 0 ? this.#base.get(key) : this.#writes.valueAt(write);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#writes.set(key, value);
  }

  delete(key: Uint8Array): void {
    this.#writes.set(key, undefined);
  }

  /** Puts all writes into the state, in the order in which their keys were first written. */
  commitTo(state: State): void {
    const writes = this.#writes;
    for (let i = 0; i < writes.size; i++) {
      const [key, value] = [writes.keyAt(i), writes.valueAt(i)];
      if (value === undefined) state.delete(key);
      else state.put(key, value);
    }
  }
}
