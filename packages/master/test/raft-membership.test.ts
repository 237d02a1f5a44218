// Changing the membership: the rules of raft.ts R10, member-change.ts B1–B3, and bugs that real
// systems shipped. The numbers are those of the catalogue in docs/design/0006-raft-core.md.

import { type NodeId, nodeId } from "@lumeofs/base";
import test from "ava";
import { logIndex, type Membership } from "../src/raft/entry.js";
import type { MemberChange } from "../src/raft/member-change.js";
import type { ChangeRefusal, RaftOutput } from "../src/raft/message.js";
import { at, Group, voteRequest } from "./raft-harness.js";

const add = (id: NodeId): MemberChange => {
  return { kind: "addLearner", id, address: `${id}:1`, store: `store of ${id}` };
};
const promote = (id: NodeId): MemberChange => ({ kind: "promote", id });
const demote = (id: NodeId): MemberChange => ({ kind: "demote", id });
const remove = (id: NodeId): MemberChange => ({ kind: "remove", id });

const HEARTBEATS = 4;

function led(count: number): { group: Group; leader: NodeId; ids: readonly NodeId[] } {
  const group = new Group(count);
  const leader = at(group, 0);
  group.elect(leader);
  group.run(HEARTBEATS);
  return { group, leader, ids: [...group.ids] };
}

function refusal(output: RaftOutput | undefined): ChangeRefusal | undefined {
  return output?.kind === "changeRefused" ? output.why : undefined;
}

function settled(group: Group, id: NodeId): Membership {
  return group.status(id).settled;
}

/** Makes the change and everything that follows from it. */
function make(group: Group, leader: NodeId, ...changes: MemberChange[]): void {
  const answer = group.change(leader, ...changes);
  if (answer?.kind !== "changeAccepted") throw new Error(JSON.stringify(answer));
  group.settle();
  group.run(HEARTBEATS);
}

test("one → three → five → three → one voters, each step by a joint membership", (t) => {
  const { group, leader } = led(1);
  const [b, c, d, e] = ["m2", "m3", "m4", "m5"].map((name) => group.join(name)) as [
    NodeId,
    NodeId,
    NodeId,
    NodeId,
  ];
  const written: string[] = [];
  const write = () => {
    written.push(`x${written.length}`);
    group.propose(leader, written.at(-1) as string);
    group.settle();
  };
  const grow = (...ids: NodeId[]) => {
    make(group, leader, ...ids.map(add));
    write();
    make(group, leader, ...ids.map(promote));
    write();
  };
  grow(b, c);
  t.deepEqual(settled(group, c).voters, [leader, b, c]);
  grow(d, e);
  t.deepEqual(settled(group, e).voters, [leader, b, c, d, e]);
  make(group, leader, remove(b), remove(d));
  write();
  t.deepEqual(settled(group, e).voters, [leader, c, e]);
  make(group, leader, remove(c), remove(e));
  write();
  t.deepEqual(settled(group, leader).voters, [leader]);
  t.deepEqual(group.texts(leader), written);
  const kinds = [...group.history.values()].filter(({ kind }) => kind === "membership");
  t.is(kinds.length, 2 + 4 * 2, "two additions, four changes of the voters with two entries each");
});

test("a change counts from its append on, and both voter sets must agree until it is over", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  const d = group.join("m4");
  make(group, a, add(d));
  group.change(a, promote(d), remove(b));
  t.deepEqual(group.status(a).membership.voters, [a, c, d]);
  t.deepEqual(group.status(a).membership.votersOutgoing, [a, b, c]);
  group.persistAll(a);
  group.deliverAll(({ to }) => to === b);
  group.persistAll(b);
  group.deliverAll();
  t.true(group.status(a).commit < group.status(a).last, "a majority of the old ones is not enough");
  group.settle();
  t.deepEqual(settled(group, a).votersOutgoing, []);
  t.deepEqual(
    settled(group, b).retired.map(({ id }) => id),
    [b],
    "who is removed hears of it",
  );
});

test("a leader changes nothing before it has committed an entry of its own term", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  for (let i = 0; i < 50 && group.status(a).role !== "leader"; i++) {
    group.tick(a);
    group.persistAll(a);
    group.deliverAll(({ message }) => message.kind === "vote");
    group.persistAll(b);
    group.deliverAll(({ message }) => message.kind === "voteReply");
  }
  t.is(group.status(a).role, "leader");
  t.deepEqual(refusal(group.change(a, remove(b))), { kind: "notReady" });
  group.settle();
  t.is(group.change(a, remove(b))?.kind, "changeAccepted");
});

test("one change at a time: a second one waits until the joint membership is left", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  t.is(group.change(a, remove(b))?.kind, "changeAccepted");
  t.deepEqual(refusal(group.change(a, remove(c))), { kind: "changing" });
  group.settle();
  t.is(group.change(a, remove(c))?.kind, "changeAccepted");
});

// Ongaro, raft-dev 2015: two leaders change the same membership in different ways.
const VARIANTS: readonly (readonly [string, MemberChange[], MemberChange[]])[] = [
  ["add and remove", [promote(nodeId("m5"))], [remove(nodeId("m1"))]],
  ["add and add", [promote(nodeId("m5"))], [promote(nodeId("m6"))]],
  ["remove and remove", [remove(nodeId("m2"))], [remove(nodeId("m1"))]],
];

for (const [name, first, second] of VARIANTS) {
  test(`3.5.43: two leaders never change one membership in two ways: ${name}`, (t) => {
    const { group, leader: a, ids } = led(4);
    const [, b, c, d] = ids as [NodeId, NodeId, NodeId, NodeId];
    const [e, f] = [group.join("m5"), group.join("m6")];
    make(group, a, add(e), add(f));
    // The first leader appends its change, which reaches the new member only.
    group.isolate(a, e);
    t.is(group.change(a, ...first)?.kind, "changeAccepted");
    group.settle();
    // The others elect a second one. It may not change anything before its own entry is committed…
    group.usurp(b);
    group.run(HEARTBEATS);
    t.is(group.change(b, ...second)?.kind, "changeAccepted");
    group.settle();
    // …so the first leader's change has no majority left anywhere.
    t.true(group.status(a).commit < group.status(a).last);
    const decided = settled(group, b).voters;
    group.heal();
    group.run(4 * group.options.electionTicks);
    for (const id of decided) t.deepEqual(settled(group, id).voters, decided);
    t.deepEqual(
      [c, d].map((id) => settled(group, id).voters),
      [decided, decided],
    );
  });
}

test("3.5.44: a membership that was not committed goes back with its entry", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.isolate(a);
  group.change(a, remove(c));
  group.settle();
  t.deepEqual(group.status(a).membership.votersOutgoing, [a, b, c]);
  group.usurp(b);
  group.heal();
  group.run(2 * group.options.electionTicks);
  t.deepEqual(group.status(a).membership.voters, [a, b, c]);
  t.deepEqual(group.status(a).membership.votersOutgoing, []);
});

test("3.5.44: a group that restarts inside of a joint membership finishes it", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.change(a, remove(c));
  for (const id of [a, b, c]) group.persistAll(id);
  group.deliverAll(({ message }) => message.kind === "append");
  for (const id of [b, c]) group.persistAll(id);
  group.network = [];
  for (const id of ids) group.restart(id);
  for (const id of ids) t.deepEqual(group.status(id).membership.votersOutgoing, [a, b, c]);
  group.usurp(b);
  group.run(2 * group.options.electionTicks);
  t.deepEqual(settled(group, b).voters, [a, b]);
  t.deepEqual(settled(group, b).votersOutgoing, []);
});

test("3.5.44: a snapshot taken inside of a joint membership carries it", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.crash(c);
  group.change(a, remove(c));
  group.settle();
  group.run(1);
  group.compact(a);
  const d = group.join("m4");
  make(group, a, add(d));
  t.deepEqual(settled(group, d).voters, [a, b]);
  t.deepEqual(settled(group, d).learners, [d]);
  t.deepEqual(
    settled(group, d).retired.map(({ id }) => id),
    [c],
  );
});

test("3.5.45: of two who think they lead, the one without a majority changes nothing", (t) => {
  const { group, leader: a, ids } = led(5);
  const [, b, c, d, e] = ids as [NodeId, NodeId, NodeId, NodeId, NodeId];
  group.isolate(a, b);
  t.is(group.change(a, remove(e))?.kind, "changeAccepted");
  group.settle();
  group.usurp(c);
  group.run(2 * group.options.electionTicks);
  t.not(group.status(a).role, "leader", "it hears no majority, so it steps back");
  make(group, c, remove(b));
  group.heal();
  group.run(4 * group.options.electionTicks);
  for (const id of [a, c, d, e]) t.deepEqual(settled(group, id).voters, [a, c, d, e]);
});

test("3.5.45: an old membership that is delivered again revives nobody", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.propose(a, "x");
  group.persistAll(a);
  const old = group.network.filter(({ to }) => to === c);
  group.settle();
  make(group, a, remove(c));
  group.network.push(...old);
  group.settle();
  t.deepEqual(settled(group, c).voters, [a, b]);
  const answer = group.change(a, add(c));
  t.deepEqual(refusal(answer), { kind: "invalid", change: { id: c, why: "removed before" } });
});

test("3.5.45a: votes are answered to whoever asks, whatever the own membership says", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b] = ids as [NodeId, NodeId, NodeId];
  group.crash(a);
  group.tick(b, 2 * group.options.electionTicks);
  group.take(() => true);
  const stranger = nodeId("m9");
  const { term, last } = group.status(b);
  const [answer] = group.ask(b, stranger, voteRequest(term + 1, [last + 1, term + 1]));
  t.true(answer?.kind === "voteReply" && answer.granted);
});

test("3.5.45a: a learner answers votes, for others may know it as a voter", (t) => {
  const { group, leader: a } = led(2);
  const c = group.join("m3");
  make(group, a, add(c));
  group.tick(c, 3 * group.options.electionTicks);
  t.is(group.status(c).role, "follower");
  const { term, last } = group.status(c);
  const [answer] = group.ask(c, a, voteRequest(term + 1, [last, term]));
  t.true(answer?.kind === "voteReply" && answer.granted);
});

test("3.5.45a: a voter whose removal is not committed stands, for nobody else may be able to", (t) => {
  const { group, leader: a, ids } = led(2);
  const [, b] = ids as [NodeId, NodeId];
  group.change(a, remove(a));
  // Both have the joint membership; only the one that goes has the membership behind it.
  group.persistAll(a);
  group.deliverAll();
  group.persistAll(b);
  group.deliverAll();
  group.persistAll(a);
  t.deepEqual(group.status(a).membership.voters, [b]);
  t.deepEqual(group.status(a).membership.votersOutgoing, []);
  t.is(group.status(b).last, logIndex(group.status(a).last - 1));
  group.network = [];
  group.restart(a);
  group.restart(b);
  group.run(8 * group.options.electionTicks);
  t.is(group.status(b).role, "leader");
  t.deepEqual(settled(group, b).voters, [b]);
});

test("3.5.45a: whoever replaces another is a learner first, and both change in one step", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  const d = group.join("m4");
  t.deepEqual(refusal(group.change(a, promote(d))), {
    kind: "invalid",
    change: { id: d, why: "unknown member" },
  });
  make(group, a, add(d));
  make(group, a, promote(d), remove(c));
  t.deepEqual(settled(group, d).voters, [a, b, d]);
});

test("3.5.46: a removed name, and a removed store, do not come back", (t) => {
  const { group, leader: a } = led(2);
  const c = group.join("m3");
  make(group, a, add(c));
  make(group, a, remove(c));
  t.like(refusal(group.change(a, add(c))), { change: { why: "removed before" } });
  const renamed = { ...add(nodeId("m7")), store: "store of m3" } as MemberChange;
  t.like(refusal(group.change(a, renamed)), { change: { why: "removed before" } });
});

test("3.5.46: a store that the group knows is never replaced under its name", (t) => {
  const { group, leader: a, ids } = led(2);
  const [, b] = ids as [NodeId, NodeId];
  const describe = (store: string, address = "b:1"): MemberChange => {
    return { kind: "describe", id: b, address, store };
  };
  make(group, a, describe("first"));
  t.like(refusal(group.change(a, describe("second"))), { change: { why: "other store" } });
  make(group, a, describe("first", "b:2"));
  t.is(settled(group, b).addresses[b], "b:2");
});

test("a learner votes only after it has the log, and is there", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b] = ids as [NodeId, NodeId];
  const d = group.join("m4");
  group.crash(d);
  make(group, a, add(d));
  t.like(refusal(group.change(a, promote(d))), { kind: "behind", id: d });
  group.restart(d);
  group.run(HEARTBEATS);
  t.is(group.change(a, promote(d))?.kind, "changeAccepted");
  t.truthy(b);
});

test("voters are not removed down to a group without a majority that is there", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.crash(c);
  group.run(3 * group.options.electionTicks);
  t.deepEqual(refusal(group.change(a, remove(b))), { kind: "noQuorum", silent: [c] });
  make(group, a, remove(c));
  t.deepEqual(settled(group, a).voters, [a, b]);
});

test("3.1.8: a removed member that was told nothing overthrows nobody", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.cut(a, c);
  make(group, a, remove(c));
  const { term } = group.status(a);
  group.run(10 * group.options.electionTicks);
  t.is(group.status(a).role, "leader");
  t.is(group.status(a).term, term);
  t.deepEqual(settled(group, b).voters, [a, b]);
  t.deepEqual(group.status(c).membership.voters, [a, b, c], "it still believes to be a member");
  t.true(group.status(c).term <= term);
});

test("3.1.9: groups of one, two and four voters elect, and need more than half", (t) => {
  for (const [count, needed] of [
    [1, 1],
    [2, 2],
    [4, 3],
  ] as const) {
    const group = new Group(count);
    const a = at(group, 0);
    group.elect(a);
    group.restart(a);
    group.usurp(a);
    const others = group.ids.slice(1);
    for (const id of others.slice(needed - 1)) group.crash(id);
    group.propose(a, "enough");
    group.settle();
    t.deepEqual(group.texts(a), ["enough"], `${needed} of ${count}`);
    const last = others[needed - 2];
    if (last === undefined) continue;
    group.crash(last);
    group.propose(a, "too few");
    group.settle();
    t.deepEqual(group.texts(a), ["enough"], `${needed - 1} of ${count}`);
  }
});

test("3.2.17: an acknowledgement from before a member was removed counts for nothing", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.propose(a, "x");
  group.persistAll(a);
  group.deliverAll(({ to }) => to === c);
  group.persistAll(c);
  const late = group.take(({ from }) => from === c);
  group.settle();
  make(group, a, remove(c));
  group.crash(b);
  group.propose(a, "y");
  group.persistAll(a);
  for (const packet of late) group.deliver(packet);
  const reply = { kind: "matched", last: group.status(a).last } as const;
  group.receive(a, c, { kind: "appendReply", term: group.status(a).term, reply });
  t.true(group.status(a).commit < group.status(a).last);
});

test("3.2.24: a leader that becomes a learner leads until that is committed, and no longer", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.change(a, demote(a));
  t.is(group.status(a).role, "leader");
  group.settle();
  group.run(HEARTBEATS);
  t.is(group.status(a).role, "follower");
  const [leader] = group.leaders;
  t.true(leader === b || leader === c, "the others need not miss a leader first");
  t.deepEqual(settled(group, a).learners, [a]);
  group.propose(leader as NodeId, "x");
  group.run(HEARTBEATS);
  t.deepEqual(group.texts(a), ["x"], "it still gets the log");
});

test("a removed leader manages the group until it is out, and another takes over at once", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.change(a, remove(a));
  group.propose(a, "x");
  t.is(group.status(a).role, "leader");
  group.settle();
  t.is(group.leaders.length, 1);
  t.true([b, c].includes(group.leaders[0] as NodeId));
  group.run(10 * group.options.electionTicks);
  t.is(group.status(a).role, "follower");
  t.deepEqual(group.texts(group.leaders[0] as NodeId), ["x"]);
});

test("a joint membership that a leader leaves behind is ended by the next one", (t) => {
  const { group, leader: a, ids } = led(3);
  const [, b, c] = ids as [NodeId, NodeId, NodeId];
  group.change(a, remove(c));
  group.persistAll(a);
  group.deliverAll();
  group.persistAll(b);
  group.persistAll(c);
  group.network = [];
  group.restart(a);
  group.usurp(b);
  group.run(HEARTBEATS);
  t.deepEqual(settled(group, b).voters, [a, b]);
  t.deepEqual(settled(group, b).votersOutgoing, []);
});
