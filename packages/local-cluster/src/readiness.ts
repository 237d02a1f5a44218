// When a cluster counts as ready, from what its masters report.

/** The part of a cluster's status that readiness depends on. */
export interface ReportedStatus {
  /** Id of the leading master; empty or missing without one. */
  readonly leader?: string | undefined;
  readonly chunkservers: readonly { readonly id: string; readonly state: string }[];
}

export interface ReadyGoal {
  /** Chunkservers that must be alive in the eyes of the leader. */
  readonly chunkserversMin: number;
}

export type Readiness =
  | { readonly kind: "ready" }
  /** `missing` says for people what is waited for. */
  | { readonly kind: "waiting"; readonly missing: string };

/** A cluster accepts writes when a leader knows enough living chunkservers. */
export function readiness(status: ReportedStatus | undefined, goal: ReadyGoal): Readiness {
  if (status === undefined) return { kind: "waiting", missing: "no master answers" };
  if (status.leader === undefined || status.leader === "") {
    return { kind: "waiting", missing: "no master leads" };
  }
  const alive = status.chunkservers.filter((server) => server.state === "alive").length;
  if (alive < goal.chunkserversMin) {
    const missing = `${alive} of ${goal.chunkserversMin} chunkservers are alive`;
    return { kind: "waiting", missing };
  }
  return { kind: "ready" };
}
