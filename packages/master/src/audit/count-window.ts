// Counts how often ids occur, in bounded memory: as many of the lowest ids as there is room for.
// What lies above is counted in another pass, with a window that begins where this one ends.
// Numbers of inodes and chunks are given one after the other, so one pass is nearly always enough.
//
// W1. Every id in [from, to) was counted as often as it was added; `to` only ever sinks.

import { invariant } from "@lumeofs/base";

const PAGE_IDS = 4_096;
/** A count that says "so often or more". */
export const COUNT_MAX = 0xffff;
/** Of 8 KiB each: 16 MiB. */
export const WINDOW_PAGES_MAX = 2_048;

export class CountWindow {
  readonly from: number;
  readonly #pagesMax: number;
  readonly #pages = new Map<number, Uint16Array>();
  #to = Number.POSITIVE_INFINITY;

  constructor(from: number, pagesMax = WINDOW_PAGES_MAX) {
    invariant(0 < pagesMax, "a window without room");
    this.from = from;
    this.#pagesMax = pagesMax;
  }

  /** Where the ids begin that are left to another pass; Infinity if there are none. */
  get to(): number {
    return this.#to;
  }

  covers(id: number): boolean {
    return this.from <= id && id < this.#to;
  }

  add(id: number): void {
    if (!this.covers(id)) return;
    const number = Math.floor(id / PAGE_IDS);
    const page = this.#pages.get(number) ?? this.#newPage(number);
    if (page === undefined) return;
    const at = id % PAGE_IDS;
    const count = page[at] as number;
    if (count < COUNT_MAX) page[at] = count + 1;
  }

  /** At most COUNT_MAX. */
  countOf(id: number): number {
    invariant(this.covers(id), "an id that was not counted here", { id });
    return this.#pages.get(Math.floor(id / PAGE_IDS))?.[id % PAGE_IDS] ?? 0;
  }

  /** The ids that were added, rising. */
  *ids(): Generator<number, void, void> {
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(number) as Uint16Array;
      for (const [i, count] of page.entries()) {
        const id = number * PAGE_IDS + i;
        if (0 < count && this.covers(id)) yield id;
      }
    }
  }

  /** Undefined if the page is the one that there is no room for. */
  #newPage(number: number): Uint16Array | undefined {
    if (this.#pagesMax <= this.#pages.size) {
      let highest = number;
      for (const one of this.#pages.keys()) highest = Math.max(highest, one);
      this.#to = highest * PAGE_IDS;
      this.#pages.delete(highest);
      if (highest === number) return undefined;
    }
    const page = new Uint16Array(PAGE_IDS);
    this.#pages.set(number, page);
    return page;
  }
}
