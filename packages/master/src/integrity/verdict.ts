// What the hashes of all masters' states at one place in the log say.
//
// J1. Only a majority of the voters that agree can say that another one is wrong: it could rebuild
//     the state without that one. Where there is no such majority, nobody stops.
// J2. A master that did not answer is unknown. It never counts as one that agrees.

import type { NodeId } from "@lumeofs/base";
import { isQuorum, type VoterSets } from "../raft/quorum.js";

export type CheckResult =
  | { readonly kind: "hash"; readonly hex: string }
  /** It has not got there yet, or has not answered. */
  | { readonly kind: "pending" }
  /** It has none and will have none: it was restarted, or got its state from a snapshot. */
  | { readonly kind: "unknown" };

export type Verdict =
  /** More answers may change what can be said. */
  | { readonly kind: "pending" }
  /** This master agrees with a majority. */
  | {
      readonly kind: "passed";
      readonly different: readonly NodeId[];
      readonly unknown: readonly NodeId[];
    }
  /** A majority agrees, and this master does not. */
  | { readonly kind: "minority"; readonly majority: readonly NodeId[] }
  /** Voters differ, and none of their states has a majority. */
  | { readonly kind: "noMajority" }
  /** Too few have answered to say anything. */
  | { readonly kind: "incomplete"; readonly unknown: readonly NodeId[] };

/**
 * @param results  Of this master and all others.
 * @param isOver   Nobody is waited for any longer.
 */
export function judge(
  self: NodeId,
  voters: VoterSets,
  results: ReadonlyMap<NodeId, CheckResult>,
  isOver: boolean,
): Verdict {
  const hexOf = (id: NodeId): string | undefined => {
    const result = results.get(id);
    return result?.kind === "hash" ? result.hex : undefined;
  };
  const all = [...results.keys()];
  const unknown = all.filter((id) => hexOf(id) === undefined);
  const mayChange = !isOver && all.some((id) => results.get(id)?.kind === "pending");
  const hexes = new Set(all.map(hexOf).filter((hex) => hex !== undefined));
  const agreed = [...hexes].find((hex) => isQuorum(voters, (id) => hexOf(id) === hex));
  const own = hexOf(self);
  if (agreed !== undefined && own !== undefined && own !== agreed) {
    return { kind: "minority", majority: all.filter((id) => hexOf(id) === agreed) };
  }
  if (mayChange) return { kind: "pending" };
  if (agreed !== undefined && own === agreed) {
    const different = all.filter((id) => ![agreed, undefined].includes(hexOf(id)));
    return { kind: "passed", different, unknown };
  }
  const isVoter = (id: NodeId) => voters.voters.includes(id) || voters.votersOutgoing.includes(id);
  const differing = new Set(all.filter(isVoter).map(hexOf));
  differing.delete(undefined);
  return agreed === undefined && 1 < differing.size
    ? { kind: "noMajority" }
    : { kind: "incomplete", unknown };
}
