// Open connections, kept for the next request: one shared by all small requests to an address, and
// exclusive ones for streams, so that a stream that has to wait blocks nobody else.
//
// A lane keeps apart what must not wait for each other on one connection. Servers use the number of
// replicas still to come: a frame for the end of a chain then never stands behind one that needs
// another server's room, and servers that forward to each other cannot block each other.

import { type Alarm, type Closable, LumeoError } from "@lumeofs/base";
import type { DataNetwork } from "./data-network.js";
import { FrameConnection } from "./frame-connection.js";
import type { Hello } from "./message.js";
import { TCP } from "./tcp.js";
import { type WatchedWrite, WriteWatch } from "./write-watch.js";

export interface FramePoolOptions {
  readonly hello: () => Hello;
  readonly connectTimeoutMs?: number;
  /** A connection unused for this long, or up to twice as long, is closed. */
  readonly idleMs?: number;
  /** Exclusive connections to one address and lane; more wait for one to be given back. */
  readonly exclusiveMax?: number;
  readonly stallMs?: number;
  /** Default: TCP. */
  readonly network?: DataNetwork | undefined;
}

export interface Route {
  /** host:port */
  readonly address: string;
  /** Default 0. */
  readonly lane?: number;
  readonly signal?: AbortSignal;
}

/** A connection that nobody else uses until it is released. */
export interface ExclusiveConnection {
  readonly connection: FrameConnection;
  /**
   * Gives it back. It is closed if a request on it was not answered to its end: the other side then
   * drops what it has of it. Harmless the second time.
   */
  release(): void;
}

const CONNECT_TIMEOUT_MS = 2_000;
const IDLE_MS = 30_000;
const EXCLUSIVE_MAX = 64;
const ANSWER_LOOK_MS = 50;
/** How many times longer than an answer to a hello its connection may take. */
const CONNECT_SHARE = 3;

interface Waiter {
  readonly wake: () => void;
}

interface Shared {
  readonly opening: Promise<FrameConnection>;
  connection: FrameConnection | undefined;
}

interface Lane {
  shared: Shared | undefined;
  readonly idle: FrameConnection[];
  exclusiveCount: number;
  readonly waiting: Waiter[];
}

/** Connections by address and lane. */
export class FramePool implements Closable {
  readonly #options: FramePoolOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #open = new Set<FrameConnection>();
  readonly #leased = new Set<FrameConnection>();
  /** Were unused when the last sweep looked. */
  #unused = new Set<FrameConnection>();
  readonly #network: DataNetwork;
  readonly #watch: WriteWatch;
  readonly #sweeper: Alarm;
  #isClosed = false;

  constructor(options: FramePoolOptions) {
    this.#options = options;
    this.#network = options.network ?? TCP;
    this.#watch = new WriteWatch(this.#network.timers, (address, timeoutMs) => {
      return this.#answers(address, timeoutMs);
    });
    this.#sweeper = this.#network.timers.every(options.idleMs ?? IDLE_MS, () => this.#sweep());
  }

  /**
   * The connection that all small requests to an address share.
   *
   * @throws LumeoError UNAVAILABLE if there is nobody; CLOSED after `close`.
   */
  shared(route: Route): Promise<FrameConnection> {
    const lane = this.#lane(route);
    const known = lane.shared;
    if (known !== undefined && known.connection?.isUsable !== false) return known.opening;
    const shared: Shared = {
      opening: this.#connect(route.address, undefined),
      connection: undefined,
    };
    lane.shared = shared;
    shared.opening.then(
      (connection) => {
        shared.connection = connection;
      },
      () => {
        if (lane.shared === shared) lane.shared = undefined;
      },
    );
    return shared.opening;
  }

  /**
   * A connection for one stream.
   *
   * @throws LumeoError UNAVAILABLE if there is nobody; CLOSED after `close`.
   */
  async exclusive(route: Route): Promise<ExclusiveConnection> {
    const lane = this.#lane(route);
    while ((this.#options.exclusiveMax ?? EXCLUSIVE_MAX) <= lane.exclusiveCount) {
      await this.#turn(lane, route.signal);
    }
    this.#checkOpen();
    lane.exclusiveCount++;
    try {
      const connection = this.#takeIdle(lane) ?? (await this.#connect(route.address, route.signal));
      return this.#lease(lane, connection);
    } catch (error) {
      this.#giveBack(lane);
      throw error;
    }
  }

  /** Looks after a write until the returned function is called; see write-watch.ts. */
  watch(write: WatchedWrite): () => void {
    return this.#watch.begin(write);
  }

  /**
   * Whether a living process serves an address: it is asked on a connection of its own, and answers
   * as soon as its turn comes, whatever its disk does.
   */
  async #answers(address: string, timeoutMs: number): Promise<boolean> {
    const { timers } = this.#network;
    let connection: FrameConnection;
    try {
      const hello = this.#options.hello();
      const network = this.#network;
      const limits = { timeoutMs: CONNECT_SHARE * timeoutMs, network };
      connection = await FrameConnection.connect(address, { hello, ...limits });
    } catch {
      return false;
    }
    await new Promise<void>((resolve) => {
      // Counted in looks, not on a clock: while this process is busy itself, the answer may lie
      // here unread, and no look is made either.
      let looks = Math.ceil(timeoutMs / ANSWER_LOOK_MS);
      const looking = timers.every(ANSWER_LOOK_MS, () => {
        if (0 < looks--) return;
        looking.cancel();
        resolve();
      });
      connection.whenAnswered(() => {
        looking.cancel();
        resolve();
      });
    });
    const isAlive = connection.welcome !== undefined;
    connection.close();
    return isAlive;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sweeper.cancel();
    this.#watch.close();
    for (const connection of [...this.#open]) connection.close();
    for (const lane of this.#lanes.values()) {
      for (const waiter of lane.waiting.splice(0)) waiter.wake();
    }
  }

  #lane(route: Route): Lane {
    this.#checkOpen();
    const key = `${route.lane ?? 0} ${route.address}`;
    const found = this.#lanes.get(key);
    if (found !== undefined) return found;
    const lane: Lane = { shared: undefined, idle: [], exclusiveCount: 0, waiting: [] };
    this.#lanes.set(key, lane);
    return lane;
  }

  async #connect(address: string, signal: AbortSignal | undefined): Promise<FrameConnection> {
    const { stallMs } = this.#options;
    const connection = await FrameConnection.connect(address, {
      hello: this.#options.hello(),
      timeoutMs: this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      network: this.#network,
      signal,
      ...(stallMs === undefined ? {} : { stallMs }),
    });
    if (this.#isClosed) connection.close();
    this.#open.add(connection);
    connection.whenClosed(() => this.#open.delete(connection));
    return connection;
  }

  #takeIdle(lane: Lane): FrameConnection | undefined {
    for (let next = lane.idle.pop(); next !== undefined; next = lane.idle.pop()) {
      if (next.isUsable) return next;
    }
    return undefined;
  }

  #lease(lane: Lane, connection: FrameConnection): ExclusiveConnection {
    let isHeld = true;
    this.#leased.add(connection);
    return {
      connection,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#leased.delete(connection);
        const isClean = connection.openRequests === 0 && !connection.hasAbandoned;
        if (connection.isUsable && isClean) lane.idle.push(connection);
        else connection.close();
        this.#giveBack(lane);
      },
    };
  }

  #giveBack(lane: Lane): void {
    lane.exclusiveCount--;
    lane.waiting.shift()?.wake();
  }

  #turn(lane: Lane, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        lane.waiting.splice(lane.waiting.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        wake: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      lane.waiting.push(waiter);
    });
  }

  /** Closes what was unused at the last sweep too. */
  #sweep(): void {
    const unused = [...this.#open].filter(
      (one) => one.openRequests === 0 && !this.#leased.has(one),
    );
    const before = this.#unused;
    this.#unused = new Set(unused.filter((connection) => !before.has(connection)));
    for (const connection of unused) if (before.has(connection)) connection.close();
    for (const [key, lane] of this.#lanes) {
      lane.idle.splice(0, lane.idle.length, ...lane.idle.filter((one) => one.isUsable));
      const isUnused = lane.exclusiveCount === 0 && lane.idle.length === 0;
      const hasShared = lane.shared !== undefined && lane.shared.connection?.isUsable !== false;
      if (isUnused && !hasShared) this.#lanes.delete(key);
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new LumeoError("CLOSED", "Cannot connect: the pool is closed");
  }
}
