// Lets operations on names and appends to them pass one another in order. Clients append to a tail
// without asking the masters; so before a name is removed, replaced, moved, copied or captured, the
// tails below it are sealed: everything acknowledged before is then in the sealed part, and who
// goes on appending has to ask for the path again.
//
// G1. While an operation holds a path, no tail is opened at or below it.
// G2. Nobody waits for an operation that began later: holders wait for openings under way, and
//     openings for the holders that were there first.
// G3. All of it is in memory. What another leader had begun is in the log before anything that
//     this one lets in.

import { type InodeId, LumeoError } from "@lumeofs/base";
import { getCount } from "../../metadata/counters.js";
import { stat } from "../../metadata/queries.js";
import type { StateReader } from "../../metadata/state.js";
import { getTail, type NumberedTail, tailsPage } from "../../metadata/tail-table.js";
import { livePath } from "../../metadata/tree.js";
import type { MetadataLog } from "../metadata-log.js";
import { stuckError, type TailKeeper } from "./tail-keeper.js";

/** How long an operation waits for the tails that are in its way. */
const SEAL_WITHIN_MS = 15_000;
const PAGE = 512;

interface Hold {
  readonly paths: readonly string[];
  readonly over: Promise<void>;
}

export class TailGate {
  readonly #log: MetadataLog;
  readonly #keeper: TailKeeper;
  readonly #holds = new Set<Hold>();
  /** Paths of which a tail is being opened. */
  readonly #openings = new Map<string, Set<Promise<unknown>>>();
  /** The term in which the state was known to hold all of the terms before. */
  #readyTerm = -1;

  constructor(log: MetadataLog, keeper: TailKeeper) {
    this.#log = log;
    this.#keeper = keeper;
  }

  /** Opens a tail when nothing holds its path. */
  async open<T>(path: string, work: () => Promise<T>): Promise<T> {
    for (let hold = this.#holderOf(path); hold !== undefined; hold = this.#holderOf(path)) {
      await hold.over;
    }
    const opening = work();
    const settled = opening.then(noop, noop);
    const underWay = this.#openings.get(path) ?? new Set();
    this.#openings.set(path, underWay.add(settled));
    void settled.then(() => {
      underWay.delete(settled);
      if (underWay.size === 0) this.#openings.delete(path);
    });
    return opening;
  }

  /**
   * Does some work on paths, when all tails at or below them are sealed.
   *
   * @throws LumeoError UNAVAILABLE, with a path, if a tail cannot be sealed now.
   */
  pass<T>(paths: readonly string[], work: () => Promise<T>): Promise<T> {
    if (this.#readyTerm === this.#log.term && this.#isClear(paths)) return work();
    return this.#passHolding(paths, work);
  }

  /** Nothing is appended there, as can be said without looking far: what most operations find. */
  #isClear(paths: readonly string[]): boolean {
    for (const path of this.#openings.keys()) if (isBelowAny(path, paths)) return false;
    const { local } = this.#log;
    return getCount(local, "tails") === 0 || paths.every((path) => isPlainFile(local, path));
  }

  async #passHolding<T>(paths: readonly string[], work: () => Promise<T>): Promise<T> {
    let release = noop;
    const over = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hold: Hold = { paths, over };
    this.#holds.add(hold);
    try {
      const inTheWay = [...this.#openings].filter(([path]) => isBelowAny(path, paths));
      await Promise.all(inTheWay.flatMap(([, openings]) => [...openings]));
      await this.#sealBelow(paths);
      return await work();
    } finally {
      this.#holds.delete(hold);
      release();
    }
  }

  async #sealBelow(paths: readonly string[]): Promise<void> {
    const { term } = this.#log;
    const state = await this.#log.read();
    this.#readyTerm = term;
    const tails = await tailsBelow(state, paths);
    await Promise.all(tails.map((numbered) => this.#sealOne(state, numbered)));
  }

  async #sealOne(
    state: StateReader,
    numbered: NumberedTail & { readonly path: string },
  ): Promise<void> {
    const { handle, path } = numbered;
    const what = `Cannot go on with ${JSON.stringify(path)}`;
    const stuck = (): LumeoError | undefined => {
      const tail = getTail(state, handle);
      return tail && stuckError(what, this.#keeper, state, { handle, tail });
    };
    const lost = stuck();
    if (lost?.retryable === false) throw lost; // nobody waits for what will not be
    if (await this.#keeper.seal(handle, `${path} is about to change`, SEAL_WITHIN_MS)) return;
    const why = "what is appended to it could not be completed in time";
    throw stuck() ?? new LumeoError("UNAVAILABLE", `${what}: ${why}`);
  }

  #holderOf(path: string): Hold | undefined {
    for (const hold of this.#holds) if (isBelowAny(path, hold.paths)) return hold;
    return undefined;
  }
}

/** Tails of the files at or below some paths. Costs as much as there are tails. */
export async function tailsBelow(
  state: StateReader,
  paths: readonly string[],
): Promise<readonly (NumberedTail & { readonly path: string })[]> {
  const found: (NumberedTail & { readonly path: string })[] = [];
  const directories = new Map<InodeId, string | undefined>();
  for (let after = 0; ; ) {
    const page = await tailsPage(state, after, PAGE);
    for (const numbered of page) {
      const { parent, name } = numbered.tail.place;
      if (!directories.has(parent)) directories.set(parent, livePath(state, parent));
      const directory = directories.get(parent);
      if (directory === undefined) continue;
      const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
      if (isBelowAny(path, paths)) found.push({ ...numbered, path });
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return found;
    after = last.handle;
  }
}

function isPlainFile(state: StateReader, path: string): boolean {
  const found = stat(state, path);
  if (found.kind === "refused") return true; // nothing is there
  return found.inode.kind === "file" && found.inode.tail === undefined;
}

function isBelowAny(path: string, paths: readonly string[]): boolean {
  return paths.some((top) => top === "/" || path === top || path.startsWith(`${top}/`));
}

function noop(): void {}
