// What was removed and is still kept.

import { LumeoError } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { Listing } from "./listing.js";
import type { MetadataRunner } from "./metadata-runner.js";
import type { Usage } from "./operations.js";
import type { CallOptions } from "./options.js";
import { numberCursor, PagedListing } from "./paged-listing.js";
import { directoryPath } from "./path.js";

/** Something in the trash. */
export interface TrashItem {
  readonly id: number;
  /** Where it was. */
  readonly path: string;
  readonly kind: "file" | "dir";
  readonly removedAt: Date;
  /** When it is freed. */
  readonly expiresAt: Date;
  /** What its removal took away: itself, and everything below it. */
  readonly usage: Usage;
}

/** Ids in one request. */
const PURGE_MAX = 256;

export class Trash {
  readonly #runner: MetadataRunner;

  constructor(runner: MetadataRunner) {
    this.#runner = runner;
  }

  /** What is in the trash, in the order of removal. */
  list(options: CallOptions = {}): Listing<TrashItem> {
    const { run, metadata } = this.#runner;
    return new PagedListing(
      (after, countMax) =>
        run("trash.list", undefined, options, async (call) => {
          const ask = { after: numberCursor(after), countMax };
          const { items, more } = await metadata.query(call, "listTrash", ask);
          const shown = items.map(({ removedAtMs, expiresAtMs, ...item }) => ({
            ...item,
            removedAt: new Date(removedAtMs),
            expiresAt: new Date(expiresAtMs),
          }));
          return { items: shown, more };
        }),
      (item) => String(item.id),
    );
  }

  /** Puts something back: where it was, or at `target`. Nothing may be there. */
  async restore(
    id: number,
    options: CallOptions & { readonly target?: string } = {},
  ): Promise<void> {
    const { run, metadata } = this.#runner;
    await run("trash.restore", options.target, options, (call) => {
      const target = options.target === undefined ? "" : directoryPath(options.target);
      return metadata.mutate(call, "restoreTrash", { id: trashId(id), target });
    });
  }

  /**
   * Frees these, or all that is in the trash now. Those that are not there are no error.
   *
   * @returns How many were there.
   */
  empty(options: CallOptions & { readonly ids?: readonly number[] } = {}): Promise<number> {
    return this.#runner.run("trash.empty", undefined, options, (call) =>
      options.ids === undefined ? this.#emptyAll(call) : this.#emptySome(call, options.ids),
    );
  }

  async #emptySome(call: Call, given: readonly number[]): Promise<number> {
    const ids = [...new Set(given.map(trashId))];
    const { metadata } = this.#runner;
    let count = 0;
    for (let from = 0; from < ids.length; from += PURGE_MAX) {
      const some = ids.slice(from, from + PURGE_MAX);
      const found = await Promise.all(
        some.map((id) => metadata.query(call, "listTrash", { after: id - 1, countMax: 1 })),
      );
      const there = some.filter((id, i) => found[i]?.items[0]?.id === id);
      if (there.length === 0) continue;
      await metadata.mutate(call, "purgeTrash", { ids: there });
      count += there.length;
    }
    return count;
  }

  /** Page by page: all ids at once could be any number. */
  async #emptyAll(call: Call): Promise<number> {
    const { metadata } = this.#runner;
    let count = 0;
    for (let after = 0; ; ) {
      const { items, more } = await metadata.query(call, "listTrash", {
        after,
        countMax: PURGE_MAX,
      });
      const last = items.at(-1)?.id;
      if (last === undefined) return count;
      await metadata.mutate(call, "purgeTrash", { ids: items.map(({ id }) => id) });
      count += items.length;
      if (!more) return count;
      after = last;
    }
  }
}

function trashId(id: number): number {
  if (Number.isSafeInteger(id) && 0 < id) return id;
  throw new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot use ${id} as the id of a thing in the trash: expected a number, as a listing shows it`,
  );
}
