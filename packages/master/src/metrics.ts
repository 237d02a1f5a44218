// Every metric of a master.

import type { Clock } from "@lumeofs/base";
import { counter, gauge, histogram, type Metrics, type MetricsText } from "@lumeofs/node";
import { CONSENSUS_METRICS } from "./consensus-metrics.js";
import { HEALING_METRICS } from "./healing-metrics.js";
import type { Verdict } from "./integrity/verdict.js";
import type { Meter } from "./rpc/meter.js";

export const METRICS = {
  ...CONSENSUS_METRICS,
  ...HEALING_METRICS,
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

/** What `/metrics` shows: figures are read when somebody asks. */
export function readFirst(exposition: MetricsText, read: () => Promise<void>): MetricsText {
  return {
    contentType: exposition.contentType,
    text: async () => {
      await read();
      return exposition.text();
    },
  };
}
