// A listing that the masters answer page by page, each page naming where the next one begins.

import { LumeoError } from "@lumeofs/base";
import { checkPageSize, type Listing, PAGE_DEFAULT, type Page } from "./listing.js";

/** One page behind a cursor; "" begins at the front. */
export type FetchItems<T> = (
  after: string,
  countMax: number,
) => Promise<{ readonly items: readonly T[]; readonly more: boolean }>;

export class PagedListing<T> implements Listing<T> {
  readonly #fetch: FetchItems<T>;
  readonly #cursorOf: (item: T) => string;

  /** @param cursorOf  What to ask with for what comes behind this item. */
  constructor(fetch: FetchItems<T>, cursorOf: (item: T) => string) {
    this.#fetch = fetch;
    this.#cursorOf = cursorOf;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { items } of this.pages()) yield* items;
  }

  async *pages(
    options: { readonly size?: number; readonly after?: string } = {},
  ): AsyncGenerator<Page<T>, void, undefined> {
    const { size = PAGE_DEFAULT } = options;
    checkPageSize(size);
    for (let after = options.after ?? ""; ; ) {
      const { items, more } = await this.#fetch(after, size);
      const last = items.at(-1);
      if (!more || last === undefined) return yield { items };
      after = this.#cursorOf(last);
      yield { items, cursor: after };
    }
  }

  async toArray({ limit = Infinity }: { readonly limit?: number } = {}): Promise<T[]> {
    const all: T[] = [];
    if (limit <= 0) return all;
    for await (const item of this) {
      all.push(item);
      if (limit <= all.length) break;
    }
    return all;
  }
}

/**
 * The cursor of a listing that goes by numbers; 0 for its beginning.
 *
 * @throws LumeoError INVALID_ARGUMENT if it is none.
 */
export function numberCursor(after: string): number {
  const number = /^\d{0,16}$/.test(after) ? Number(after) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot list after "${after}": expected a cursor of this listing`,
  );
}
