import type { Closable } from "@lumeofs/base";
import type {
  Entry,
  HardState,
  LogIndex,
  SnapshotMeta,
} from "../raft/entry.js";
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
  /** What the log begins behind. */
  readonly snapshot: SnapshotMeta;
  /** One atomic durable write. Calls are not overlapped by the caller. */
  write(write: LogWrite): Promise<void>;
  /** Forgets entries up to `meta.index`; `keepTail` false forgets all others too. Durable. */
  reset(meta: SnapshotMeta, keepTail: boolean): Promise<void>;
  /** Forgets entries up to `index`, which a durable snapshot covers; the rest stays. */
  compact(meta: SnapshotMeta, upTo: LogIndex): Promise<void>;
}
