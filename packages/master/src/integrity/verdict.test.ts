import { type NodeId, nodeId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { isQuorum } from "../raft/quorum.js";
import { type CheckResult, judge } from "./verdict.js";

const [M1, M2, M3, M4] = ["m1", "m2", "m3", "m4"].map(nodeId) as [NodeId, NodeId, NodeId, NodeId];
const THREE = { voters: [M1, M2, M3], votersOutgoing: [] };
const PENDING: CheckResult = { kind: "pending" };
const UNKNOWN: CheckResult = { kind: "unknown" };
const hash = (hex: string): CheckResult => ({ kind: "hash", hex });

function results(...all: readonly CheckResult[]): ReadonlyMap<NodeId, CheckResult> {
  const ids = [M1, M2, M3, M4];
  return new Map(all.map((result, i) => [ids[i] as NodeId, result]));
}

test("States that are all equal pass", (t) => {
  const all = results(hash("a"), hash("a"), hash("a"));
  t.deepEqual(judge(M1, THREE, all, false), { kind: "passed", different: [], unknown: [] });
});

test("The one that differs from a majority knows it, and the majority knows which one (J1)", (t) => {
  const all = results(hash("a"), hash("b"), hash("a"));
  t.deepEqual(judge(M2, THREE, all, false), { kind: "minority", majority: [M1, M3] });
  t.deepEqual(judge(M1, THREE, all, false), { kind: "passed", different: [M2], unknown: [] });
});

test("A minority is known as soon as a majority agrees, whoever is missing", (t) => {
  const voters = { voters: [M1, M2, M3], votersOutgoing: [] };
  const all = results(hash("a"), hash("b"), hash("b"), PENDING);
  t.is(judge(M1, voters, all, false).kind, "minority");
  t.is(judge(M2, voters, all, false).kind, "pending", "the last one may differ, too");
});

test("Who did not answer is unknown and never passed (J2)", (t) => {
  const two = results(hash("a"), hash("a"), PENDING);
  t.is(judge(M1, THREE, two, false).kind, "pending");
  t.deepEqual(judge(M1, THREE, two, true), { kind: "passed", different: [], unknown: [M3] });
  const one = results(hash("a"), PENDING, UNKNOWN);
  t.deepEqual(judge(M1, THREE, one, true), { kind: "incomplete", unknown: [M2, M3] });
});

test("Without a majority that agrees nobody is wrong (J1)", (t) => {
  const all = results(hash("a"), hash("b"), hash("c"));
  for (const self of [M1, M2, M3]) t.is(judge(self, THREE, all, false).kind, "noMajority");
  const two = { voters: [M1, M2], votersOutgoing: [] };
  t.is(judge(M1, two, results(hash("a"), hash("b")), false).kind, "noMajority");
});

test("A learner that differs is in the minority, and learners make no majority", (t) => {
  const all = results(hash("a"), hash("a"), hash("a"), hash("b"));
  t.is(judge(M4, THREE, all, false).kind, "minority");
  const one = { voters: [M1], votersOutgoing: [] };
  t.is(judge(M2, one, results(hash("a"), hash("b"), hash("b")), false).kind, "minority");
});

test("During a joint change both groups of voters must agree", (t) => {
  const joint = { voters: [M1, M4], votersOutgoing: [M1, M2, M3] };
  const all = results(hash("a"), hash("a"), hash("b"), hash("b"));
  t.is(judge(M3, joint, all, false).kind, "noMajority");
});

test("Nobody stops unless a quorum without it agrees on something else", (t) => {
  const result = fc.oneof(
    fc.constantFrom("a", "b", "c").map(hash),
    fc.constantFrom(PENDING, UNKNOWN),
  );
  const all = fc.tuple(result, result, result, result);
  const check = fc.property(all, fc.boolean(), (drawn, isOver) => {
    const found = results(...drawn);
    const voters = { voters: [M1, M2, M3, M4], votersOutgoing: [] };
    for (const self of voters.voters) {
      if (judge(self, voters, found, isOver).kind !== "minority") continue;
      const own = found.get(self);
      const agreed = (hex: string) => (id: NodeId) => {
        const one = found.get(id);
        return one?.kind === "hash" && one.hex === hex;
      };
      const others = ["a", "b", "c"].filter((hex) => own?.kind === "hash" && own.hex !== hex);
      if (!others.some((hex) => isQuorum(voters, agreed(hex)))) return false;
    }
    return true;
  });
  t.notThrows(() => fc.assert(check, { numRuns: 2_000 }));
});
