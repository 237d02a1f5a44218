// Chunk handles ahead of need: fetched in batches that grow with use, so that in the steady state
// nobody waits for one.
//
// A1. At most one batch of a kind is being fetched at a time.
// A2. A server that failed lately is avoided; the masters take one only if there is no other.

import { type Clock, LumeoError, monotonicMs, type ServerId } from "@lumeofs/base";
import type { Call } from "./call.js";
import { type Allocation, GrantBook, type HandleRow } from "./grant-book.js";
import type { Metadata } from "./metadata.js";
import type { ServerHealth } from "./server-health.js";

/** Grants in a batch: they have different primaries, so that load spreads. */
const GRANTS_PER_BATCH = 4;
const HANDLES_FIRST = 8;
const HANDLES_MAX = 64;
/** The master counts a grant's life from when it sent the answer; part is kept for the commit. */
const USABLE_SHARE = 0.8;

/** What a chunk is to be written to. */
export interface AllocationWish {
  /** As many servers: copies, or units of a code. */
  readonly servers: number;
  readonly areUnits: boolean;
  /** The caller has another way if there are too few: it is told at once. */
  readonly isOptional: boolean;
}

interface Stock {
  readonly book: GrantBook;
  handles: number;
  fetching: Promise<void> | undefined;
}

export class Allocations {
  readonly #metadata: Metadata;
  readonly #clock: Clock;
  /** By number of servers; those for units have negative keys. */
  readonly #stocks = new Map<number, Stock>();
  readonly #health: ServerHealth;

  constructor(metadata: Metadata, health: ServerHealth, clock: Clock) {
    this.#metadata = metadata;
    this.#health = health;
    this.#clock = clock;
  }

  /** A handle to write one chunk to, at once if there is one in stock. */
  take(call: Call, wish: AllocationWish): Promise<Allocation> {
    return this.takeRow(call, wish, 1);
  }

  /** The same of up to `max` handles in a row. */
  async takeRow(call: Call, wish: AllocationWish, max: number): Promise<HandleRow> {
    const stock = this.#stock(wish);
    for (;;) {
      const row = stock.book.takeRow(this.#clock.monotonicMs(), max);
      if (row === undefined) {
        await this.#fetch(call, wish, stock);
        continue;
      }
      this.#fetchAhead(call, wish, stock);
      return row;
    }
  }

  /** These servers failed: nothing more is written to them for a while (A2). */
  avoid(servers: readonly ServerId[]): void {
    this.#health.failed(servers, this.#clock.monotonicMs());
    const failed = new Set(servers);
    for (const { book } of this.#stocks.values()) book.dropServers(failed);
  }

  /** A chunkserver did not take this token: nothing more is written with it. */
  dropToken(token: Uint8Array): void {
    for (const { book } of this.#stocks.values()) book.dropToken(token);
  }

  /** The masters did not know a grant any more: others may have ended with it. */
  dropAll(): void {
    for (const { book } of this.#stocks.values()) book.clear();
  }

  #stock({ servers, areUnits }: AllocationWish): Stock {
    const kind = areUnits ? -servers : servers;
    const known = this.#stocks.get(kind);
    if (known !== undefined) return known;
    const stock: Stock = { book: new GrantBook(), handles: HANDLES_FIRST, fetching: undefined };
    this.#stocks.set(kind, stock);
    return stock;
  }

  /** Below half a batch the next one is fetched, beside the work that goes on. */
  #fetchAhead(call: Call, wish: AllocationWish, stock: Stock): void {
    if (stock.fetching !== undefined) return;
    const available = stock.book.available(this.#clock.monotonicMs());
    if ((stock.handles * GRANTS_PER_BATCH) / 2 <= available) return;
    stock.handles = Math.min(HANDLES_MAX, 2 * stock.handles);
    this.#fetch(call, wish, stock).catch(() => undefined); // whoever needs one will ask again
  }

  /** Adds a batch to the stock; whoever comes meanwhile waits for the same one (A1). */
  async #fetch(call: Call, wish: AllocationWish, stock: Stock): Promise<void> {
    while (stock.fetching !== undefined) {
      const others = stock.fetching;
      const isThere = await others.then(
        () => true,
        () => false,
      );
      call.cancellation.throwIfAborted();
      if (isThere) return;
    }
    const fetching = this.#allocate(call, wish, stock);
    stock.fetching = fetching;
    try {
      await fetching;
    } finally {
      stock.fetching = undefined;
    }
  }

  async #allocate(call: Call, wish: AllocationWish, stock: Stock): Promise<void> {
    const avoid = this.#health.suspects(this.#clock.monotonicMs());
    const askedAt = this.#clock.monotonicMs();
    const { servers: replicas, areUnits, isOptional } = wish;
    const ask = { grants: GRANTS_PER_BATCH, handles: stock.handles, replicas, areUnits, avoid };
    const isFinal = isOptional ? isTooFew : undefined;
    const asking = this.#metadata.mutate(call, "allocate", ask, isFinal);
    const { grants } = await asking.catch((error) => {
      if (!isTooLate(error)) throw error;
      return this.#metadata.mutate(call, "allocate", ask, isFinal); // as a new request
    });
    if (grants.length === 0) {
      throw new LumeoError("NO_SPACE", "Cannot write: the masters granted no chunks");
    }
    for (const { usableMs, ...grant } of grants) {
      stock.book.add({ ...grant, usableUntil: monotonicMs(askedAt + USABLE_SHARE * usableMs) });
    }
  }
}

function isTooFew({ code }: LumeoError): boolean {
  return code === "TOO_FEW_SERVERS";
}

/** The answer came after so many repetitions that what it granted had ended. */
function isTooLate(error: unknown): boolean {
  return error instanceof LumeoError && error.code === "GRANT_EXPIRED";
}
