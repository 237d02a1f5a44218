// Metrics of the replicated log: what happens is counted where it happens, and brought here when
// somebody asks.

import { counter, folderBytes, gauge, histogram, type Metrics } from "@lumeofs/node";
import type { Consensus } from "./consensus/consensus.js";
import type { Figures } from "./consensus/figures.js";
import type { OperationRoom } from "./rpc/operation-room.js";

export const CONSENSUS_METRICS = {
  isLeader: gauge("lumeo_master_is_leader", "1 while this master leads."),
  hasLeader: gauge("lumeo_master_has_leader", "1 while this master knows a leader."),
  term: gauge("lumeo_raft_term", "Term of this master."),
  leaderChanges: counter(
    "lumeo_raft_leader_changes_total",
    "How often this master has seen another leader begin.",
  ),
  commitIndex: gauge("lumeo_raft_commit_index", "Last committed entry that this master knows."),
  appliedIndex: gauge("lumeo_raft_applied_index", "Last entry applied to the state."),
  durableIndex: gauge("lumeo_raft_durable_index", "Last entry applied on this master's disk."),
  applyLag: gauge("lumeo_raft_apply_lag_entries", "Committed entries that are not applied yet."),
  flushLag: gauge("lumeo_raft_flush_lag_entries", "Applied entries not yet on this master's disk."),
  peerLag: gauge(
    "lumeo_raft_peer_lag_entries",
    "Entries that another master lacks; only a leader knows.",
    ["peer"],
  ),
  proposals: counter(
    "lumeo_raft_proposals_total",
    "Proposals of this master's callers: applied, refused, or lost (in doubt).",
    ["outcome"],
  ),
  proposalsPending: gauge("lumeo_raft_proposals_pending", "Proposals that wait for their reply."),
  proposalBytes: gauge("lumeo_raft_proposal_bytes", "What waiting proposals take in memory."),
  uncommittedBytes: gauge("lumeo_raft_uncommitted_bytes", "Taken in by this leader, uncommitted."),
  logWriteSeconds: histogram(
    "lumeo_raft_log_write_seconds",
    "A write to the log with its sync, as the log's user sees it.",
  ),
  logEntries: gauge("lumeo_raft_log_entries", "Entries in the log."),
  logBytes: gauge("lumeo_raft_log_bytes", "Bytes of the entries in the log."),
  snapshots: counter("lumeo_raft_snapshots_total", "Snapshots made, sent and received.", ["what"]),
  snapshotSentBytes: counter(
    "lumeo_raft_snapshot_sent_bytes_total",
    "Bytes of snapshots sent, also of those that did not arrive.",
  ),
  snapshotBytes: gauge("lumeo_raft_snapshot_bytes", "Size of the newest snapshot; 0 for none."),
  snapshotIndex: gauge("lumeo_raft_snapshot_index", "Place of the newest snapshot in the log."),
  diskBytes: gauge("lumeo_master_disk_bytes", "Bytes of this master's files.", ["part"]),
  diskFree: gauge("lumeo_master_disk_free_bytes", "Free bytes of this master's disk."),
  diskCritical: gauge("lumeo_master_disk_critical", "1 while there is too little room to write."),
  roomBytes: gauge("lumeo_master_operation_room_bytes", "Room taken by operations under way."),
  roomRefused: counter(
    "lumeo_master_operations_without_room_total",
    "Operations refused because all clients together had too much under way.",
  ),
} as const;

/** Folders of each part; the log has the one or the other. */
const PARTS = { log: ["log", "wal"], snapshots: ["snapshots"] } as const;

type ConsensusMetrics = Metrics<typeof CONSENSUS_METRICS>;

export interface MeasuredParts {
  readonly consensus: Consensus;
  readonly room: OperationRoom;
  /** Folder of this master. */
  readonly folder: string;
}

/** Brings the figures of one master into its metrics. */
export class ConsensusMeter {
  readonly #metrics: ConsensusMetrics;
  readonly #parts: MeasuredParts;
  /** What each counter was told so far. */
  readonly #counted = new Map<string, number>();
  #peers = new Set<string>();

  constructor(metrics: ConsensusMetrics, parts: MeasuredParts) {
    this.#metrics = metrics;
    this.#parts = parts;
  }

  /** Begins to count what cannot be read later. Returns the way to stop. */
  begin(): () => void {
    const { consensus } = this.#parts;
    const { logWriteSeconds, leaderChanges } = this.#metrics;
    let known: string | undefined;
    const stops = [
      consensus.figures.onLogWrite((seconds) => logWriteSeconds.observe(seconds)),
      consensus.onRole(({ leader }) => {
        if (leader === undefined || leader === known) return;
        known = leader;
        leaderChanges.add(1);
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  /** Reads everything as it is now. */
  async read(): Promise<void> {
    const { consensus, room, folder } = this.#parts;
    const metrics = this.#metrics;
    const { role, leader, term, commit, applied, durable } = consensus.status;
    metrics.isLeader.set(role === "leader" ? 1 : 0);
    metrics.hasLeader.set(leader === undefined ? 0 : 1);
    metrics.term.set(term);
    metrics.commitIndex.set(commit);
    metrics.appliedIndex.set(applied);
    metrics.durableIndex.set(durable);
    metrics.diskFree.set(consensus.space.freeBytes);
    metrics.diskCritical.set(consensus.space.isCritical ? 1 : 0);
    metrics.roomBytes.set(room.usedBytes);
    this.#count("room", room.refused, (more) => metrics.roomRefused.add(more));
    this.#readFigures(consensus.figures.now);
    metrics.diskBytes.set(await folderBytes(folder), { part: "all" });
    for (const [part, names] of Object.entries(PARTS)) {
      let bytes = 0;
      for (const name of names) bytes += await folderBytes(`${folder}/${name}`);
      metrics.diskBytes.set(bytes, { part });
    }
  }

  #readFigures(figures: Figures): void {
    const metrics = this.#metrics;
    const { proposals, snapshots, snapshot } = figures;
    metrics.applyLag.set(figures.applyLag);
    metrics.flushLag.set(figures.flushLag);
    metrics.proposalsPending.set(figures.proposalsPending);
    metrics.proposalBytes.set(figures.proposalBytes);
    metrics.uncommittedBytes.set(figures.uncommittedBytes);
    metrics.logEntries.set(figures.logEntries);
    metrics.logBytes.set(figures.logBytes);
    metrics.snapshotBytes.set(snapshot?.bytes ?? 0);
    metrics.snapshotIndex.set(snapshot?.index ?? 0);
    for (const [outcome, count] of Object.entries(proposals)) {
      this.#count(outcome, count, (more) => metrics.proposals.add(more, { outcome }));
    }
    for (const what of ["built", "sent", "received"] as const) {
      this.#count(what, snapshots[what], (more) => metrics.snapshots.add(more, { what }));
    }
    this.#count("bytes", snapshots.sentBytes, (more) => metrics.snapshotSentBytes.add(more));
    // Who is no longer a peer, or no longer this leader's, lacks nothing that is known here.
    for (const peer of this.#peers) metrics.peerLag.set(0, { peer });
    this.#peers = new Set(Object.keys(figures.peerLag));
    for (const [peer, lag] of Object.entries(figures.peerLag)) metrics.peerLag.set(lag, { peer });
  }

  #count(name: string, total: number, add: (more: number) => void): void {
    const before = this.#counted.get(name) ?? 0;
    if (before < total) add(total - before);
    this.#counted.set(name, total);
  }
}
