// What a member can tell about its own work, for metrics: read when somebody asks, and counted
// where it happens. Nothing decides by it.

import type { Clock, NodeId } from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";
import type { RaftStatus } from "../raft/message.js";
import type { Proposals } from "./proposals.js";
import type { SnapshotCounts, SnapshotExchange } from "./snapshot-exchange.js";
import type { StoragePorts } from "./storage-queue.js";

/** Proposals of this member's callers, since its start. */
export interface ProposalCounts {
  applied: number;
  /** Certainly without effect. */
  refused: number;
  /** In doubt: the leadership was lost, or the member stopped. */
  lost: number;
}

/** One moment of a member. */
export interface Figures {
  readonly proposals: Readonly<ProposalCounts>;
  readonly proposalsPending: number;
  /** What these take in memory, roughly. */
  readonly proposalBytes: number;
  readonly uncommittedBytes: number;
  /** Committed entries that are not applied yet. */
  readonly applyLag: number;
  /** Applied entries that are not on this member's disk yet. */
  readonly flushLag: number;
  readonly logEntries: number;
  readonly logBytes: number;
  readonly snapshots: Readonly<SnapshotCounts>;
  /** The newest snapshot file; undefined if there is none. */
  readonly snapshot: { readonly index: LogIndex; readonly bytes: number } | undefined;
  /** Entries that each other member lacks; known to a leader only. */
  readonly peerLag: Readonly<Record<NodeId, number>>;
}

export interface FigureParts extends StoragePorts {
  readonly proposals: Proposals;
  readonly exchange: SnapshotExchange;
  readonly core: () => RaftStatus;
  readonly clock: Clock;
}

export class MemberFigures {
  readonly #parts: FigureParts;
  readonly #listeners = new Set<(seconds: number) => void>();

  constructor(parts: FigureParts) {
    this.#parts = parts;
  }

  get now(): Figures {
    const { log, state, snapshots, proposals, exchange } = this.#parts;
    const core = this.#parts.core();
    const { newest } = snapshots;
    return {
      proposals: proposals.counts,
      proposalsPending: proposals.pending,
      proposalBytes: proposals.bytes,
      uncommittedBytes: core.uncommittedBytes,
      applyLag: Math.max(0, core.commit - state.applied),
      flushLag: state.applied - state.durable,
      logEntries: log.last - log.first + 1,
      logBytes: log.bytes,
      snapshots: exchange.counts,
      snapshot: newest && { index: newest.meta.index, bytes: newest.sizeBytes },
      peerLag: Object.fromEntries(core.peers.map(({ id, match }) => [id, core.last - match])),
    };
  }

  /** A write to the log begins; what is returned is called when it has ended. */
  logWriteBegan(): () => void {
    const { clock } = this.#parts;
    const from = clock.monotonicMs();
    return () => {
      const seconds = (clock.monotonicMs() - from) / 1_000;
      for (const listener of this.#listeners) listener(seconds);
    };
  }

  /** Hears of every write to the log. Returns the way to stop listening. */
  onLogWrite(listener: (seconds: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
