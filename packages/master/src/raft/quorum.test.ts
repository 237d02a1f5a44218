import { type NodeId, nodeId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { logIndex, term } from "./entry.js";
import { agreedIndex, commitIndex, isQuorum, majorityIndex, voteResult } from "./quorum.js";

const NAMES = ["a", "b", "c", "d", "e", "f", "g"].map(nodeId);
const voters = fc.subarray(NAMES, { minLength: 1 });
const outgoing = fc.subarray(NAMES);
const stored = fc.array(fc.nat(20), { minLength: NAMES.length, maxLength: NAMES.length });
const ballots = fc.array(fc.constantFrom(true, false, undefined), {
  minLength: NAMES.length,
  maxLength: NAMES.length,
});

test("agreedIndex() is the largest index that every voter set has stored on a majority", (t) => {
  fc.assert(
    fc.property(voters, outgoing, stored, (incoming, votersOutgoing, values) => {
      const storedBy = (id: NodeId) => logIndex(values[NAMES.indexOf(id)] ?? 0);
      const has = (set: readonly NodeId[], index: number) =>
        set.length < 2 * set.filter((id) => index <= storedBy(id)).length;
      const holds = (index: number) =>
        has(incoming, index) && (votersOutgoing.length === 0 || has(votersOutgoing, index));
      const obvious = Math.max(...Array.from({ length: 21 }, (_, i) => i).filter(holds));
      return agreedIndex({ voters: incoming, votersOutgoing }, storedBy) === obvious;
    }),
  );
  t.pass();
});

test("voteResult() is won or lost exactly when no further answer could change it", (t) => {
  fc.assert(
    fc.property(voters, outgoing, ballots, (incoming, votersOutgoing, votes) => {
      const sets = [incoming, votersOutgoing].filter((set) => 0 < set.length);
      const outcome = (open: boolean) =>
        sets.every((set) => {
          const yes = set.filter((id) => votes[NAMES.indexOf(id)] ?? open);
          return set.length < 2 * yes.length;
        });
      const [worst, best] = [outcome(false), outcome(true)];
      const obvious = worst ? "won" : best ? "pending" : "lost";
      const voteOf = (id: NodeId) => votes[NAMES.indexOf(id)];
      return voteResult({ voters: incoming, votersOutgoing }, voteOf) === obvious;
    }),
  );
  t.pass();
});

test("majorityIndex() refuses to count nobody", (t) => {
  t.throws(() => majorityIndex([]), { message: /majority of nobody/ });
});

test("majorityIndex() sorts by number, not by text", (t) => {
  t.is(majorityIndex([9, 10, 100].map(logIndex)), logIndex(10));
});

test("isQuorum() needs both voter sets while the membership changes", (t) => {
  const [a, b, c, d] = NAMES as [NodeId, NodeId, NodeId, NodeId];
  const joint = { voters: [a, b, c], votersOutgoing: [d] };
  t.false(isQuorum(joint, (id) => id !== d));
  t.true(isQuorum(joint, (id) => id !== c));
});

test("commitIndex() commits an entry of an earlier term only behind one of its own", (t) => {
  const terms = [0, 1, 2, 2, 4].map(term);
  const termAt = (index: number) => terms[index] ?? term(0);
  t.is(commitIndex(logIndex(3), logIndex(1), term(4), termAt), logIndex(1));
  t.is(commitIndex(logIndex(4), logIndex(1), term(4), termAt), logIndex(4));
  t.is(commitIndex(logIndex(0), logIndex(1), term(4), termAt), logIndex(1));
});
