// What must be in the cluster, as far as the callers were told: for every path the states that it
// may be in. A call that ended well leaves one; a call whose outcome nobody knows leaves two.
//
// D1. While a change is under way, the path may be as before or as after.
// D2. A change that was acknowledged leaves only its result, whatever was doubtful before.

import type { Content } from "./content.js";

/** A file with this content, or nothing. */
export type State = Content | undefined;

/** One name on its way to another state. Exactly one of the three is called. */
export interface PathChange {
  acknowledged(): void;
  /** It surely had no effect. */
  refused(): void;
  /** It may have had its effect, or may have it any moment. */
  doubtful(): void;
}

interface Entry {
  possible: readonly State[];
  /** Every state that any change was to bring, in the order of their beginnings. */
  readonly intended: State[];
}

export class Model {
  readonly #entries = new Map<string, Entry>();

  /** Every path that was ever changed. */
  get paths(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** The states that a path may be in now. */
  possible(path: string): readonly State[] {
    return this.#entry(path).possible;
  }

  /** A change begins (D1). */
  begin(path: string, result: State): PathChange {
    const entry = this.#entry(path);
    entry.possible = [...entry.possible, result];
    entry.intended.push(result);
    return {
      acknowledged: () => {
        entry.possible = [result];
      },
      refused: () => {
        const at = entry.possible.lastIndexOf(result);
        entry.possible = entry.possible.filter((_, i) => i !== at);
      },
      doubtful: () => undefined,
    };
  }

  /** Of several changes that began together, exactly these may have had their effect. */
  settle(path: string, possible: readonly State[]): void {
    this.#entry(path).possible = possible;
  }

  /** Begins to watch a path. @returns All states that a reader may have seen since. */
  watch(path: string): () => readonly State[] {
    const { possible, intended } = this.#entry(path);
    const before = intended.length;
    return () => [...possible, ...intended.slice(before)];
  }

  #entry(path: string): Entry {
    const known = this.#entries.get(path);
    if (known !== undefined) return known;
    const entry: Entry = { possible: [undefined], intended: [] };
    this.#entries.set(path, entry);
    return entry;
  }
}
