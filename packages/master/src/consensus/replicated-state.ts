import type { Closable } from "@lumeofs/base";
import type { Entry, LogIndex, SnapshotMeta, Term } from "../raft/entry.js";

/**
 * The state machine as consensus sees it: bytes in, bytes out. State and applied index change
 * together, in memory at once and on disk behind.
 */
export interface ReplicatedState extends Closable {
  /** Applied in memory; reads see it. */
  readonly applied: LogIndex;
  /** Applied on disk: where a restart begins. Never above `applied`. */
  readonly durable: LogIndex;
  /** Term of the entry at `durable`: it tells whether state and log belong together. */
  readonly durableTerm: Term;
  /** Too much waits for the disk: wait for `flush` before the next `apply`. */
  readonly congested: boolean;
  /**
   * Applies committed entries in order and returns each one's reply (empty for entries that are no
   * commands). Deterministic. Begins to persist behind; `durable` follows.
   */
  apply(entries: readonly Entry[]): readonly Uint8Array[];
  /** Waits until `durable` has reached what is applied now. Rejects if the store has failed. */
  flush(): Promise<void>;
  /** A consistent image at `durable` or later; writing goes on meanwhile. */
  image(): Promise<StateImage>;
  /** Replaces everything by an image, atomically and durably. */
  install(meta: SnapshotMeta, pieces: AsyncIterable<Uint8Array>): Promise<void>;
}

/** A frozen state to read as a stream; closing frees it. */
export interface StateImage extends Closable {
  readonly index: LogIndex;
  readonly term: Term;
  pieces(): AsyncIterable<Uint8Array>;
}
