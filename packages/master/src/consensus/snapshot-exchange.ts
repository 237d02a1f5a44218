import { type Logger, LumeoError, type NodeId } from "@lumeofs/base";
import { type LogIndex, logIndex, type Term } from "../raft/entry.js";
import type { PeerLinks, SnapshotOffer } from "./peer-link.js";
import type { StoredSnapshot } from "./snapshot-store.js";
import type { StoragePorts } from "./storage-queue.js";

/**
 * Snapshots on their way to and from other members.
 *
 * Failures of the connection end a transfer; failures of this member's disk or state reject, and
 * end the member.
 */
export class SnapshotExchange {
  readonly #ports: StoragePorts;
  readonly #links: PeerLinks;
  readonly #logger: Logger;
  /** Last entries of the snapshots that are being sent: what follows them must stay in the log. */
  readonly #sending = new Map<NodeId, LogIndex>();
  #making: Promise<StoredSnapshot> | undefined;
  #isReceiving = false;

  constructor(ports: StoragePorts, links: PeerLinks, logger: Logger) {
    this.#ports = ports;
    this.#links = links;
    this.#logger = logger;
  }

  /** The log may not be forgotten behind this while transfers run. */
  get needed(): LogIndex {
    return logIndex(Math.min(Number.MAX_SAFE_INTEGER, ...this.#sending.values()));
  }

  get isSending(): boolean {
    return 0 < this.#sending.size;
  }

  /**
   * Sends a fresh snapshot to a peer; true once it is durable there.
   *
   * @param staleAfter  A file that lacks more entries than this is not sent: a new one is made.
   */
  async send(to: NodeId, term: Term, staleAfter: number): Promise<boolean> {
    const { log, snapshots, state } = this.#ports;
    this.#sending.set(to, state.durable);
    try {
      const stored = await this.#fresh(staleAfter);
      // The log may have been shortened while the file was made, before this transfer held it.
      if (stored.meta.index < log.first - 1) return false;
      this.#sending.set(to, stored.meta.index);
      const { meta, sizeBytes, crc32c } = stored;
      this.#logger.info("Sending a snapshot", { peer: to, index: meta.index, bytes: sizeBytes });
      const offer = { term, meta, sizeBytes, crc32c };
      const { pieces, failure } = watched(snapshots.read(stored));
      const delivered = await this.#links.sendSnapshot(to, offer, pieces);
      if (failure() !== undefined) throw failure();
      return delivered;
    } finally {
      this.#sending.delete(to);
    }
  }

  /** Takes a snapshot; undefined if it is not whole, or another one is being taken. */
  async receive(
    from: NodeId,
    offer: SnapshotOffer,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<StoredSnapshot | undefined> {
    if (this.#isReceiving) return undefined;
    this.#isReceiving = true;
    try {
      const stored = await this.#ports.snapshots.receive(offer, pieces);
      const fields = { peer: from, index: offer.meta.index, bytes: offer.sizeBytes };
      if (stored === undefined) this.#logger.warn("A snapshot did not arrive whole", fields);
      else this.#logger.info("Received a snapshot", fields);
      return stored;
    } finally {
      this.#isReceiving = false;
    }
  }

  #fresh(staleAfter: number): Promise<StoredSnapshot> {
    const { log, snapshots, state } = this.#ports;
    const { newest } = snapshots;
    const isFresh =
      newest !== undefined &&
      log.first - 1 <= newest.meta.index &&
      newest.meta.index <= state.durable &&
      state.durable - newest.meta.index <= staleAfter;
    if (isFresh) return Promise.resolve(newest);
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<StoredSnapshot> {
    const { log, snapshots, state } = this.#ports;
    const image = await state.image();
    try {
      const { index, term } = image;
      if (index < log.first - 1) {
        throw new LumeoError("INTERNAL", `The state at ${index} is behind the log at ${log.first}`);
      }
      const meta = { index, term, membership: log.membershipAt(index) };
      const stored = await snapshots.write(meta, image.pieces());
      if (this.#sending.size <= 1) await snapshots.prune(index);
      return stored;
    } finally {
      await image.close();
    }
  }
}

/** The pieces of a file, and what this member's own disk threw while it gave them. */
interface WatchedPieces {
  readonly pieces: AsyncIterable<Uint8Array>;
  readonly failure: () => unknown;
}

function watched(source: AsyncIterable<Uint8Array>): WatchedPieces {
  let failure: unknown;
  const pieces = async function* (): AsyncIterable<Uint8Array> {
    try {
      yield* source;
    } catch (error) {
      // A file that was removed because a newer snapshot came is no failure of the disk.
      if (!(error instanceof LumeoError && error.code === "NOT_FOUND")) failure = error;
      throw error;
    }
  };
  return { pieces: pieces(), failure: () => failure };
}
