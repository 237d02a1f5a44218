// What was removed and is still kept.

import type { Listing } from "./listing.js";
import type { MetadataRunner } from "./metadata-runner.js";
import type { Usage } from "./operations.js";
import type { CallOptions } from "./options.js";
import { PagedListing } from "./paged-listing.js";
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
          const ask = { after: Number(after), countMax };
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
      return metadata.mutate(call, "restoreTrash", { id, target });
    });
  }

  /** Frees these, or all that is in the trash now. @returns How many. */
  async empty(options: CallOptions & { readonly ids?: readonly number[] } = {}): Promise<number> {
    const ids = options.ids ?? (await this.list(options).toArray()).map((item) => item.id);
    const { run, metadata } = this.#runner;
    await run("trash.empty", undefined, options, async (call) => {
      for (let from = 0; from < ids.length; from += PURGE_MAX) {
        const some = ids.slice(from, from + PURGE_MAX);
        await metadata.mutate(call, "purgeTrash", { ids: some });
      }
    });
    return ids.length;
  }
}
