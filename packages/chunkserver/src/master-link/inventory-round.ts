// Which part of what a store holds is told next to the masters: pages by rising handles, one round
// after the other. Values only.
//
// I1. A round ends behind what the store held when it began. What is written meanwhile has higher
//     handles: if it counted, a store that is written to all the time would never begin again at
//     the first handle, and never hear what of its old replicas nobody needs.

import type { ChunkHandle } from "@lumeofs/base";

/** See the head of this file. */
export class InventoryRound {
  /** The last handle that was told in this round; undefined at its beginning. */
  #cursor: ChunkHandle | undefined;
  /** Where this round ends (I1). */
  #upto = 0;

  /**
   * Behind which handle the next page begins; undefined for a new round.
   *
   * @param highestHandle  The highest one that the store has held.
   */
  next(highestHandle: number): ChunkHandle | undefined {
    if (this.#cursor === undefined) this.#upto = highestHandle;
    return this.#cursor;
  }

  /** @param page  All from there on, or the first `pageMax` of it. */
  passed(page: readonly { readonly handle: ChunkHandle }[], pageMax: number): void {
    const last = page.at(-1)?.handle;
    const isOver = last === undefined || page.length < pageMax || this.#upto <= last;
    this.#cursor = isOver ? undefined : last;
  }
}
