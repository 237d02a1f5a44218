// The writes of one command, held back until it is known that the command is not refused: so a
// refusal half way through leaves nothing behind, and no command needs to check everything first.

import type { State, StateView } from "./state.js";

interface Write {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export class Draft implements State {
  readonly #base: StateView;
  readonly #writes = new Map<string, Write>();

  constructor(base: StateView) {
    this.#base = base;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.#writes.size === 0) return this.#base.get(key);
    const write = this.#writes.get(asText(key));
    return write === undefined ? this.#base.get(key) : write.value;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#writes.set(asText(key), { key, value });
  }

  delete(key: Uint8Array): void {
    this.#writes.set(asText(key), { key, value: undefined });
  }

  /** Puts all writes into the state, in the order in which their keys were first written. */
  commitTo(state: State): void {
    for (const { key, value } of this.#writes.values()) {
      if (value === undefined) state.delete(key);
      else state.put(key, value);
    }
  }
}

function asText(key: Uint8Array): string {
  let text = "";
  for (let i = 0; i < key.length; i++) text += String.fromCharCode(key[i] as number);
  return text;
}
