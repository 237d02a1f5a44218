// What is in a directory, in the order of names (by their UTF-8 bytes), page by page.
//
// L1. Nothing is asked before somebody iterates; who looks at one page pays for one.
// L2. A recursive listing names each directory right before what is in it. What is added or removed
//     meanwhile may or may not show; nothing else is named twice or left out.
// L3. A cursor is the path of the last entry given out; a directory's ends with "/".

import { LumeoError as InternalError } from "@lumeofs/base";
import { DirectoryWalk, type FetchPage } from "./directory-walk.js";
import { toPublic } from "./error.js";
import type { FileInfo } from "./file-info.js";

/** Entries in a page. */
export const PAGE_DEFAULT = 1_000;
const PAGE_MAX = 10_000;

export interface Page<T> {
  readonly items: readonly T[];
  /** Give it as `after` to go on behind this page; absent on the last. */
  readonly cursor?: string;
}

/** Entries one by one, page by page, or all. Every iteration asks anew. */
export interface Listing<T> extends AsyncIterable<T> {
  pages(options?: { readonly size?: number; readonly after?: string }): AsyncIterable<Page<T>>;
  /** At most `limit` entries. */
  toArray(options?: { readonly limit?: number }): Promise<T[]>;
}

export class DirectoryListing implements Listing<FileInfo> {
  readonly #root: string;
  readonly #isRecursive: boolean;
  readonly #fetch: FetchPage;

  constructor(root: string, isRecursive: boolean, fetch: FetchPage) {
    this.#root = root;
    this.#isRecursive = isRecursive;
    this.#fetch = fetch;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FileInfo, void, undefined> {
    const walk = this.#walk("");
    for (let run = await walk.next(); run !== undefined; run = await walk.next()) {
      for (const entry of run) yield entry;
    }
  }

  async *pages(
    options: { readonly size?: number; readonly after?: string } = {},
  ): AsyncGenerator<Page<FileInfo>, void, undefined> {
    const { size = PAGE_DEFAULT, after = "" } = options;
    checkPageSize(size, this.#root);
    const walk = this.#walk(after, size);
    let items: FileInfo[] = [];
    for (let run = await walk.next(); run !== undefined; run = await walk.next()) {
      for (let at = 0; at < run.length; ) {
        // Full, and it was not known whether it is the last one: it is not.
        if (items.length === size) items = yield* giveOut(items);
        const end = Math.min(run.length, at + size - items.length);
        for (; at < end; at++) items.push(run[at] as FileInfo);
        const isFull = items.length === size;
        if (isFull && (at < run.length || walk.hasMore)) items = yield* giveOut(items);
      }
    }
    yield { items };
  }

  async toArray({ limit = Infinity }: { readonly limit?: number } = {}): Promise<FileInfo[]> {
    const all: FileInfo[] = [];
    if (limit <= 0) return all;
    const walk = this.#walk("");
    for (let run = await walk.next(); run !== undefined; run = await walk.next()) {
      for (const entry of run) {
        all.push(entry);
        if (limit <= all.length) return all;
      }
    }
    return all;
  }

  #walk(after: string, firstPage?: number): DirectoryWalk {
    return new DirectoryWalk({
      root: this.#root,
      isRecursive: this.#isRecursive,
      fetch: this.#fetch,
      after,
      ...(firstPage === undefined ? {} : { firstPage }),
    });
  }
}

/** @throws LumeoError LUMEO_INVALID_ARGUMENT if pages cannot have this size. */
export function checkPageSize(size: number, path?: string): void {
  if (Number.isInteger(size) && 1 <= size && size <= PAGE_MAX) return;
  const message = `Cannot list in pages of ${size}: expected 1 to ${PAGE_MAX}`;
  throw toPublic(new InternalError("INVALID_ARGUMENT", message), path, 1);
}

/** A page behind which more follows. @returns The beginning of the next one. */
function* giveOut(items: FileInfo[]): Generator<Page<FileInfo>, FileInfo[], undefined> {
  yield { items, cursor: cursorOf(items.at(-1) as FileInfo) };
  return [];
}

function cursorOf(entry: FileInfo): string {
  return entry.kind === "dir" ? `${entry.path}/` : entry.path;
}
