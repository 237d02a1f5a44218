// A listing that the masters answer page by page, each page naming where the next one begins.

import type { Listing, Page } from "./listing.js";

/** Entries asked for at once. */
const PAGE_DEFAULT = 1_000;

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
