// Snapshots in the making, and on their way to and from other members.
//
// E1. A snapshot is made from a frozen view of the state: applying and flushing go on meanwhile.
// E2. What follows the newest snapshot, and one that is being sent or was sent to a member that has
//     not caught up since, stays in the log: `wanted`.
// E3. A transfer that breaks off goes on where it was, while it gets ahead; so does the next one.
// E4. One snapshot is taken at a time. A newer offer of the leader ends the transfer before it,
//     which may hang on a dead connection.
// E5. Failures of the connection end a transfer, and a full disk ends the work on one snapshot.
//     Every other failure of this member's disk or state rejects, and ends the member.

import { type Closable, type Logger, LumeoError, type NodeId, type Timers } from "@lumeofs/base";
import { type Entry, type LogIndex, logIndex, type Term } from "../raft/entry.js";
import type { PeerStatus } from "../raft/message.js";
import type { Wanted } from "./compaction.js";
import type { DriverLimits } from "./config.js";
import { encodedLength } from "./entry-codec.js";
import type { PeerLinks, SnapshotDelivery, SnapshotOffer } from "./peer-link.js";
import type { SnapshotPlace, StoredSnapshot } from "./snapshot-file.js";
import { SnapshotPace } from "./snapshot-pace.js";
import type { StoragePorts } from "./storage-queue.js";

/** A transfer that has broken off so often without getting ahead is given up. */
const ATTEMPTS_MAX = 4;
const RETRY_MS = 500;
const ANYWHERE = Number.MAX_SAFE_INTEGER;

export type SnapshotLimits = Pick<DriverLimits, "snapshotBytesPerSecond" | "snapshotLogBytes">;

export interface ExchangePorts extends StoragePorts {
  readonly links: PeerLinks;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Whom a snapshot is for, and while it is of any use. */
export interface SnapshotOrder {
  readonly to: NodeId;
  readonly term: Term;
  readonly isWanted: () => boolean;
}

/** Counts since the start of this member. */
export interface SnapshotCounts {
  built: number;
  sent: number;
  received: number;
  /** Of images, also of those that did not arrive. */
  sentBytes: number;
}

export class SnapshotExchange implements Closable {
  readonly counts: SnapshotCounts = { built: 0, sent: 0, received: 0, sentBytes: 0 };
  readonly #ports: ExchangePorts;
  readonly #limits: SnapshotLimits;
  readonly #pace: SnapshotPace;
  /** Last entries of the snapshots that are being sent. */
  readonly #sending = new Map<NodeId, LogIndex>();
  /** And of those that have arrived, until their members have caught up. */
  readonly #arrived = new Map<NodeId, LogIndex>();
  /** Bytes of entries that were applied since the newest snapshot was begun. */
  #bytesSince: number;
  #making: Promise<StoredSnapshot> | undefined;
  #receiving: { readonly abort: AbortController; readonly done: Promise<unknown> } | undefined;
  #dropping: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(ports: ExchangePorts, limits: SnapshotLimits) {
    this.#ports = ports;
    this.#limits = limits;
    // As if the newest had been made before all of it: at worst one is made too early.
    this.#bytesSince = ports.log.bytes;
    this.#pace = new SnapshotPace(limits.snapshotBytesPerSecond, ports.timers);
  }

  /** Behind what the log should not be forgotten. (E2) @param peers  As the leader sees them. */
  wanted(peers: readonly PeerStatus[]): Wanted {
    const alive = peers.filter((peer) => peer.active);
    for (const { id, state, next } of alive) {
      const isCaughtUp = state === "replicate" && this.#ports.log.last < next;
      if (isCaughtUp) this.#arrived.delete(id);
    }
    const loading = alive.flatMap(({ id, match }) => {
      const index = this.#arrived.get(id);
      return index === undefined ? [] : [Math.max(index, match)];
    });
    const bridged = Math.min(ANYWHERE, ...this.#sending.values(), ...loading);
    // Who is being given a snapshot has its place among these.
    const matches = alive.filter(({ state }) => state !== "snapshot").map(({ match }) => match);
    const newest = this.#ports.snapshots.newest?.meta.index ?? ANYWHERE;
    const living = logIndex(Math.min(newest, bridged, ...matches));
    return { living, bridged: logIndex(bridged) };
  }

  /** These were applied. */
  applied(entries: readonly Entry[]): void {
    for (const entry of entries) this.#bytesSince += encodedLength(entry);
  }

  /**
   * Begins a snapshot if the log has grown enough since the last one: by `snapshotLogBytes`, and by
   * as much as a snapshot takes, so that snapshots at most double what is written.
   */
  buildIfDue(): Promise<void> {
    const { newest } = this.#ports.snapshots;
    const isDue = !this.#isRecent(newest) && this.#limits.snapshotLogBytes <= this.#bytesSince;
    if (!isDue || this.#isClosed || this.#making !== undefined) return Promise.resolve();
    return this.#build().then(
      () => {},
      (error: unknown) => this.#gaveUp("Cannot make a snapshot", error),
    );
  }

  /** Sends a snapshot to a peer; true once it is durable there. */
  async send(order: SnapshotOrder): Promise<boolean> {
    const { log, state } = this.#ports;
    this.#sending.set(order.to, state.durable);
    try {
      const stored = await this.#fresh();
      // The log may have been shortened while the file was made, before this transfer held it.
      if (stored.meta.index < log.first - 1) return false;
      this.#sending.set(order.to, stored.meta.index);
      const isThere = await this.#deliver(order, stored);
      if (isThere) this.#arrived.set(order.to, stored.meta.index);
      return isThere;
    } catch (error) {
      this.#gaveUp("Cannot send a snapshot", error);
      return false;
    } finally {
      this.#sending.delete(order.to);
      await this.#prune();
    }
  }

  /** How many bytes of what is offered are here; undefined if none is taken now. */
  offered(offer: SnapshotOffer): number | undefined {
    return this.#isClosed ? undefined : this.#ports.snapshots.held(offer);
  }

  /** Takes a snapshot from `offset` on; undefined if it is not whole, or not taken. */
  async receive(
    from: NodeId,
    offer: SnapshotOffer,
    arrival: { readonly offset: number; readonly pieces: AsyncIterable<Uint8Array> },
  ): Promise<StoredSnapshot | undefined> {
    await this.#endReceiving();
    // Another one may have come first while the one before it ended: the sender asks again.
    if (this.#receiving !== undefined || this.#isClosed) return undefined;
    const abort = new AbortController();
    const taking = this.#take(from, offer, { ...arrival, signal: abort.signal });
    const receiving = { abort, done: taking.catch(() => {}) };
    this.#receiving = receiving;
    try {
      return await taking;
    } finally {
      if (this.#receiving === receiving) this.#receiving = undefined;
    }
  }

  /** Removes a received snapshot that nobody wants. */
  drop(place: SnapshotPlace): Promise<void> {
    const { snapshots } = this.#ports;
    const stored = snapshots.find(place);
    if (stored !== undefined) this.#dropping = snapshots.remove(stored);
    return this.#dropping;
  }

  /** Ends what is under way. Transfers to others end with their connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled([this.#endReceiving(), this.#making, this.#dropping]);
  }

  async #endReceiving(): Promise<void> {
    const before = this.#receiving;
    before?.abort.abort();
    await before?.done;
    if (this.#receiving === before) this.#receiving = undefined;
  }

  async #take(
    from: NodeId,
    offer: SnapshotOffer,
    arrival: Parameters<StoragePorts["snapshots"]["receive"]>[1],
  ): Promise<StoredSnapshot | undefined> {
    const { snapshots, logger } = this.#ports;
    const fields = { peer: from, index: offer.meta.index };
    try {
      const stored = await snapshots.receive(offer, arrival);
      if (stored === undefined) {
        const bytes = snapshots.held(offer);
        logger.warn("A snapshot has arrived in part", { ...fields, bytes });
        return undefined;
      }
      this.counts.received += 1;
      logger.info("Received a snapshot", { ...fields, bytes: offer.sizeBytes });
      return stored;
    } catch (error) {
      this.#gaveUp("Cannot take a snapshot", error);
      return undefined;
    }
  }

  /** Sends until it is there, or there is no point in going on. (E3) */
  async #deliver(order: SnapshotOrder, stored: StoredSnapshot): Promise<boolean> {
    const { links, logger, timers } = this.#ports;
    const { to, term, isWanted } = order;
    const { meta, sizeBytes: bytes } = stored;
    logger.info("Sending a snapshot", { peer: to, index: meta.index, bytes });
    let [failures, furthest] = [0, -1];
    while (isWanted() && !this.#isClosed) {
      const reading = this.#watched(stored);
      const outcome: SnapshotDelivery = await links.sendSnapshot(
        to,
        { term, ...stored },
        reading.from,
      );
      if (reading.failure() !== undefined) throw reading.failure();
      if (outcome === "delivered") this.counts.sent += 1;
      if (outcome !== "broken") return outcome === "delivered";
      failures = furthest < reading.begunAt() ? 1 : failures + 1;
      furthest = Math.max(furthest, reading.begunAt());
      if (ATTEMPTS_MAX <= failures) return false;
      await new Promise<void>((resolve) => timers.after(RETRY_MS, resolve));
    }
    return false;
  }

  /** The pieces of a file, and what this member's own disk threw while it gave them. */
  #watched(stored: StoredSnapshot): WatchedFile {
    const { snapshots } = this.#ports;
    let [failure, begunAt]: [unknown, number] = [undefined, -1];
    const read = async function* (this: SnapshotExchange, from: number) {
      begunAt = from;
      try {
        for await (const piece of this.#pace.slowed(snapshots.read(stored, from))) {
          if (this.#isClosed) throw new LumeoError("CLOSED", "This member is closed");
          this.counts.sentBytes += piece.byteLength;
          yield piece;
        }
      } catch (error) {
        const isOurs = error instanceof LumeoError && HARMLESS.has(error.code);
        if (!isOurs) failure = error;
        throw error;
      }
    };
    return {
      from: (from) => read.call(this, from),
      failure: () => failure,
      begunAt: () => begunAt,
    };
  }

  #fresh(): Promise<StoredSnapshot> {
    const { newest } = this.#ports.snapshots;
    return this.#isRecent(newest) ? Promise.resolve(newest) : this.#build();
  }

  /** The log goes on behind it, and has not grown larger since than the snapshot is itself. */
  #isRecent(stored: StoredSnapshot | undefined): stored is StoredSnapshot {
    const { log, state } = this.#ports;
    return (
      stored !== undefined &&
      log.first - 1 <= stored.meta.index &&
      stored.meta.index <= state.durable &&
      this.#bytesSince <= Math.max(this.#limits.snapshotLogBytes, stored.sizeBytes)
    );
  }

  #build(): Promise<StoredSnapshot> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<StoredSnapshot> {
    const { log, snapshots, state, logger } = this.#ports;
    const image = await state.image();
    try {
      this.#bytesSince = 0;
      const { index, term } = image;
      if (index < log.first - 1) {
        throw new LumeoError("INTERNAL", `The state at ${index} is behind the log at ${log.first}`);
      }
      const meta = { index, term, membership: log.membershipAt(index) };
      const stored = await snapshots.write(meta, this.#untilClosed(image.pieces()));
      this.counts.built += 1;
      logger.info("Made a snapshot", { index, bytes: stored.sizeBytes });
      await this.#prune();
      return stored;
    } finally {
      await image.close();
    }
  }

  /** Keeps the newest, and those that are being sent. */
  async #prune(): Promise<void> {
    const { snapshots } = this.#ports;
    const newest = snapshots.newest?.meta.index ?? 0;
    await snapshots.prune(logIndex(Math.min(newest, ...this.#sending.values())));
  }

  async *#untilClosed(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const piece of this.#pace.slowed(pieces)) {
      if (this.#isClosed) throw new LumeoError("CLOSED", "This member is closed");
      yield piece;
    }
  }

  /** A full disk and the end of this member are no reason to end it otherwise. (E5) */
  #gaveUp(message: string, error: unknown): void {
    if (!(error instanceof LumeoError)) throw error;
    // A file that was removed because a newer snapshot was installed is no failure of the disk.
    if (HARMLESS.has(error.code)) return;
    if (error.code !== "NO_SPACE") throw error;
    this.#ports.logger.warn(message, { error });
  }
}

/** What may end work on a snapshot without being a failure of the disk. */
const HARMLESS: ReadonlySet<string> = new Set(["NOT_FOUND", "CLOSED"]);

interface WatchedFile {
  readonly from: (offset: number) => AsyncIterable<Uint8Array>;
  readonly failure: () => unknown;
  /** Where the last reading began; -1 if none has. */
  readonly begunAt: () => number;
}
