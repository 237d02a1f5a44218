// Majorities as the simulation counts them: written again from the rule, not taken from the product
// (quorum.ts), so that a mistake there is seen here.

import type { NodeId } from "@lumeofs/base";
import type { Membership } from "../../src/raft/entry.js";

type VoterSets = Pick<Membership, "voters" | "votersOutgoing">;

/** Whether those who agree are more than half of every voter set. */
export function isMajority(sets: VoterSets, agrees: (id: NodeId) => boolean): boolean {
  return holds(sets.voters, agrees) && holds(sets.votersOutgoing, agrees);
}

/** Whether two groups could decide without sharing a member: tries all ways to split the voters. */
export function hasDisjointMajorities(one: VoterSets, other: VoterSets): boolean {
  const everybody = [one, other].flatMap(({ voters, votersOutgoing }) => [
    ...voters,
    ...votersOutgoing,
  ]);
  const names = [...new Set(everybody)];
  for (let side = 0; side < 2 ** names.length; side++) {
    const isHere = (id: NodeId): boolean => (side & (1 << names.indexOf(id))) !== 0;
    if (isMajority(one, isHere) && isMajority(other, (id) => !isHere(id))) return true;
  }
  return false;
}

function holds(voters: readonly NodeId[], agrees: (id: NodeId) => boolean): boolean {
  let count = 0;
  for (const voter of voters) if (agrees(voter)) count++;
  return voters.length === 0 || voters.length < 2 * count;
}
