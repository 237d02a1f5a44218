// LevelDB as a machine without disks has it: an ordered map whose writes land at one moment, as a
// whole, and may or may not have landed when the power fails. What rots is noticed when it is read:
// blocks of LevelDB have checksums.

import { integerBetween, LumeoError, type SeededRandom } from "@lumeofs/base";
import type {
  LevelDatabase,
  LevelOperation,
  LevelPair,
  LevelRange,
  LevelScan,
  LevelSnapshot,
} from "@lumeofs/master";

/** Carries a write out: calls `land` when it is durable; never ends if the process does. */
export type LandWrite = (land: () => void) => Promise<void>;

export interface SimDatabaseParts {
  readonly landWrite: LandWrite;
  /** Asked at each read. @throws What the disk says. */
  readonly checkRead: () => void;
}

/** What survives a crash. Keys are strings with one character for each byte. */
export class DatabaseContents {
  readonly #values = new Map<string, Uint8Array>();
  readonly #rotten = new Set<string>();
  #sorted: string[] | undefined;

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#read(nameOf(key));
  }

  get size(): number {
    return this.#values.size;
  }

  /** A pair cannot be read any more, until another one takes its place. */
  rot(index: number): void {
    const name = [...this.#values.keys()][index];
    if (name !== undefined) this.#rotten.add(name);
  }

  /** A bit of a value turns over, and LevelDB does not see it. */
  flip(index: number, random: SeededRandom): void {
    const [name, value] = [...this.#values][index] ?? [];
    if (name === undefined || value === undefined || value.byteLength === 0) return;
    const flipped = Uint8Array.from(value);
    const at = integerBetween(random, 0, flipped.byteLength - 1);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << integerBetween(random, 0, 7));
    this.#values.set(name, flipped);
  }

  #read(name: string): Uint8Array | undefined {
    if (!this.#rotten.has(name)) return this.#values.get(name);
    throw new LumeoError("CORRUPT", "Cannot read the database: a block is damaged");
  }

  apply(operations: readonly LevelOperation[]): void {
    for (const operation of operations) {
      const name = nameOf(operation.key);
      this.#rotten.delete(name);
      const isNew = !this.#values.has(name);
      if (operation.type === "put") {
        this.#values.set(name, Uint8Array.from(operation.value));
        if (isNew) this.#sorted = undefined;
      } else if (this.#values.delete(name)) {
        this.#sorted = undefined;
      }
    }
  }

  within({ from, to }: LevelRange): readonly LevelPair[] {
    this.#sorted ??= [...this.#values.keys()].sort();
    const [first, end] = [nameOf(from), nameOf(to)];
    const pairs: LevelPair[] = [];
    for (let at = lowerBound(this.#sorted, first); at < this.#sorted.length; at++) {
      const name = this.#sorted[at] as string;
      if (end <= name) break;
      pairs.push([Buffer.from(name, "latin1"), this.#read(name) as Uint8Array]);
    }
    return pairs;
  }

  copy(): DatabaseContents {
    const copy = new DatabaseContents();
    for (const [name, value] of this.#values) copy.#values.set(name, value);
    for (const name of this.#rotten) copy.#rotten.add(name);
    return copy;
  }
}

export class SimDatabase implements LevelDatabase {
  readonly #contents: DatabaseContents;
  readonly #parts: SimDatabaseParts;
  #isClosed = false;

  constructor(contents: DatabaseContents, parts: SimDatabaseParts) {
    this.#contents = contents;
    this.#parts = parts;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#mustBeOpen();
    this.#parts.checkRead();
    return this.#contents.get(key);
  }

  async write(operations: Iterable<LevelOperation>): Promise<void> {
    this.#mustBeOpen();
    const all = [...operations].map((operation) => ({ ...operation }));
    await this.#parts.landWrite(() => this.#contents.apply(all));
  }

  scan(range: LevelRange): LevelScan {
    this.#mustBeOpen();
    return scanOf(this.#contents, range, this.#parts.checkRead);
  }

  snapshot(): LevelSnapshot {
    this.#mustBeOpen();
    const frozen = this.#contents.copy();
    const { checkRead } = this.#parts;
    return {
      get: (key) => {
        checkRead();
        return frozen.get(key);
      },
      scan: (range) => scanOf(frozen, range, checkRead),
      close: async () => {},
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new LumeoError("CLOSED", "Cannot use the database: it is closed");
  }
}

function scanOf(contents: DatabaseContents, range: LevelRange, checkRead: () => void): LevelScan {
  let pairs: readonly LevelPair[] = [];
  let failure: unknown;
  try {
    pairs = contents.within(range);
  } catch (error) {
    failure = error; // told when it is read
  }
  let next = 0;
  return {
    next: async (countMax) => {
      checkRead();
      if (failure !== undefined) throw failure;
      const page = pairs.slice(next, next + countMax);
      next += page.length;
      return page;
    },
    close: async () => {},
  };
}

function lowerBound(sorted: readonly string[], wanted: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
