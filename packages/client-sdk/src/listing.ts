// What is in a directory, in the order of names (by their UTF-8 bytes), page by page.
//
// L1. Nothing is asked before somebody iterates, and no page before the one before it is used up.
// L2. A recursive listing names each directory right before what is in it. What is added or removed
//     meanwhile may or may not show; nothing else is named twice or left out.
// L3. A cursor is the path of the last entry given out; a directory's ends with "/".

import { LumeoError as InternalError } from "@lumeofs/base";
import { LumeoError, toPublic } from "./error.js";
import type { FileInfo } from "./file-info.js";

/** Entries asked for at once. */
export const PAGE_DEFAULT = 1_000;
const PAGE_MAX = 10_000;
/** Directories inside each other: no path can have more. */
const DEPTH_MAX = 2_048;

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

/** One page of one directory: names behind `after`. */
export type FetchPage = (
  path: string,
  after: string,
  countMax: number,
) => Promise<{ readonly entries: readonly FileInfo[]; readonly more: boolean }>;

/** A directory that is being walked, from a name on. */
interface Level {
  readonly path: string;
  after: string;
  entries: readonly FileInfo[];
  next: number;
  more: boolean;
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
    yield* this.#walk("", PAGE_DEFAULT);
  }

  async *pages(
    options: { readonly size?: number; readonly after?: string } = {},
  ): AsyncGenerator<Page<FileInfo>, void, undefined> {
    const { size = PAGE_DEFAULT, after = "" } = options;
    checkPageSize(size, this.#root);
    let items: FileInfo[] = [];
    for await (const entry of this.#walk(after, size)) {
      if (items.length === size) {
        yield { items, cursor: cursorOf(items[size - 1] as FileInfo) };
        items = [];
      }
      items.push(entry);
    }
    yield { items };
  }

  async toArray({ limit = Infinity }: { readonly limit?: number } = {}): Promise<FileInfo[]> {
    const all: FileInfo[] = [];
    if (limit <= 0) return all;
    for await (const entry of this) {
      all.push(entry);
      if (limit <= all.length) break;
    }
    return all;
  }

  async *#walk(after: string, pageSize: number): AsyncGenerator<FileInfo, void, undefined> {
    const stack = this.#resume(after);
    for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
      const entry = level.entries[level.next++];
      if (entry !== undefined) {
        yield entry;
        if (this.#isRecursive && entry.kind === "dir") stack.push(this.#enter(entry.path, stack));
      } else if (level.more) {
        await this.#load(level, pageSize, stack.length === 1);
      } else {
        stack.pop();
      }
    }
  }

  /** The directories on the way to a cursor, each behind the name that leads on (L3). */
  #resume(after: string): Level[] {
    const stack = [newLevel(this.#root, "")];
    if (after === "") return stack;
    const base = this.#root === "/" ? "/" : `${this.#root}/`;
    if (!after.startsWith(base)) {
      throw this.#refusal(
        `Cannot list "${this.#root}" after "${after}": expected a cursor of this listing`,
      );
    }
    const names = after.slice(base.length).split("/");
    for (const name of names) {
      const level = stack.at(-1) as Level;
      if (name === "") break; // the cursor is a directory: its content comes next
      level.after = name;
      stack.push(newLevel(join(level.path, name), ""));
    }
    if (names.at(-1) !== "" || !this.#isRecursive) stack.pop();
    return stack;
  }

  #enter(path: string, stack: readonly Level[]): Level {
    if (DEPTH_MAX <= stack.length) {
      throw this.#refusal(`Cannot list "${path}": it lies too deep`);
    }
    return newLevel(path, "");
  }

  #refusal(message: string): unknown {
    return toPublic(new InternalError("INVALID_ARGUMENT", message), this.#root, 1);
  }

  async #load(level: Level, pageSize: number, isRoot: boolean): Promise<void> {
    const page = await this.#fetch(level.path, level.after, pageSize).catch((error: unknown) => {
      if (isRoot || !isGone(error)) throw error;
      return { entries: [], more: false }; // removed meanwhile (L2)
    });
    level.entries = page.entries;
    level.next = 0;
    level.more = page.more;
    const last = page.entries.at(-1);
    if (last !== undefined) level.after = last.path.slice(last.path.lastIndexOf("/") + 1);
  }
}

/** @throws LumeoError LUMEO_INVALID_ARGUMENT if pages cannot have this size. */
export function checkPageSize(size: number, path?: string): void {
  if (Number.isInteger(size) && 1 <= size && size <= PAGE_MAX) return;
  const message = `Cannot list in pages of ${size}: expected 1 to ${PAGE_MAX}`;
  throw toPublic(new InternalError("INVALID_ARGUMENT", message), path, 1);
}

function newLevel(path: string, after: string): Level {
  return { path, after, entries: [], next: 0, more: true };
}

function join(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}

function cursorOf(entry: FileInfo): string {
  return entry.kind === "dir" ? `${entry.path}/` : entry.path;
}

function isGone(error: unknown): boolean {
  return LumeoError.is(error, "LUMEO_NOT_FOUND") || LumeoError.is(error, "LUMEO_NOT_DIRECTORY");
}
