// Handing over the leadership: raft/transfer.ts. The numbers are those of the catalogue in
// docs/design/0006-raft-core.md.

import type { NodeId } from "@lumeofs/base";
import test from "ava";
import type { TransferRefusal } from "../src/raft/message.js";
import { at, Group, type Packet } from "./raft-harness.js";

const isTimeoutNow = ({ message }: Packet) => message.kind === "timeoutNow";

function led(): { group: Group; a: NodeId; b: NodeId; c: NodeId } {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  group.run(4);
  return { group, a, b, c };
}

function transfer(group: Group, from: NodeId, to?: NodeId): TransferRefusal | undefined {
  const outputs = group.step(from, { kind: "transferLeadership", to });
  const refused = outputs.find(({ kind }) => kind === "transferRefused");
  return refused?.kind === "transferRefused" ? refused.why : undefined;
}

test("the leadership goes to the one that is named, without anybody missing a leader", (t) => {
  const { group, a, b } = led();
  t.is(transfer(group, a, b), undefined);
  group.settle();
  t.deepEqual(group.leaders, [b]);
  t.is(group.status(a).leader, b);
});

test("without a name it goes to the one that has most of the log", (t) => {
  const { group, a, b, c } = led();
  group.cut(a, b);
  group.propose(a, "x");
  group.settle();
  t.is(transfer(group, a), undefined);
  group.heal();
  group.settle();
  t.deepEqual(group.leaders, [c]);
});

test("it goes to nobody who could not lead", (t) => {
  const { group, a, b } = led();
  t.deepEqual(transfer(group, b, a), { kind: "notLeader", leader: a });
  t.deepEqual(transfer(group, a, a), { kind: "leadsAlready" });
  t.deepEqual(transfer(group, a, "m9" as NodeId), { kind: "noVoter", id: "m9" as NodeId });
  group.crash(b);
  group.run(3 * group.options.electionTicks);
  t.deepEqual(transfer(group, a, b), { kind: "silent", id: b });
});

test("3.5.47: who lacks entries gets them first, and is told to stand only then", (t) => {
  const { group, a, b, c } = led();
  group.cut(a, b);
  group.propose(a, "x", "y");
  group.settle();
  transfer(group, a, b);
  group.persistAll(a);
  t.deepEqual(group.network.filter(isTimeoutNow), []);
  group.heal();
  group.run(group.options.heartbeatTicks + 1);
  t.deepEqual(group.leaders, [b]);
  t.deepEqual(group.texts(b), ["x", "y"]);
  t.deepEqual(group.texts(c), ["x", "y"]);
});

test("3.5.47: proposals are refused meanwhile, and taken again after an election timeout", (t) => {
  const { group, a, b } = led();
  group.crash(b);
  t.is(transfer(group, a, b), undefined);
  group.propose(a, "refused");
  t.deepEqual(group.answers(a, "refused").at(-1)?.why, { kind: "transferring", to: b });
  t.deepEqual(transfer(group, a, b), { kind: "transferring", to: b });
  t.is(group.status(a).transferTo, b);
  group.run(group.options.electionTicks);
  t.is(group.answers(a, "transferAborted").length, 1);
  t.is(group.status(a).transferTo, undefined);
  t.is(group.status(a).role, "leader");
  group.propose(a, "taken");
  group.settle();
  t.deepEqual(group.texts(a), ["taken"]);
});

test("3.5.47: a transfer that was given up may be tried again, and then succeeds", (t) => {
  const { group, a, b } = led();
  transfer(group, a, b);
  group.take(isTimeoutNow);
  group.run(group.options.electionTicks);
  t.is(group.status(a).role, "leader");
  t.is(transfer(group, a, b), undefined);
  group.settle();
  t.deepEqual(group.leaders, [b]);
});

test("3.5.47: an order to stand that comes late disturbs, and loses nothing", (t) => {
  const { group, a, b } = led();
  transfer(group, a, b);
  const [order] = group.take(isTimeoutNow);
  group.run(group.options.electionTicks);
  group.propose(a, "x");
  group.settle();
  group.deliver(order as Packet);
  group.run(2);
  t.deepEqual(group.leaders, [b]);
  group.propose(b, "y");
  group.run(4);
  t.deepEqual(group.texts(a), ["x", "y"]);
});

test("3.5.47: a leader that leads again has no transfer left over", (t) => {
  const { group, a, b } = led();
  transfer(group, a, b);
  group.settle();
  transfer(group, b, a);
  group.settle();
  t.deepEqual(group.leaders, [a]);
  group.propose(a, "x");
  group.run(4);
  t.deepEqual(group.texts(b), ["x"]);
});

test("3.5.47: what was proposed before is committed, and a change of members waits", (t) => {
  const { group, a, b, c } = led();
  group.propose(a, "before");
  transfer(group, a, b);
  const refused = group.change(a, { kind: "remove", id: c });
  t.like(refused, { why: { kind: "transferring", to: b } });
  group.run(4);
  t.deepEqual(group.leaders, [b]);
  t.deepEqual(group.texts(c), ["before"]);
});

test("a leader that resigns stops at once, and another one follows at once", (t) => {
  const { group, a } = led();
  group.step(a, { kind: "resign" });
  t.is(group.status(a).role, "follower");
  group.settle();
  t.is(group.leaders.length, 1);
  t.not(group.leaders[0], a);
  t.deepEqual(group.step(a, { kind: "resign" }), []);
});
