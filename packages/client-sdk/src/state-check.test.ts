import test from "ava";
import { type CheckFinding, compareStates, mayTellMore } from "./state-check.js";

const VOTERS = ["m1", "m2", "m3"].map((id) => ({ id, standing: "voter" as const }));
const found = (id: string, hash: string): CheckFinding => ({ id, kind: "hash", hash });

function agreements(findings: readonly CheckFinding[], masters = VOTERS): readonly string[] {
  return compareStates(7, findings, masters).masters.map(({ agreement }) => agreement);
}

test("compareStates: three equal hashes agree", (t) => {
  const findings = [found("m1", "aa"), found("m2", "aa"), found("m3", "aa")];
  const check = compareStates(7, findings, VOTERS);
  t.is(check.index, 7);
  t.is(check.verdict, "equal");
  t.deepEqual(agreements(findings), ["agrees", "agrees", "agrees"]);
});

test("compareStates: the one that a majority contradicts differs", (t) => {
  const findings = [found("m1", "bb"), found("m2", "aa"), found("m3", "aa")];
  t.is(compareStates(7, findings, VOTERS).verdict, "different");
  t.deepEqual(agreements(findings), ["differs", "agrees", "agrees"]);
});

test("compareStates: a difference counts for more than a master that is unknown", (t) => {
  const findings = [found("m1", "bb"), found("m2", "aa")];
  t.is(compareStates(7, findings, VOTERS).verdict, "different");
  t.deepEqual(agreements(findings), ["differs", "differs", "unknown"]);
});

test("compareStates: whoever has no result never counts as one that agrees", (t) => {
  const findings: CheckFinding[] = [
    found("m1", "aa"),
    found("m2", "aa"),
    { id: "m3", kind: "pending" },
  ];
  t.is(compareStates(7, findings, VOTERS).verdict, "unknown");
  t.deepEqual(agreements(findings), ["agrees", "agrees", "unknown"]);
  t.deepEqual(agreements([found("m1", "aa")]), ["unconfirmed", "unknown", "unknown"]);
});

test("compareStates: learners are compared, and make no majority", (t) => {
  const learners = ["m4", "m5"].map((id) => ({ id, standing: "learner" as const }));
  const findings = [found("m1", "aa"), found("m4", "bb"), found("m5", "bb")];
  const masters = [{ id: "m1", standing: "voter" as const }, ...learners];
  t.deepEqual(
    compareStates(7, findings, masters).masters.map(({ agreement }) => agreement),
    ["agrees", "differs", "differs"],
  );
});

test("mayTellMore: only those who can be reached are waited for", (t) => {
  const findings: CheckFinding[] = [found("m1", "aa"), { id: "m2", kind: "pending" }];
  const masters = (role: "follower" | "unreachable") => [
    { id: "m1", role: "leader" as const },
    { id: "m2", role },
  ];
  t.true(mayTellMore(findings, masters("follower")));
  t.false(mayTellMore(findings, masters("unreachable")));
  t.true(mayTellMore([], masters("unreachable")), "the leader has no result yet");
});
