// One test for each rule of the Raft paper (Ongaro, Ousterhout: In Search of an Understandable
// Consensus Algorithm, extended version) and of the thesis, named by section.

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

const isKind = (kind: Packet["message"]["kind"]) => (packet: Packet) =>
  packet.message.kind === kind;

test("§5.1: a message of a later term makes every role a follower of that term", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.receive(a, b, append(9, [0, 0], []));
  t.is(group.status(a).role, "follower");
  t.is(group.status(a).term, term(9));
  t.is(group.status(a).leader, b);
});

test("§5.1: a message of an earlier term changes nothing, and its sender learns the term", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [1, 2], 5);
  const answers = group.ask(a, b, append(4, [2, 2], entriesOf([4], 3), 3));
  t.deepEqual(answers, [{ kind: "heartbeatReply", term: term(5), round: 0 }]);
  t.is(group.status(a).last, logIndex(2));
  t.is(group.status(a).leader, undefined);
});

test("§5.2: members begin as followers and stay so while they hear a leader", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  t.is(group.status(a).role, "follower");
  for (let i = 0; i < 100; i++) {
    group.tick(a, group.options.electionTicks - 1);
    const heartbeat = { kind: "heartbeat", term: term(1), commit: logIndex(0), round: 0 } as const;
    group.ask(a, b, heartbeat);
  }
  t.is(group.status(a).role, "follower");
  t.is(group.status(a).term, term(1));
});

test("§5.2: a candidate raises the term, votes for itself and asks all others", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  group.tick(a, 2 * group.options.electionTicks);
  group.deliverAll();
  for (const id of group.ids) group.persistAll(id);
  group.deliverAll(isKind("voteReply"));
  t.is(group.status(a).term, term(1));
  t.is(group.status(a).votedFor, a);
  group.persistAll(a);
  const asked = group.take((p) => p.message.kind === "vote" && !p.message.pre).map((p) => p.to);
  t.deepEqual(asked, [at(group, 1), at(group, 2)]);
});

test("§5.2: a majority of votes makes a leader, fewer do not", (t) => {
  for (const [size, others] of [
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
  ] as const) {
    const group = new Group(size);
    const a = at(group, 0);
    for (const id of group.ids.slice(1 + others)) group.isolate(id);
    group.tick(a, 2 * group.options.electionTicks);
    group.settle();
    t.is(group.status(a).role, "leader", `${others} of ${size - 1} others`);
  }
  const alone = new Group(5);
  for (const id of alone.ids.slice(2)) alone.isolate(id);
  alone.tick(at(alone, 0), 8 * alone.options.electionTicks);
  alone.settle();
  t.is(alone.status(at(alone, 0)).role, "candidate");
});

test("§5.2: a member votes for the first who asks in a term, and for nobody else", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  const grants = (from: typeof b, inTerm: number) =>
    group.ask(a, from, voteRequest(inTerm, [0, 0])).map((m) => m.kind === "voteReply" && m.granted);
  t.deepEqual(grants(b, 1), [true]);
  t.deepEqual(grants(c, 1), [false]);
  t.deepEqual(grants(b, 1), [true], "the same candidate gets the same answer");
  t.deepEqual(grants(c, 2), [true], "a new term, a new vote");
});

test("§5.2: a candidate follows a leader of its own term", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [], 3);
  group.tick(a, 2 * group.options.electionTicks);
  t.is(group.status(a).role, "candidate");
  group.receive(a, b, append(3, [0, 0], []));
  t.is(group.status(a).role, "follower");
  t.is(group.status(a).leader, b);
});

test("§5.2: a split vote is resolved by another election", (t) => {
  const group = new Group(4);
  const [a, b, c, d] = [at(group, 0), at(group, 1), at(group, 2), at(group, 3)];
  for (const id of [a, b]) {
    group.receive(id, c, { kind: "timeoutNow", term: term(0) });
    group.persistAll(id);
  }
  group.deliverAll(({ from, to }) => (from === a && to === c) || (from === b && to === d));
  group.settle();
  t.deepEqual(group.leaders, []);
  t.deepEqual(
    [...group.ids].map((id) => group.status(id).votedFor),
    [a, b, a, b],
  );
  group.run(6 * group.options.electionTicks);
  t.is(group.leaders.length, 1);
  t.true(1 < group.status(a).term);
});

test("§5.2: election timeouts are random within [n, 2n)", (t) => {
  const timeouts = new Set<number>();
  for (let seed = 1; seed <= 200; seed++) {
    const group = new Group(3, {}, seed);
    const a = at(group, 0);
    let ticks = 0;
    for (; group.status(a).role === "follower"; ticks++) group.tick(a);
    timeouts.add(ticks);
  }
  t.is(Math.min(...timeouts), 10);
  t.is(Math.max(...timeouts), 19);
});

test("§5.2: a leader sends heartbeats to all others in every interval", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  group.elect(a);
  group.tick(a, group.options.heartbeatTicks);
  const to = group.take(isKind("heartbeat")).map((packet) => packet.to);
  t.deepEqual(to, [at(group, 1), at(group, 2)]);
});

test("§5.3: a leader appends a proposal and sends it to all others at once", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  group.elect(a);
  group.propose(a, "x", "y");
  const appends = group.take(isKind("append")).map((packet) => packet.message);
  t.is(appends.length, 2);
  for (const message of appends) {
    t.is(message.kind === "append" && message.entries.length, 2, "a batch is one message");
    t.is(message.kind === "append" && message.previousIndex, logIndex(1));
  }
  t.deepEqual(group.answers(a, "accepted"), [
    { kind: "accepted", first: logIndex(2), term: term(1) },
  ]);
});

test("§5.3: an entry is committed as soon as a majority has it, and then applied", (t) => {
  const group = new Group(5);
  const a = at(group, 0);
  group.elect(a);
  group.propose(a, "x");
  group.persistAll(a);
  t.is(group.status(a).commit, logIndex(1));
  for (const id of group.ids.slice(1, 3)) {
    group.deliverAll((packet) => packet.to === id);
    t.deepEqual(group.texts(a), []);
    group.persistAll(id);
    group.deliverAll((packet) => packet.from === id);
  }
  t.is(group.status(a).commit, logIndex(2));
  t.deepEqual(group.texts(a), ["x"]);
});

test("§5.3: followers learn from the leader what is committed, and apply it in order", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.propose(a, "x");
  group.propose(a, "y");
  group.settle();
  group.run(group.options.heartbeatTicks);
  t.deepEqual(group.texts(b), ["x", "y"]);
});

test("§5.3: a leader's commit also commits the entries of earlier terms before it", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  bootWith(group, a, [1, 2, 2], 2);
  group.elect(a);
  t.is(group.status(a).commit, logIndex(4));
  t.deepEqual(group.texts(a), ["1@1", "2@2", "3@2"]);
});

test("§5.3: a follower refuses entries that do not join on to its log", (t) => {
  for (const [previous, hint] of [
    [
      [3, 3],
      [2, 2],
    ], // missing
    [
      [2, 3],
      [2, 2],
    ], // another term: what we have there may still be theirs
    [
      [2, 1],
      [1, 1],
    ], // ours is of a later term, so it is not theirs
  ] as const) {
    const group = new Group(3);
    const [a, b] = [at(group, 0), at(group, 1)];
    bootWith(group, a, [1, 2], 3);
    const [answer] = group.ask(a, b, append(4, previous, entriesOf([4], previous[0] + 1)));
    t.deepEqual(answer, {
      kind: "appendReply",
      term: term(4),
      reply: {
        kind: "conflict",
        refused: logIndex(previous[0]),
        retryFrom: logIndex(hint[0]),
        retryTerm: term(hint[1]),
      },
    });
    t.deepEqual(group.termsOf(a), [1, 2]);
  }
});

test("§5.3: a follower drops what differs, keeps what is equal, and appends the rest", (t) => {
  for (const [previous, terms, result] of [
    [[2, 2], [3], [1, 2, 3]],
    [
      [1, 1],
      [3, 4],
      [1, 3, 4],
    ],
    [[0, 0], [1], [1, 2]],
    [[0, 0], [3], [3]],
    [[1, 1], [2], [1, 2]],
  ] as const) {
    const group = new Group(3);
    const [a, b] = [at(group, 0), at(group, 1)];
    bootWith(group, a, [1, 2], 2);
    const [answer] = group.ask(a, b, append(5, previous, entriesOf(terms, previous[0] + 1)));
    t.deepEqual(group.termsOf(a), [...result]);
    const matched = answer?.kind === "appendReply" && answer.reply.kind === "matched";
    t.true(matched);
  }
});

test("§5.3 Figure 7: a new leader makes every kind of log equal to its own", (t) => {
  const leading = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  for (const terms of [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ]) {
    const group = new Group(3);
    const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
    bootWith(group, a, leading, 7);
    bootWith(group, b, terms, 7);
    group.isolate(b);
    group.elect(a);
    group.heal();
    group.run(2 * group.options.heartbeatTicks);
    t.deepEqual(group.termsOf(b), [...leading, 8]);
    t.deepEqual(group.termsOf(c), [...leading, 8]);
  }
});

test("§5.4.1: a vote is refused to whoever knows less: the last term decides, then the length", (t) => {
  for (const [ours, theirs, granted] of [
    [[1], [1, 1], true],
    [[1], [2, 1], true],
    [[1, 1], [1, 1], false],
    [[1], [1, 2], true],
    [[1, 1], [1, 2], true],
    [[2], [2, 1], false],
    [[1, 1, 2], [9, 1], false],
  ] as const) {
    const group = new Group(3);
    const [a, b] = [at(group, 0), at(group, 1)];
    bootWith(group, a, ours, 3);
    const [answer] = group.ask(a, b, voteRequest(4, theirs));
    t.deepEqual(answer, { kind: "voteReply", term: term(4), pre: false, granted });
  }
});

test("§5.4.2: entries of an earlier term are not committed by counting their copies", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [1, 2], 2);
  group.tick(a, 2 * group.options.electionTicks);
  for (let i = 0; i < 5; i++) {
    group.deliverAll((packet) => packet.message.kind !== "append");
    for (const id of group.ids) group.persistAll(id);
  }
  t.is(group.status(a).role, "leader");
  const matched = (last: number) =>
    group.receive(a, b, {
      kind: "appendReply",
      term: term(3),
      reply: { kind: "matched", last: logIndex(last) },
    });
  matched(2);
  t.is(group.status(a).commit, logIndex(0), "two of three have entry 2, of term 2");
  matched(3);
  t.is(group.status(a).commit, logIndex(3), "the first entry of term 3 takes all along");
});

test("§5.5: votes and appends are answered the same way when they are repeated", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  const message = append(1, [0, 0], entriesOf([1, 1]), 1);
  const first = group.ask(a, b, message);
  t.deepEqual(group.ask(a, b, message), first);
  t.deepEqual(group.termsOf(a), [1, 1]);
  t.is(group.status(a).commit, logIndex(1));
});

test("§6: a member that hears a leader does not help to end its term", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  for (const pre of [true, false]) {
    t.deepEqual(group.ask(b, c, voteRequest(9, [9, 9], { pre })), []);
    t.deepEqual(group.ask(a, c, voteRequest(9, [9, 9], { pre })), []);
  }
  t.is(group.status(b).term, term(1));
  t.is(group.status(a).role, "leader");
});

test("§6: a member that does not vote receives the log, and counts for nothing", (t) => {
  const group = new Group(4, { learners: 3 });
  const [a, learner] = [at(group, 0), at(group, 3)];
  for (const id of group.ids.slice(1)) group.isolate(id);
  group.elect(a);
  group.propose(a, "x");
  group.settle();
  t.deepEqual(group.texts(a), ["x"]);
  group.heal();
  group.run(4 * group.options.heartbeatTicks);
  t.deepEqual(group.texts(learner), ["x"]);
  group.isolate(learner);
  group.tick(learner, 10 * group.options.electionTicks);
  t.is(group.status(learner).role, "follower");
  t.is(group.status(learner).term, term(1));
});

test("§7: a follower that needs entries which are gone is sent a snapshot", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.isolate(c);
  for (let i = 0; i < 5; i++) group.propose(a, `x${i}`);
  group.settle();
  group.compact(a);
  group.heal();
  group.run(4 * group.options.heartbeatTicks);
  t.is(group.machine(c).log.snapshot.index, logIndex(6));
  group.propose(a, "after");
  group.run(group.options.heartbeatTicks);
  t.deepEqual(group.texts(c), group.texts(a));
});

test("§7: a follower keeps its log if it holds the snapshot's last entry", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [1, 1, 2, 2], 2);
  const meta = { index: logIndex(3), term: term(2), membership: group.membership };
  group.step(a, { kind: "snapshotReceived", from: b, term: term(3), meta });
  group.persistAll(a);
  t.deepEqual(group.termsOf(a), [1, 1, 2, 2]);
  t.is(group.status(a).commit, logIndex(3));
  t.deepEqual(group.texts(a), ["1@1", "2@1", "3@2"]);
  const [reply] = group.take(isKind("snapshotReply"));
  t.deepEqual(reply?.message, { kind: "snapshotReply", term: term(3), index: logIndex(3) });
});

test("§7: a follower drops its whole log if it differs at the snapshot's last entry", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [1, 1, 1, 1], 2);
  const meta = { index: logIndex(3), term: term(2), membership: group.membership };
  group.step(a, { kind: "snapshotReceived", from: b, term: term(3), meta });
  t.is(group.status(a).last, logIndex(3));
  t.is(group.take(isKind("snapshotReply")).length, 0, "nothing is said before it is durable");
  group.persistAll(a);
  t.deepEqual(group.termsOf(a), []);
  t.is(group.status(a).applied, logIndex(3));
  t.is(group.take(isKind("snapshotReply")).length, 1);
});

test("§8: a leader begins its term with an entry of its own", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  group.elect(a);
  t.deepEqual(
    group.machine(a).log.entriesKept.map(({ kind, term: inTerm }) => [kind, inTerm]),
    [["noop", term(1)]],
  );
});

test("§8: a read is answered after a majority has confirmed the leader", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.step(a, { kind: "read", id: 7 });
  t.deepEqual(group.answers(a, "readReady"), []);
  group.deliverAll((packet) => packet.to === b);
  group.deliverAll((packet) => packet.from === b);
  t.deepEqual(group.answers(a, "readReady"), [{ kind: "readReady", id: 7, index: logIndex(1) }]);
});

test("Thesis §3.10: told to stand at once, a member stands without asking first", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.receive(b, a, { kind: "timeoutNow", term: term(1) });
  group.settle();
  t.is(group.status(b).role, "leader");
  t.is(group.status(a).role, "follower");
  t.is(group.status(b).term, term(2));
});

test("Thesis §9.6: asking for a promise raises nobody's term, and a minority stays where it is", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.isolate(c);
  group.run(10 * group.options.electionTicks);
  t.is(group.status(c).term, term(1));
  group.heal();
  group.run(2 * group.options.electionTicks);
  t.deepEqual(group.leaders, [a]);
  t.is(group.status(a).term, term(1));
  t.is(group.status(c).leader, a);
});
