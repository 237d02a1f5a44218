// Majorities: how far the log is agreed on, and whether an election is decided.
//                                                                               Raft §5.2 §5.4.2 §6
//
// While the membership changes there are two sets of voters, and each must agree for itself. Every
// decision of a group goes through this file, so a joint membership cannot be forgotten anywhere.
//
// Q1. Any two majorities of one set share a voter: what one majority has stored, every later
//     majority can name.
// Q2. A joint decision holds in both sets.

import { invariant, type NodeId } from "@lumeofs/base";
import { type LogIndex, logIndex, type Membership, type Term } from "./entry.js";

/** The voter sets that must agree: one, or two during a joint change. */
export type VoterSets = Pick<Membership, "voters" | "votersOutgoing">;

export type VoteResult = "won" | "lost" | "pending";

/**
 * Finds the largest index that a majority has stored.
 *
 * @param stored  Last durable index of each voter. Not empty, any order.
 * @throws        InvariantViolation if `stored` is empty.
 */
export function majorityIndex(stored: readonly LogIndex[]): LogIndex {
  const descending = [...stored].sort((a, b) => b - a);
  const majority = descending[Math.floor(descending.length / 2)];
  invariant(majority !== undefined, "majority of nobody");
  return majority;
}

/** The largest index that is stored by a majority of every voter set. */
export function agreedIndex(sets: VoterSets, storedBy: (id: NodeId) => LogIndex): LogIndex {
  const incoming = majorityIndex(sets.voters.map(storedBy));
  if (sets.votersOutgoing.length === 0) return incoming;
  return logIndex(Math.min(incoming, majorityIndex(sets.votersOutgoing.map(storedBy))));
}

/**
 * Finds how far the log is committed.
 *
 * An entry of an earlier term is never committed by counting its copies: a later leader could
 * still overwrite it. It is committed together with the first entry of the leader's own term.
 *
 * @param agreed     The result of `agreedIndex`.
 * @param committed  Committed so far.
 * @param own        The leader's term.
 * @param termAt     Term of the entry at `agreed`.
 * @returns          An index, never below `committed`.
 * @see              Raft §5.3, §5.4.2, Figure 8
 */
export function commitIndex(
  agreed: LogIndex,
  committed: LogIndex,
  own: Term,
  termAt: (index: LogIndex) => Term,
): LogIndex {
  return committed < agreed && termAt(agreed) === own ? agreed : committed;
}

/** Whether the voters that satisfy `supports` are a majority of every voter set. */
export function isQuorum(sets: VoterSets, supports: (id: NodeId) => boolean): boolean {
  return voteResult(sets, (id) => supports(id)) === "won";
}

/**
 * Counts an election.
 *
 * @param voteOf  A voter's answer; undefined if it has not answered. Answers of others are not
 *                asked.
 * @returns       `lost` as soon as one voter set can no longer be won.
 */
export function voteResult(
  sets: VoterSets,
  voteOf: (id: NodeId) => boolean | undefined,
): VoteResult {
  const incoming = resultIn(sets.voters, voteOf);
  if (sets.votersOutgoing.length === 0 || incoming === "lost") return incoming;
  const outgoing = resultIn(sets.votersOutgoing, voteOf);
  if (outgoing === "lost") return "lost";
  return incoming === "won" && outgoing === "won" ? "won" : "pending";
}

function resultIn(
  voters: readonly NodeId[],
  voteOf: (id: NodeId) => boolean | undefined,
): VoteResult {
  invariant(0 < voters.length, "election among nobody");
  const needed = Math.floor(voters.length / 2) + 1;
  let [granted, open] = [0, 0];
  for (const voter of voters) {
    const vote = voteOf(voter);
    if (vote === true) granted++;
    else if (vote === undefined) open++;
  }
  if (needed <= granted) return "won";
  return granted + open < needed ? "lost" : "pending";
}
