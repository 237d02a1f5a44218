import type { Closable } from "@lumeofs/base";
import type { Entry, HardState, LogIndex, Membership, SnapshotMeta } from "../raft/entry.js";
import type { LogReader } from "../raft/message.js";

export interface LogWrite {
  readonly hardState: HardState | undefined;
  readonly truncateFrom: LogIndex | undefined;
  readonly entries: readonly Entry[];
}

/**
 * Where a member's log and hard state live. What `write` has answered survives a crash; what it has
 * not answered is there as a whole or not at all. The first failure of any method ends the use of
 * the store: every later call fails too, and the process stops.
 */
export interface LogStore extends LogReader, Closable {
  readonly hardState: HardState;
  /**
   * What a member that needs entries before `first` must be given at least. The log may hold a tail
   * of entries below it, for members that are a little behind: first - 1 <= snapshot.index.
   */
  readonly snapshot: SnapshotMeta;
  /** Bytes of the entries that are there. */
  readonly bytes: number;
  /** Who took part as of an index from `first - 1` to `last`. */
  membershipAt(index: LogIndex): Membership;
  /** One atomic durable write. Calls are not overlapped by the caller. */
  write(write: LogWrite): Promise<void>;
  /** Forgets all entries: the log begins anew behind a durable snapshot. The hard state stays. */
  reset(meta: SnapshotMeta): Promise<void>;
  /** Forgets entries up to `upTo`, which a durable state at `meta` covers; the rest stays. */
  compact(meta: SnapshotMeta, upTo: LogIndex): Promise<void>;
}
