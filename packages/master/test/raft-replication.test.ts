// Bugs that real systems shipped in replication and commit. The numbers are those of the catalogue
// in docs/design/0006-raft-core.md.

import type { NodeId } from "@lumeofs/base";
import test from "ava";
import { type Entry, logIndex, type Membership, term } from "../src/raft/entry.js";
import { NOBODY } from "../src/raft/membership.js";
import { encodeMembership } from "../src/raft/membership-codec.js";
import type { RaftMessage } from "../src/raft/message.js";
import { append, at, bootWith, entriesOf, Group, MemoryLog, type Packet } from "./raft-harness.js";

const isAppend = ({ message }: Packet) => message.kind === "append";
const isAppendReply = ({ message }: Packet) => message.kind === "appendReply";

function matched(inTerm: number, last: number): RaftMessage {
  const reply = { kind: "matched", last: logIndex(last) } as const;
  return { kind: "appendReply", term: term(inTerm), reply };
}

/** Elects `id` without letting anybody receive the entries of its term. */
function electOnly(group: Group, id: NodeId): void {
  group.receive(id, id === at(group, 0) ? at(group, 1) : at(group, 0), {
    kind: "timeoutNow",
    term: group.status(id).term,
  });
  for (let i = 0; i < 4; i++) {
    for (const each of group.ids) {
      if (each !== id || group.status(id).role !== "leader") group.persistAll(each);
    }
    group.deliverAll(({ message }) => message.kind === "vote" || message.kind === "voteReply");
  }
}

test("3.2.12: an old append that is shorter does not cut off what came after it", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  const long = append(1, [0, 0], entriesOf([1, 1, 1, 1]));
  const short = append(1, [0, 0], entriesOf([1, 1]));
  const middle = append(1, [1, 1], entriesOf([1], 2));
  group.ask(a, b, long);
  for (const message of [short, middle, short, append(1, [0, 0], [])]) {
    group.ask(a, b, message);
    t.deepEqual(group.termsOf(a), [1, 1, 1, 1]);
  }
});

test("3.2.12: appends in any order and any number give the same log", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  const all = entriesOf([1, 1, 1, 1, 1, 1]);
  const pieces = [0, 2, 4].map((from) => {
    return append(1, [from, from === 0 ? 0 : 1], all.slice(from, from + 2));
  });
  for (const order of [
    [2, 1, 0],
    [1, 0, 2],
    [0, 0, 1, 2, 1],
    [2, 0, 1, 2],
  ]) {
    for (const i of order) group.ask(a, b, pieces[i] ?? append(1, [0, 0], []));
  }
  t.deepEqual(group.termsOf(a), [1, 1, 1, 1, 1, 1]);
});

test("3.2.13: an append from before the follower's snapshot is joined on behind it", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.ask(a, b, append(1, [0, 0], entriesOf([1, 1, 1, 1]), 4));
  group.compact(a);
  const [old] = group.ask(a, b, append(1, [1, 1], entriesOf([1, 1], 2)));
  t.deepEqual(old, matched(1, 4));
  const [longer] = group.ask(a, b, append(1, [1, 1], entriesOf([1, 1, 1, 1], 2)));
  t.deepEqual(longer, matched(1, 5));
  t.is(group.status(a).first, logIndex(5));
});

test("3.2.14: a commit index beyond what an append has verified does not count", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [1, 1, 1, 1], 1);
  group.ask(a, b, append(2, [1, 1], [], 4));
  t.is(group.status(a).commit, logIndex(1), "entries 2 to 4 may be of a leader that lost");
  group.ask(a, b, append(2, [1, 1], entriesOf([2], 2), 4));
  t.is(group.status(a).commit, logIndex(2));
});

test("3.2.14: a heartbeat names no more than the follower has confirmed", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  bootWith(group, a, [1, 1], 2);
  bootWith(group, b, [1, 1], 2);
  bootWith(group, c, [1, 2, 2], 2);
  group.isolate(c);
  group.elect(a);
  t.is(group.status(a).commit, logIndex(3));
  group.tick(a, group.options.heartbeatTicks);
  for (const { to, message } of group.take(({ message: m }) => m.kind === "heartbeat")) {
    t.is(message.kind === "heartbeat" && message.commit, logIndex(to === c ? 0 : 3));
  }
});

test("3.2.16: Figure 8: an entry on a majority is lost lawfully, and never was committed", (t) => {
  const group = new Group(5);
  const [a, b, c, d, e] = [0, 1, 2, 3, 4].map((i) => at(group, i)) as [
    NodeId,
    NodeId,
    NodeId,
    NodeId,
    NodeId,
  ];
  // (c): a led term 2 and leads term 4; entry 2 of term 2 reaches a majority.
  bootWith(group, a, [1, 2], 3);
  bootWith(group, b, [1, 2], 3);
  for (const id of [c, d]) bootWith(group, id, [1], 3);
  bootWith(group, e, [1, 3], 3);
  group.isolate(e);
  electOnly(group, a);
  t.is(group.status(a).term, term(4));
  for (const id of [b, c]) group.receive(a, id, matched(4, 2));
  t.is(group.status(a).commit, logIndex(0));
  // (d): a crashes; e wins with entry 2 of term 3 and overwrites it everywhere.
  group.crash(a);
  group.take(() => true);
  group.heal();
  group.elect(e);
  group.run(2 * group.options.heartbeatTicks);
  for (const id of [b, c, d, e]) t.deepEqual(group.termsOf(id).slice(0, 2), [1, 3]);
  group.restart(a);
  group.run(2 * group.options.electionTicks);
  t.deepEqual(group.termsOf(a).slice(0, 2), [1, 3]);
});

test("3.2.16: Figure 8: committed together with an entry of its own term, it is never lost", (t) => {
  const group = new Group(5);
  const [a, b, c, d, e] = [0, 1, 2, 3, 4].map((i) => at(group, i)) as [
    NodeId,
    NodeId,
    NodeId,
    NodeId,
    NodeId,
  ];
  for (const id of [a, b]) bootWith(group, id, [1, 2], 3);
  for (const id of [c, d]) bootWith(group, id, [1], 3);
  bootWith(group, e, [1, 3], 3);
  group.isolate(d, e);
  group.elect(a);
  t.is(group.status(a).commit, logIndex(3));
  group.crash(a);
  group.heal();
  group.run(6 * group.options.electionTicks);
  t.not(group.leaders[0], e);
  for (const id of [b, c, d, e]) t.deepEqual(group.termsOf(id).slice(0, 3), [1, 2, 4]);
});

test("3.2.17: an acknowledgement of an earlier term moves nothing", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  bootWith(group, a, [1, 1, 1], 4);
  electOnly(group, a);
  group.persistAll(a);
  group.take(() => true);
  for (const inTerm of [1, 4]) group.receive(a, b, matched(inTerm, 4));
  t.is(group.status(a).commit, logIndex(0));
  t.is(group.status(a).peers.find((peer) => peer.id === b)?.match, logIndex(0));
  group.receive(a, c, matched(5, 4));
  t.is(group.status(a).commit, logIndex(4));
});

test("3.2.18: overwritten and overwritten back, an entry is durable only with its last write", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.receive(a, b, append(1, [0, 0], entriesOf([1, 1])));
  group.receive(a, c, append(2, [1, 1], entriesOf([2], 2)));
  group.receive(a, b, append(3, [1, 1], entriesOf([1, 3], 2)));
  group.persist(a);
  t.is(group.status(a).durable, logIndex(1));
  t.is(group.status(a).commit, logIndex(0));
  group.persist(a);
  t.is(group.status(a).durable, logIndex(1));
  group.persist(a);
  t.is(group.status(a).durable, logIndex(3));
  t.deepEqual(group.termsOf(a), [1, 1, 3]);
});

test("3.2.18: a leader does not count a copy that a write under way overwrites", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.receive(a, b, append(1, [0, 0], entriesOf([1, 1])));
  group.receive(a, b, append(2, [1, 1], entriesOf([2], 2)));
  group.receive(a, b, { kind: "timeoutNow", term: term(2) });
  group.receive(a, b, { kind: "voteReply", term: term(3), pre: false, granted: true });
  t.is(group.status(a).durable, logIndex(0));
  group.persistAll(a);
  t.is(group.status(a).role, "leader");
  t.is(group.status(a).durable, logIndex(3));
});

test("3.2.19: the end of a write that was cut off meanwhile makes nothing durable again", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.receive(a, b, append(1, [0, 0], entriesOf([1, 1, 1, 1, 1])));
  group.receive(a, c, append(2, [2, 1], entriesOf([2], 3), 3));
  group.persist(a);
  t.is(group.status(a).last, logIndex(3));
  t.is(group.status(a).durable, logIndex(2));
  t.is(group.status(a).commit, logIndex(3));
  t.is(group.status(a).applied, logIndex(2), "R3: entry 3 could still be lost here");
  group.persist(a);
  t.is(group.status(a).applied, logIndex(3));
});

test("3.2.20: a leader's own copy counts only when it is durable", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  group.propose(a, "x");
  group.receive(a, b, matched(1, 2));
  t.is(group.status(a).commit, logIndex(1), "the follower's copy alone is no majority");
  group.persist(a);
  t.is(group.status(a).commit, logIndex(2));
  group.propose(a, "y");
  group.receive(a, b, matched(1, 3));
  group.receive(a, c, matched(1, 3));
  t.is(group.status(a).commit, logIndex(3), "a majority without the leader");
  t.is(group.status(a).applied, logIndex(2), "R3");
  group.persist(a);
  t.is(group.status(a).applied, logIndex(3));
});

test("3.2.20: a single voter commits only what is on its disk", (t) => {
  const group = new Group(1);
  const a = at(group, 0);
  group.run(1);
  group.propose(a, "x");
  t.deepEqual(group.texts(a), []);
  group.restart(a);
  group.run(1);
  t.deepEqual(group.texts(a), []);
  group.propose(a, "y");
  group.persist(a);
  t.deepEqual(group.texts(a), ["y"]);
});

test("3.2.20: an acknowledgement of what was there before waits for writes under way", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  const message = append(1, [0, 0], entriesOf([1, 1]));
  group.receive(a, b, message);
  group.receive(a, b, message);
  t.deepEqual(group.network, []);
  group.persist(a);
  t.is(group.take(isAppendReply).length, 1);
  group.persist(a);
  t.is(group.take(isAppendReply).length, 1);
});

test("3.2.21: a full window whose appends were all lost is found by the next heartbeat", (t) => {
  const group = new Group(3, { inFlightAppendsMax: 2 });
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.run(group.options.heartbeatTicks);
  for (const text of ["p", "q", "r", "s"]) group.propose(a, text);
  t.is(group.take(({ to, message }) => to === c && message.kind === "append").length, 2);
  const full = group.status(a).peers.find((peer) => peer.id === c);
  t.is(full?.inFlightAppends, 2);
  group.settle();
  t.deepEqual(group.texts(c), []);
  group.run(2 * group.options.heartbeatTicks);
  t.deepEqual(group.texts(c), ["p", "q", "r", "s"]);
});

test("3.2.21: the last append before silence is lost and arrives all the same", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.run(group.options.heartbeatTicks);
  group.propose(a, "x");
  group.take(({ to }) => to === c);
  group.run(3 * group.options.heartbeatTicks);
  t.deepEqual(group.texts(c), ["x"]);
});

test("3.2.21: a follower that comes back with an empty log is filled again, without a loop", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.propose(a, "x", "y");
  group.run(2 * group.options.heartbeatTicks);
  group.crash(c);
  group.boot(c, new MemoryLog(group.membership), logIndex(0));
  group.step(a, { kind: "unreachable", peer: c });
  group.run(6 * group.options.heartbeatTicks);
  t.deepEqual(group.termsOf(c), group.termsOf(a));
  group.tick(a, group.options.heartbeatTicks);
  group.deliverAll(({ message }) => message.kind !== "append");
  t.deepEqual(group.take(isAppend), [], "nothing more to send");
});

test("3.2.22: a log that differs in many terms is repaired in few round trips", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  const theirs = Array.from({ length: 600 }, (_, i) => 2 + 2 * Math.floor(i / 100));
  const ours = Array.from({ length: 600 }, (_, i) => 3 + 2 * Math.floor(i / 100));
  for (const id of group.ids.slice(0, 2)) bootWith(group, id, [1, ...ours], 20);
  bootWith(group, c, [1, ...theirs], 20);
  group.isolate(c);
  group.elect(a);
  group.heal();
  let appends = 0;
  group.tick(a, group.options.heartbeatTicks);
  for (let i = 0; i < 100 && 0 < group.network.length; i++) {
    for (const id of group.ids) group.persistAll(id);
    appends += group.network.filter((packet) => packet.to === c && isAppend(packet)).length;
    group.deliverAll();
  }
  group.settle();
  t.deepEqual(group.termsOf(c), group.termsOf(a));
  t.true(appends <= 12, `${appends} appends`);
});

test("3.2.23: a follower is not taken for caught up by an answer to an earlier probe", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [1, 1, 1], 1);
  electOnly(group, a);
  group.persistAll(a);
  group.receive(a, b, {
    kind: "appendReply",
    term: term(2),
    reply: { kind: "conflict", refused: logIndex(3), retryFrom: logIndex(1), retryTerm: term(1) },
  });
  const peer = () => group.status(a).peers.find(({ id }) => id === b);
  t.is(peer()?.next, logIndex(2));
  group.receive(a, b, matched(2, 1));
  t.is(peer()?.match, logIndex(1));
  t.is(peer()?.state, "replicate");
  t.is(group.status(a).commit, logIndex(0));
});

test("3.2.24: learners receive everything and never make up a majority", (t) => {
  const group = new Group(5, { learners: 2 });
  const [a, b, c, d, e] = [0, 1, 2, 3, 4].map((i) => at(group, i)) as [
    NodeId,
    NodeId,
    NodeId,
    NodeId,
    NodeId,
  ];
  group.elect(a);
  group.crash(b);
  group.crash(c);
  group.propose(a, "x");
  group.run(1);
  t.is(group.status(d).last, logIndex(2));
  t.is(group.status(e).last, logIndex(2));
  t.is(group.status(a).commit, logIndex(1));
  group.run(3 * group.options.electionTicks);
  t.not(group.status(a).role, "leader", "learners do not confirm a leader either");
});

test("3.5.44: a membership counts from its append on, and is taken back with its entry", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  const addresses = { [a]: "a:1", [b]: "b:1" };
  const next: Membership = { ...NOBODY, voters: [a], votersOutgoing: [b], addresses };
  const entry: Entry = {
    index: logIndex(2),
    term: term(1),
    kind: "membership",
    data: encodeMembership(next),
  };
  group.ask(a, b, append(1, [0, 0], [...entriesOf([1]), entry]));
  t.deepEqual(group.status(a).membership, next);
  group.restart(a);
  t.deepEqual(group.status(a).membership, next);
  group.ask(a, c, append(2, [1, 1], entriesOf([2], 2), 2));
  t.deepEqual(group.status(a).membership.voters, group.membership.voters);
});

test("3.5.44: a leader in a joint membership needs a majority of both voter sets", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  const joint: Membership = { ...group.membership, voters: [a, b], votersOutgoing: [a, c] };
  const entry: Entry = {
    index: logIndex(1),
    term: term(1),
    kind: "membership",
    data: encodeMembership(joint),
  };
  group.ask(a, b, append(1, [0, 0], [entry]));
  group.receive(a, b, { kind: "timeoutNow", term: term(1) });
  group.persistAll(a);
  const yes = { kind: "voteReply", term: term(2), pre: false, granted: true } as const;
  group.receive(a, b, yes);
  t.is(group.status(a).role, "candidate");
  group.receive(a, c, yes);
  t.is(group.status(a).role, "leader");
  group.persistAll(a);
  group.receive(a, c, matched(2, 2));
  t.is(group.status(a).commit, logIndex(0));
  group.receive(a, b, matched(2, 2));
  t.is(group.status(a).commit, logIndex(2));
});

test("A leader refuses proposals while too much is uncommitted, and takes them again after", (t) => {
  const group = new Group(3, { uncommittedBytesMax: 1_000 });
  const a = at(group, 0);
  group.elect(a);
  group.propose(a, "x".repeat(5_000));
  t.is(group.answers(a, "accepted").length, 1, "alone, any size passes");
  group.propose(a, "y");
  t.deepEqual(group.answers(a, "refused"), [{ kind: "refused", why: { kind: "overloaded" } }]);
  group.settle();
  t.is(group.status(a).uncommittedBytes, 0);
  group.propose(a, "z");
  t.is(group.answers(a, "accepted").length, 2);
});

test("Entries to apply come in pieces of limited size, one piece at a time", (t) => {
  const group = new Group(3, { applyBytesMax: 300 });
  const [a, b] = [at(group, 0), at(group, 1)];
  const { core } = group.machine(a);
  const message = append(1, [0, 0], entriesOf([1, 1, 1, 1, 1, 1, 1, 1]), 8);
  core.step({ kind: "received", from: b, message });
  const pieces = (input: Parameters<typeof core.step>[0]) =>
    core.step(input).flatMap((output) => (output.kind === "apply" ? [output.entries.length] : []));
  t.deepEqual(pieces({ kind: "tick" }), []);
  group.machine(a).log.entriesKept = entriesOf([1, 1, 1, 1, 1, 1, 1, 1]);
  t.deepEqual(pieces({ kind: "persisted", write: 1 }), [4]);
  t.deepEqual(pieces({ kind: "tick" }), []);
  t.deepEqual(pieces({ kind: "applied", index: logIndex(4) }), [4]);
});

test("An append carries at most its limit of bytes, and the rest follows in the same step", (t) => {
  const group = new Group(2, { appendBytesMax: 1_000 });
  const a = at(group, 0);
  group.elect(a);
  group.run(group.options.heartbeatTicks);
  group.propose(a, ...Array.from({ length: 30 }, () => "x".repeat(100)));
  const sizes = group.take(isAppend).map(({ message }) => {
    return message.kind === "append" ? message.entries.length : 0;
  });
  t.deepEqual(sizes, [6, 6, 6, 6, 6]);
});
