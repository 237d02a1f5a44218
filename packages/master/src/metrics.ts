// Every metric of a master.

import type { Clock } from "@lumeofs/base";
import { counter, gauge, histogram, type Metrics, type MetricsText } from "@lumeofs/node";
import type { ReplicationStatus } from "./consensus/replication.js";
import type { Verdict } from "./integrity/verdict.js";
import type { Meter } from "./rpc/meter.js";

export const METRICS = {
  isLeader: gauge("lumeo_master_is_leader", "1 while this master leads."),
  hasLeader: gauge("lumeo_master_has_leader", "1 while this master knows a leader."),
  term: gauge("lumeo_raft_term", "Term of this master."),
  commitIndex: gauge("lumeo_raft_commit_index", "Last committed entry that this master knows."),
  appliedIndex: gauge("lumeo_raft_applied_index", "Last entry applied to the state."),
  durableIndex: gauge("lumeo_raft_durable_index", "Last entry applied on this master's disk."),
  stateChecks: counter(
    "lumeo_master_state_checks_total",
    "Comparisons of the masters' states, by verdict of this master.",
    ["verdict"],
  ),
  stateDiffers: gauge(
    "lumeo_master_state_differs",
    "1 after a comparison that found states which differ: somebody must act.",
  ),
  operationSeconds: histogram(
    "lumeo_master_operation_seconds",
    "From reading an operation to its answer, by kind.",
    { labels: ["kind"] },
  ),
  operations: counter(
    "lumeo_master_operations_total",
    "Operations of clients, by kind and code of the answer.",
    ["kind", "code"],
  ),
  operationsInFlight: gauge("lumeo_master_operations_in_flight", "Operations not yet answered."),
} as const;

export type MasterMetrics = Metrics<typeof METRICS>;

/** Measures operations into the metrics. */
export function operationMeter(metrics: MasterMetrics, clock: Clock): Meter {
  let inFlight = 0;
  return {
    began(kind) {
      const from = clock.monotonicMs();
      metrics.operationsInFlight.set(++inFlight);
      return (code) => {
        metrics.operationsInFlight.set(--inFlight);
        metrics.operationSeconds.observe((clock.monotonicMs() - from) / 1_000, { kind });
        metrics.operations.add(1, { kind, code });
      };
    },
  };
}

/** Counts verdicts, and raises the alarm. */
export function checkMeter(metrics: MasterMetrics): (verdict: Verdict) => void {
  return (verdict) => {
    metrics.stateChecks.add(1, { verdict: verdict.kind });
    if (verdict.kind === "pending" || verdict.kind === "incomplete") return;
    const isSame = verdict.kind === "passed" && verdict.different.length === 0;
    metrics.stateDiffers.set(isSame ? 0 : 1);
  };
}

/** What `/metrics` shows: positions are read when somebody asks. */
export function withPositions(
  exposition: MetricsText,
  metrics: MasterMetrics,
  status: () => ReplicationStatus,
): MetricsText {
  return {
    contentType: exposition.contentType,
    text: () => {
      const { role, leader, term, commit, applied, durable } = status();
      metrics.isLeader.set(role === "leader" ? 1 : 0);
      metrics.hasLeader.set(leader === undefined ? 0 : 1);
      metrics.term.set(term);
      metrics.commitIndex.set(commit);
      metrics.appliedIndex.set(applied);
      metrics.durableIndex.set(durable);
      return exposition.text();
    },
  };
}
