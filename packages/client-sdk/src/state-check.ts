// Whether all masters have the same state, out of what each of them has found: arithmetic only.

import type { MasterStatus } from "./cluster-status.js";

/** What one master has found at the place in the log where all compare. */
export type CheckFinding =
  | { readonly id: string; readonly kind: "hash"; readonly hash: string }
  /** It has not got there yet, or has not answered. */
  | { readonly id: string; readonly kind: "pending" }
  /** It has no result, and will have none. */
  | { readonly id: string; readonly kind: "unknown" };

/**
 * What is known of one master: its state is that of a majority of the voters; it contradicts
 * others, and is not with a majority; nobody contradicts it, but no majority has answered; or
 * nothing is known.
 */
export type MasterAgreement = "agrees" | "differs" | "unconfirmed" | "unknown";

export interface CheckedMaster {
  readonly id: string;
  readonly agreement: MasterAgreement;
  /** SHA-256 of its state, in hex; empty if it is not known. */
  readonly hash: string;
}

/** The comparison of all masters' states at one place in the log. */
export interface StateCheck {
  /** The entry of the log behind which the states are compared. */
  readonly index: number;
  /** "different" if two are known that differ; "unknown" if none do, and not all are known. */
  readonly verdict: "equal" | "different" | "unknown";
  /** All masters of the group. */
  readonly masters: readonly CheckedMaster[];
}

/**
 * What the findings say.
 *
 * @param masters  Everybody in the group; whoever has no finding is unknown.
 */
export function compareStates(
  index: number,
  findings: readonly CheckFinding[],
  masters: readonly Pick<MasterStatus, "id" | "standing">[],
): StateCheck {
  const hashOf = (id: string): string => {
    const finding = findings.find((one) => one.id === id);
    return finding?.kind === "hash" ? finding.hash : "";
  };
  const hashes = new Set(masters.map(({ id }) => hashOf(id)));
  const isAnyUnknown = hashes.delete("");
  const voters = masters.filter(({ standing }) => standing === "voter" || standing === "leaving");
  const isAgreed = (hash: string): boolean =>
    voters.length < 2 * voters.filter(({ id }) => hashOf(id) === hash).length;
  const agreement = (hash: string): MasterAgreement => {
    if (hash === "") return "unknown";
    if (isAgreed(hash)) return "agrees";
    return 1 < hashes.size ? "differs" : "unconfirmed";
  };
  return {
    index,
    verdict: 1 < hashes.size ? "different" : isAnyUnknown ? "unknown" : "equal",
    masters: masters.map(({ id }) => {
      const hash = hashOf(id);
      return { id, agreement: agreement(hash), hash };
    }),
  };
}

/** Whether waiting longer could tell more: somebody who can be reached has no result yet. */
export function mayTellMore(
  findings: readonly CheckFinding[],
  masters: readonly Pick<MasterStatus, "id" | "role">[],
): boolean {
  return masters.some(({ id, role }) => {
    const finding = findings.find((one) => one.id === id);
    return role !== "unreachable" && (finding === undefined || finding.kind === "pending");
  });
}
