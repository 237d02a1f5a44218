// Which part of what a store holds is told next to the masters: pages by rising handles, one round
// after the other. Values only.
//
// I1. A round ends behind what the store held when it began. What is written meanwhile has higher
//     handles: if it counted, a store that is written to all the time would never begin again at
//     the first handle, and never hear what of its old replicas nobody needs.
// I2. A round is whole when the masters have judged each of its pages, and all that they named as
//     garbage has been removed. What was garbage when a whole round began is gone when it ends.

import type { ChunkHandle } from "@lumeofs/base";

/** How far the masters have been told what is here. Rounds are numbered from 1. */
export interface InventoryStatus {
  /** The last round that was begun; 0 for none. */
  readonly begun: number;
  /** The last one that was whole (I2); 0 for none. */
  readonly whole: number;
  /** Since that one ended, or since the masters took the store in, if that was later. */
  readonly sinceWholeMs: number;
  /** A round takes about so long, with what is there now. */
  readonly roundMs: number;
}

export const NOTHING_TOLD: InventoryStatus = { begun: 0, whole: 0, sinceWholeMs: 0, roundMs: 0 };

/** See the head of this file. */
export class InventoryRound {
  /** The last handle that was told in this round; undefined at its beginning. */
  #cursor: ChunkHandle | undefined;
  /** Where this round ends (I1). */
  #upto = 0;
  #begun = 0;
  #whole = 0;
  /** A page of this round was not told, or is not yet. */
  #isMissing = false;
  #isOpen = false;

  /** The last round that was begun. */
  get begun(): number {
    return this.#begun;
  }

  /** The last one that was whole (I2). */
  get whole(): number {
    return this.#whole;
  }

  /**
   * Behind which handle the next page begins; undefined for a new round.
   *
   * @param highestHandle  The highest one that the store has held.
   */
  next(highestHandle: number): ChunkHandle | undefined {
    if (this.#isOpen) this.#isMissing = true;
    if (this.#cursor === undefined) {
      this.#upto = highestHandle;
      this.#begun++;
      this.#isMissing = false;
    }
    this.#isOpen = true;
    return this.#cursor;
  }

  /** @param page  All from there on, or the first `pageMax` of it. */
  passed(page: readonly { readonly handle: ChunkHandle }[], pageMax: number): void {
    const last = page.at(-1)?.handle;
    const isOver = last === undefined || page.length < pageMax || this.#upto <= last;
    this.#cursor = isOver ? undefined : last;
  }

  /** The masters have judged the page, and all that they named as garbage was removed. */
  told(): void {
    this.#isOpen = false;
    if (this.#cursor === undefined && !this.#isMissing) this.#whole = this.#begun;
  }
}
