// Bugs that real systems shipped in elections, terms and votes. The numbers are those of the
// catalogue in docs/design/0006-raft-core.md.

import type { NodeId } from "@lumeofs/base";
import test from "ava";
import { logIndex, term } from "../src/raft/entry.js";
import {
  append,
  at,
  bootWith,
  entriesOf,
  Group,
  type Packet,
  voteRequest,
} from "./raft-harness.js";

const isVoteReply = (packet: Packet) => packet.message.kind === "voteReply";
const isRealVote = ({ message }: Packet) => message.kind === "vote" && !message.pre;

function granted(packets: readonly Packet[]): readonly boolean[] {
  return packets.map(({ message }) => message.kind === "voteReply" && message.granted);
}

test("3.1.1: term and vote are one write, and a restart in that term refuses a second one", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.receive(a, b, voteRequest(4, [0, 0]));
  const writes = group.machine(a).writes;
  t.is(writes.length, 1);
  t.deepEqual(writes[0]?.kind === "persist" && writes[0].hardState, { term: term(4), votedFor: b });
  group.persistAll(a);
  group.restart(a);
  t.deepEqual(granted(group.take(isVoteReply)), [true]);
  group.receive(a, c, voteRequest(4, [9, 3]));
  group.persistAll(a);
  t.deepEqual(granted(group.take(isVoteReply)), [false]);
});

test("3.1.2: a vote leaves only when it is durable, and a crash before takes it back", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.receive(a, b, voteRequest(4, [0, 0]));
  t.deepEqual(group.network, []);
  group.restart(a);
  t.deepEqual(group.network, []);
  group.receive(a, c, voteRequest(4, [0, 0]));
  group.persistAll(a);
  t.deepEqual(granted(group.take(isVoteReply)), [true]);
});

test("3.1.2: a candidate asks, and counts its own vote, only when its vote is durable", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.receive(a, b, { kind: "timeoutNow", term: term(0) });
  t.is(group.status(a).votedFor, a);
  t.deepEqual(group.network.filter(isRealVote), []);
  const yes = { kind: "voteReply", term: term(1), pre: false, granted: true } as const;
  group.receive(a, b, yes);
  t.is(group.status(a).role, "candidate");
  group.persistAll(a);
  t.is(group.status(a).role, "leader");
});

test("3.1.3: stepping back within a term keeps the vote", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  group.isolate(a);
  group.tick(a, 3 * group.options.electionTicks);
  t.not(group.status(a).role, "leader");
  t.is(group.status(a).term, term(1));
  t.is(group.status(a).votedFor, a);
  const [answer] = group.ask(a, b, voteRequest(1, [9, 9]));
  t.false(answer?.kind === "voteReply" && answer.granted);
  t.truthy(c);
});

test("3.1.4: a longer log of an earlier term does not win against a shorter one of a later", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  bootWith(group, a, [1, 1, 1, 1, 1], 2);
  bootWith(group, b, [1, 2], 2);
  bootWith(group, c, [1, 2], 2);
  group.tick(a, 4 * group.options.electionTicks);
  group.settle();
  t.not(group.status(a).role, "leader");
  group.elect(b);
  group.run(2 * group.options.heartbeatTicks);
  t.deepEqual(group.termsOf(a), group.termsOf(b));
});

test("3.1.5: a promise depends on term and log, and never on a promise before", (t) => {
  const cases = [
    { inTerm: 5, last: [2, 2], granted: true, why: "later term, equal log" },
    { inTerm: 5, last: [1, 2], granted: false, why: "later term, shorter log" },
    { inTerm: 5, last: [9, 1], granted: false, why: "later term, log of an earlier one" },
    { inTerm: 4, last: [2, 2], granted: true, why: "this term, nobody has a vote yet" },
    { inTerm: 3, last: [9, 3], granted: false, why: "earlier term, whatever its log" },
  ] as const;
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  bootWith(group, a, [1, 2], 4);
  for (const { inTerm, last, granted: expected, why } of [...cases, ...cases]) {
    for (const from of [b, c]) {
      const [answer] = group.ask(a, from, voteRequest(inTerm, last, { pre: true }));
      t.is(answer?.kind === "voteReply" && answer.granted, expected, why);
      t.is(answer?.term, term(expected ? inTerm : 4), why);
    }
  }
  t.is(group.status(a).term, term(4));
  t.is(group.status(a).votedFor, undefined);
});

test("3.1.5: a member of a higher term and a shorter log gets back into the group", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.propose(a, "x");
  group.settle();
  bootWith(group, c, [], 7);
  group.run(6 * group.options.electionTicks);
  t.is(group.leaders.length, 1);
  t.true(7 < group.status(c).term);
  t.not(group.leaders[0], c, "it lacks what is committed");
  t.deepEqual(group.texts(c), ["x"]);
});

test("3.1.6: a majority that sees each other elects although one of it hears an old leader", (t) => {
  const group = new Group(5);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  // The old leader reaches only the bridge b; b, c, d, e reach each other.
  for (const id of group.ids.slice(2)) {
    group.cut(a, id);
    group.cut(id, a);
  }
  group.run(8 * group.options.electionTicks);
  t.is(group.leaders.length, 1);
  t.not(group.leaders[0], a);
  t.not(group.status(b).leader, a);
});

test("3.1.7: a leader that hears nobody steps back, and one that nobody hears is replaced", (t) => {
  for (const direction of ["deaf", "mute"] as const) {
    const group = new Group(3);
    const a = at(group, 0);
    group.elect(a);
    for (const id of group.ids.slice(1)) {
      if (direction === "deaf") group.cut(id, a);
      else group.cut(a, id);
    }
    group.run(8 * group.options.electionTicks);
    t.true(
      group.leaders.every((id) => id !== a),
      direction,
    );
    group.heal();
    group.run(4 * group.options.electionTicks);
    t.is(group.leaders.length, 1, direction);
  }
});

test("a leader that is known to be gone is replaced within one timeout, whoever stands first", (t) => {
  const group = new Group(5);
  const a = at(group, 0);
  group.elect(a);
  group.crash(a);
  for (const id of group.ids.slice(1)) group.step(id, { kind: "gone", peer: a });
  group.run(group.options.electionTicks);
  t.is(group.leaders.filter((id) => id !== a).length, 1);
});

test("a wrong word that the leader is gone leaves the group with one leader", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  group.step(b, { kind: "gone", peer: c });
  t.is(group.status(b).leader, a);
  group.step(b, { kind: "gone", peer: a });
  t.is(group.status(b).leader, undefined);
  group.run(4 * group.options.electionTicks);
  t.is(group.leaders.length, 1);
});

test("3.1.7: a deaf or mute follower disturbs nobody", (t) => {
  for (const direction of ["deaf", "mute"] as const) {
    const group = new Group(3);
    const [a, c] = [at(group, 0), at(group, 2)];
    group.elect(a);
    for (const id of group.ids.slice(0, 2)) {
      if (direction === "deaf") group.cut(id, c);
      else group.cut(c, id);
    }
    group.run(8 * group.options.electionTicks);
    t.deepEqual(group.leaders, [a], direction);
    t.is(group.status(a).term, term(1), direction);
  }
});

test("3.1.8: a member that was removed campaigns for ever and raises nobody's term", (t) => {
  const group = new Group(4, { learners: 1 });
  const [a, removed] = [at(group, 0), at(group, 3)];
  group.elect(a);
  for (let i = 0; i < 10; i++) {
    for (const to of group.ids.slice(0, 3)) {
      group.receive(to, removed, voteRequest(10 + i, [99, 9], { pre: i % 2 === 0 }));
    }
    group.run(1);
  }
  t.is(group.status(a).role, "leader");
  for (const id of group.ids.slice(0, 3)) t.is(group.status(id).term, term(1));
});

test("3.1.9: a single voter elects itself at its first tick, at the start and after a restart", (t) => {
  const group = new Group(1);
  const a = at(group, 0);
  group.run(1);
  t.is(group.status(a).role, "leader");
  group.propose(a, "x");
  group.settle();
  group.restart(a);
  group.run(1);
  t.is(group.status(a).role, "leader");
  t.is(group.status(a).term, term(2));
  t.deepEqual(group.texts(a), ["x"]);
});

test("3.1.9: of two and of four members, half is no majority", (t) => {
  for (const size of [2, 4]) {
    const group = new Group(size);
    group.isolate(...group.ids.slice(0, size / 2));
    group.run(6 * group.options.electionTicks);
    t.deepEqual(group.leaders, []);
    group.heal();
    group.run(6 * group.options.electionTicks);
    t.is(group.leaders.length, 1);
  }
});

test("3.1.10: a whole election timeout passes from the moment a vote is durable", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.receive(a, b, voteRequest(1, [0, 0]));
  group.tick(a, group.options.electionTicks - 1);
  group.persistAll(a);
  group.tick(a, group.options.electionTicks - 1);
  t.is(group.status(a).role, "follower");
  t.is(group.status(a).term, term(1));
});

test("3.1.10: members draw different timeouts, and another one after each restart", (t) => {
  const ticksToStand = (group: Group, id: NodeId) => {
    let ticks = 0;
    for (; group.status(id).role === "follower"; ticks++) group.tick(id);
    return ticks;
  };
  const group = new Group(5, { electionTicks: 1_000 });
  const first = group.ids.map((id) => ticksToStand(group, id));
  for (const id of group.ids) group.restart(id);
  const second = group.ids.map((id) => ticksToStand(group, id));
  t.true(new Set([...first, ...second]).size === 10);
});

test("3.1.11: a leader whose disk hangs loses its leadership and does not stand again", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  group.elect(a);
  group.propose(a, "x");
  for (let i = 0; i < 12 * group.options.electionTicks; i++) {
    for (const id of group.ids) group.tick(id);
    for (const id of group.ids.slice(1)) group.persistAll(id);
    group.deliverAll();
    for (const id of group.ids.slice(1)) group.persistAll(id);
    group.deliverAll();
  }
  t.is(group.leaders.length, 1);
  t.not(group.leaders[0], a);
  t.is(group.status(a).role, "follower");
  t.deepEqual(group.texts(at(group, 1)), ["x"]);
});

test("R1: two leaders in one term stop the member that sees them", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  t.throws(() => group.receive(a, b, append(1, [0, 0], entriesOf([1]))), { message: /R1/ });
  t.is(group.status(a).last, logIndex(1));
});
