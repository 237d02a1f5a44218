import { KiB, MiB, type NodeId } from "@lumeofs/base";
import type { RaftOptions } from "../raft/message.js";

/** What keeps the log: LevelDB, or a write-ahead log of our own (docs/design/0016). */
export const LOG_STORES = ["level", "wal"] as const;
export type LogStoreKind = (typeof LOG_STORES)[number];

export const LOG_STORE_DEFAULT: LogStoreKind = "wal";

/** Everything that can be set about one member of a replicated group. */
export interface ConsensusConfig {
  /** This member's name. Never given to another store again. */
  readonly id: NodeId;
  /**
   * Names and addresses (host:port) of the members that the group is founded with, this included;
   * none if this member joins a group that is there. Means nothing once the log has been made.
   */
  readonly founders: Readonly<Record<NodeId, string>>;
  /** host:port where the others reach this member; empty: where the group was told. */
  readonly address: string;
  /** Folder of this member; `log` and `snapshots` are made in it. */
  readonly folder: string;
  /** Unit of Raft's time. */
  /** Default: LOG_STORE_DEFAULT. */
  readonly logStore?: LogStoreKind;
  readonly tickMs: number;
  readonly raft: RaftOptions;
  readonly limits: DriverLimits;
  /** New commands are refused while less than this is free on the disk. */
  readonly reserveBytes?: number;
  /** Size of a file that only takes up room, and is removed when there is hardly any. */
  readonly ballastBytes?: number;
}

export interface DriverLimits {
  /** Memory of proposals that wait for their reply; above it they are refused with OVERLOADED. */
  readonly proposalBytesMax: number;
  /** While so many committed entries are not yet applied, proposals are refused with OVERLOADED. */
  readonly applyLagMax: number;
  /** Reads that wait; above it they are refused with OVERLOADED. */
  readonly readsMax: number;
  /** Entries are written to disk in batches of about this many bytes. */
  readonly writeBytesMax: number;
  /** The log is shortened when it has this many entries more than the tail that stays... */
  readonly compactEntries: number;
  /** ...or this many bytes more. */
  readonly compactBytes: number;
  /** Entries that stay for members that are a little behind... */
  readonly tailEntries: number;
  /** ...unless they are more bytes than this. */
  readonly tailBytes: number;
  /**
   * For living members that are further behind the log may grow to this many bytes; behind a
   * snapshot that is under way to one of them, to four times as many.
   */
  readonly logBytesMax: number;
  /** A snapshot is made whenever so many bytes were applied since the last one. */
  readonly snapshotLogBytes: number;
  /** Making and sending snapshots together takes no more. */
  readonly snapshotBytesPerSecond: number;
}

/** A leader is missed after 1 to 2 seconds and sends a heartbeat every 100 ms. */
export const RAFT_OPTIONS_DEFAULT: RaftOptions = {
  electionTicks: 20,
  heartbeatTicks: 2,
  appendBytesMax: 1 * MiB,
  inFlightAppendsMax: 16,
  inFlightBytesMax: 8 * MiB,
  uncommittedBytesMax: 64 * MiB,
  applyBytesMax: 256 * KiB,
};

export const TICK_MS_DEFAULT = 50;

export const RESERVE_BYTES_DEFAULT = 128 * MiB;

export const BALLAST_BYTES_DEFAULT = 32 * MiB;

export const DRIVER_LIMITS_DEFAULT: DriverLimits = {
  proposalBytesMax: 64 * MiB,
  applyLagMax: 100_000,
  readsMax: 10_000,
  writeBytesMax: 4 * MiB,
  compactEntries: 100_000,
  compactBytes: 64 * MiB,
  tailEntries: 50_000,
  tailBytes: 32 * MiB,
  logBytesMax: 256 * MiB,
  snapshotLogBytes: 64 * MiB,
  snapshotBytesPerSecond: 64 * MiB,
};
