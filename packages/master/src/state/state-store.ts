import type { Closable } from "@lumeofs/base";
import type { StateImage } from "../consensus/replicated-state.js";
import type { State, StateReader } from "../metadata/state.js";
import type { LogIndex, Term } from "../raft/entry.js";

/** A place in the log: the last entry whose changes a state contains. */
export interface AppliedMark {
  readonly index: LogIndex;
  readonly term: Term;
}

/**
 * Where the replicated state lives: an ordered map from bytes to bytes whose changes are visible at
 * once and durable later.
 *
 * S1. The changes between two calls of `commit` become durable together with the mark of the second
 *     one, or not at all.
 * S2. What is durable is always the state at exactly one mark; `durable` never goes back.
 * S3. The first failure of any kind ends the use of the store: every later call throws the same
 *     STORE_FAILED error, and nothing more becomes durable.
 */
export interface StateStore extends State, StateReader, Closable {
  /** The last `commit`: what `get` and `range` see. */
  readonly applied: AppliedMark;
  /** What a restart begins from. */
  readonly durable: AppliedMark;
  /** More waits to become durable than the store likes to hold: wait for `flush`. */
  readonly congested: boolean;
  /** Ends a unit of changes. Begins to persist it, behind. */
  commit(mark: AppliedMark): void;
  /** Waits until `durable` has reached what is applied now. Rejects if the store has failed. */
  flush(): Promise<void>;
  /** The state at `durable` as it is now, frozen; changes go on meanwhile. */
  image(): Promise<StateImage>;
  /**
   * The state at `applied` as it is now, frozen; to be called between two units of changes. Reading
   * it fails once the state has been replaced as a whole.
   */
  capture(): StateImage;
  /**
   * Replaces everything by an image, durably; a crash leaves the old state or the new one.
   * Rejects with CORRUPT, and leaves the old state in use, if the image is damaged.
   */
  install(mark: AppliedMark, pieces: AsyncIterable<Uint8Array>): Promise<void>;
}
