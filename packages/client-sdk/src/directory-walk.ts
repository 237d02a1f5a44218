// A directory, or a whole tree of them, as runs of entries in the order in which a listing names
// them: directories right before what is in them.
//
// W1. Nothing is asked before `next` is called. From a directory's second page on, one page is
//     asked for ahead: it comes while the one before it is used.
// W2. What was asked for ahead and failed fails when its turn comes.
// W3. Of a directory that goes away while it is walked, what is left is left out; but for the root,
//     whose loss is a failure.

import { LumeoError as InternalError } from "@lumeofs/base";
import { LumeoError, toPublic } from "./error.js";
import type { FileInfo } from "./file-info.js";

/** Most calls look at the first page only. */
const FIRST_PAGE = 1_000;
/** Whoever goes on wants many. */
const LATER_PAGE = 4_000;
/** Directories inside each other: no path can have more. */
const DEPTH_MAX = 2_048;

interface FetchedPage {
  readonly entries: readonly FileInfo[];
  readonly more: boolean;
}

/** One page of one directory: names behind `after`. It may be shorter than asked for. */
export type FetchPage = (path: string, after: string, countMax: number) => Promise<FetchedPage>;

/** A directory that is being walked, from a name on. */
interface Level {
  readonly path: string;
  after: string;
  entries: readonly FileInfo[];
  next: number;
  more: boolean;
  /** Pages that have been asked for. */
  pages: number;
  /** The next one, asked for ahead. */
  ahead: Promise<Outcome> | undefined;
}

type Outcome =
  | { readonly kind: "page"; readonly page: FetchedPage }
  | { readonly kind: "failed"; readonly error: unknown };

export interface DirectoryWalkOptions {
  readonly root: string;
  readonly isRecursive: boolean;
  readonly fetch: FetchPage;
  /** Path of the last entry that is not wanted any more; "" to begin at the front. */
  readonly after: string;
  /** Entries that the first page has, if that is known. */
  readonly firstPage?: number;
}

export class DirectoryWalk {
  readonly #options: DirectoryWalkOptions;
  /** The root first; the last one is being read. */
  readonly #stack: Level[];

  /** @throws LumeoError LUMEO_INVALID_ARGUMENT if `after` is no path below the root. */
  constructor(options: DirectoryWalkOptions) {
    this.#options = options;
    this.#stack = this.#resume(options.after);
  }

  /** Something surely follows; where it is false, something may. */
  get hasMore(): boolean {
    return this.#stack.some(
      ({ entries, next, more, pages }) => next < entries.length || (more && 0 < pages),
    );
  }

  /** The next entries, at least one; undefined at the end. */
  async next(): Promise<readonly FileInfo[] | undefined> {
    const stack = this.#stack;
    for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
      if (level.next < level.entries.length) return this.#take(level);
      if (level.more) await this.#load(level);
      else stack.pop();
    }
    return undefined;
  }

  /** What is left of a page, up to the next directory if that is entered. */
  #take(level: Level): readonly FileInfo[] {
    const { entries, next } = level;
    let end = entries.length;
    if (this.#options.isRecursive) {
      end = next;
      let entry = entries[end++];
      while (entry?.kind === "file" && end < entries.length) entry = entries[end++];
      if (entry?.kind === "dir") this.#enter(entry.path);
    }
    level.next = end;
    return next === 0 && end === entries.length ? entries : entries.slice(next, end);
  }

  /** The directories on the way to a cursor, each behind the name that leads on. */
  #resume(after: string): Level[] {
    const { root, isRecursive } = this.#options;
    const stack = [newLevel(root, "")];
    if (after === "") return stack;
    const base = root === "/" ? "/" : `${root}/`;
    if (!after.startsWith(base)) {
      throw this.#refusal(
        `Cannot list "${root}" after "${after}": expected a cursor of this listing`,
      );
    }
    const names = after.slice(base.length).split("/");
    for (const name of names) {
      const level = stack.at(-1) as Level;
      if (name === "") break; // the cursor is a directory: its content comes next
      level.after = name;
      stack.push(newLevel(join(level.path, name), ""));
    }
    if (names.at(-1) !== "" || !isRecursive) stack.pop();
    return stack;
  }

  #enter(path: string): void {
    if (DEPTH_MAX <= this.#stack.length) {
      throw this.#refusal(`Cannot list "${path}": it lies too deep`);
    }
    this.#stack.push(newLevel(path, ""));
  }

  #refusal(message: string): unknown {
    return toPublic(new InternalError("INVALID_ARGUMENT", message), this.#options.root, 1);
  }

  async #load(level: Level): Promise<void> {
    const isRoot = this.#stack.length === 1;
    const outcome = await (level.ahead ?? this.#ask(level));
    level.ahead = undefined;
    if (outcome.kind === "failed" && (isRoot || !isGone(outcome.error))) throw outcome.error;
    const { entries, more } = outcome.kind === "page" ? outcome.page : NOTHING; // (W3)
    level.entries = entries;
    level.next = 0;
    level.more = more;
    const last = entries.at(-1);
    if (last !== undefined) level.after = last.path.slice(last.path.lastIndexOf("/") + 1);
    if (more && 1 < level.pages) level.ahead = this.#ask(level); // (W1)
  }

  #ask(level: Level): Promise<Outcome> {
    const { fetch, firstPage = FIRST_PAGE } = this.#options;
    const countMax = level.pages === 0 ? firstPage : Math.max(firstPage, LATER_PAGE);
    level.pages += 1;
    return fetch(level.path, level.after, countMax).then(
      (page): Outcome => ({ kind: "page", page }),
      (error: unknown): Outcome => ({ kind: "failed", error }),
    );
  }
}

const NOTHING: FetchedPage = { entries: [], more: false };

function newLevel(path: string, after: string): Level {
  return { path, after, entries: [], next: 0, more: true, pages: 0, ahead: undefined };
}

function join(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}

function isGone(error: unknown): boolean {
  return LumeoError.is(error, "LUMEO_NOT_FOUND") || LumeoError.is(error, "LUMEO_NOT_DIRECTORY");
}
