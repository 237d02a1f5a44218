// Bugs that real systems shipped in reads, snapshots and restarts. The numbers are those of the
// catalogue in docs/design/0006-raft-core.md.

import { nodeId } from "@lumeofs/base";
import test from "ava";
import { logIndex, term } from "../src/raft/entry.js";
import type { RaftMessage, RaftOutput } from "../src/raft/message.js";
import { append, at, bootWith, entriesOf, Group, MemoryLog, type Packet } from "./raft-harness.js";

const isHeartbeat = ({ message }: Packet) => message.kind === "heartbeat";

const isReadIndex = ({ message }: Packet) => message.kind === "readIndex";
const isReadReply = (output: RaftOutput) =>
  output.kind === "send" && output.message.kind === "readIndexReply";

function heartbeatReply(inTerm: number, round: number): RaftMessage {
  return { kind: "heartbeatReply", term: term(inTerm), round };
}

test("3.3.25: a fresh leader answers no read before it has committed in its own term", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  bootWith(group, a, [1, 1], 1);
  for (const id of group.ids) group.isolate(id);
  group.receive(a, b, { kind: "timeoutNow", term: term(1) });
  group.persistAll(a);
  group.receive(a, b, { kind: "voteReply", term: term(2), pre: false, granted: true });
  group.step(a, { kind: "read", id: 1 });
  group.receive(a, b, heartbeatReply(2, 0));
  group.receive(a, b, heartbeatReply(2, 1));
  t.deepEqual(group.answers(a, "readReady"), []);
  group.persistAll(a);
  const reply = { kind: "matched", last: logIndex(3) } as const;
  group.receive(a, b, { kind: "appendReply", term: term(2), reply });
  t.deepEqual(group.answers(a, "readReady"), [], "the round begins only now");
  group.receive(a, b, heartbeatReply(2, 1));
  t.deepEqual(group.answers(a, "readReady"), [{ kind: "readReady", id: 1, index: logIndex(3) }]);
});

test("3.3.26: answers to an earlier round, or of an earlier term, confirm no later read", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.step(a, { kind: "read", id: 1 });
  group.receive(a, b, heartbeatReply(1, 1));
  t.is(group.answers(a, "readReady").length, 1);
  group.step(a, { kind: "read", id: 2 });
  group.receive(a, b, heartbeatReply(1, 1));
  group.receive(a, b, heartbeatReply(1, 0));
  t.is(group.answers(a, "readReady").length, 1);

  group.isolate(a);
  group.tick(a, 3 * group.options.electionTicks);
  t.deepEqual(group.answers(a, "readRefused"), [
    { kind: "readRefused", id: 2, why: { kind: "notLeader", leader: undefined } },
  ]);
  for (const id of group.ids) group.tick(id, 2 * group.options.electionTicks);
  group.take(() => true);
  group.heal();
  group.elect(a);
  group.take(() => true);
  t.is(group.status(a).term, term(2));
  group.step(a, { kind: "read", id: 2 });
  group.receive(a, b, heartbeatReply(1, 1));
  group.receive(a, b, heartbeatReply(1, 2));
  t.is(group.answers(a, "readReady").length, 1);
  group.receive(a, b, heartbeatReply(2, 1));
  t.is(group.answers(a, "readReady").length, 2);
});

test("3.3.26: an answer to a round that has not begun confirms nothing", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.receive(a, b, heartbeatReply(1, 99));
  group.step(a, { kind: "read", id: 1 });
  t.deepEqual(group.answers(a, "readReady"), []);
});

test("3.3.26: a lost round is asked again by the next heartbeat", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  group.elect(a);
  group.step(a, { kind: "read", id: 1 });
  t.is(group.take(isHeartbeat).length, 2);
  group.run(group.options.heartbeatTicks);
  t.is(group.answers(a, "readReady").length, 1);
});

test("3.3.25: a fresh leader names no read index before it has committed in its own term", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  bootWith(group, a, [1, 1], 1);
  for (const id of group.ids) group.isolate(id);
  group.receive(a, b, { kind: "timeoutNow", term: term(1) });
  group.persistAll(a);
  group.receive(a, b, { kind: "voteReply", term: term(2), pre: false, granted: true });
  const replies = () =>
    group.step(a, { kind: "tick" }).filter((o) => o.kind === "send" && isReadReply(o));
  const asked = group.receive(a, c, { kind: "readIndex", term: term(2), id: 5 });
  const confirmed = group.receive(a, b, heartbeatReply(2, 1));
  t.false([...asked, ...confirmed, ...replies()].some(isReadReply));
  group.persistAll(a);
  const reply = { kind: "matched", last: logIndex(3) } as const;
  group.receive(a, b, { kind: "appendReply", term: term(2), reply });
  const outputs = group.receive(a, b, heartbeatReply(2, 1));
  const message = { kind: "readIndexReply", term: term(2), id: 5, index: logIndex(3) };
  t.deepEqual(outputs.filter(isReadReply), [{ kind: "send", to: c, message }]);
});

test("3.3.26: what a follower asked of one leader is not answered by another one", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  group.step(c, { kind: "read", id: 7 });
  group.take(isReadIndex);
  group.isolate(a);
  for (const id of [b, c]) group.tick(id, 2 * group.options.electionTicks);
  group.take(() => true);
  t.deepEqual(group.answers(c, "readRefused"), [
    { kind: "readRefused", id: 7, why: { kind: "notLeader", leader: undefined } },
  ]);
  group.heal();
  group.elect(b);
  const late = { kind: "readIndexReply", term: group.status(b).term, id: 7, index: logIndex(1) };
  group.receive(c, b, late as RaftMessage);
  t.deepEqual(group.answers(c, "readReady"), [], "a late answer is nobody's");
});

test("3.3.26: a lost question of a follower is asked again, and any answer to it is true", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.step(c, { kind: "read", id: 7 });
  t.is(group.take(isReadIndex).length, 1, "lost");
  group.run(2 * group.options.heartbeatTicks);
  t.deepEqual(
    group.answers(c, "readReady").map(({ id }) => id),
    [7],
  );
  const again = { kind: "readIndexReply", term: term(1), id: 7, index: logIndex(1) } as const;
  group.receive(c, a, again);
  t.is(group.answers(c, "readReady").length, 1, "a repeated answer changes nothing");
});

test("A follower asks its leader, and serves when it has applied what the leader names", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.propose(a, "x");
  group.settle();
  group.step(b, { kind: "read", id: 1 });
  group.settle();
  const [ready] = group.answers(b, "readReady");
  t.is(ready?.index, group.status(a).commit);
});

test("A member that leads no longer, or not this follower, says so at once", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  const asked = { kind: "readIndex", term: term(1), id: 1 } as const;
  const refusal = { kind: "readIndexReply", term: term(1), id: 1, index: undefined };
  for (const [to, from] of [
    [b, c],
    [a, nodeId("m9")],
  ] as const) {
    const answered = group.receive(to, from, asked).filter(isReadReply);
    t.deepEqual(answered, [{ kind: "send", to: from, message: refusal as RaftMessage }]);
  }
  group.step(c, { kind: "read", id: 2 });
  group.take(isReadIndex);
  group.receive(c, a, { ...asked, kind: "readIndexReply", id: 2, index: undefined });
  t.is(group.answers(c, "readRefused").length, 1);
});

test("A follower that knows of no leader, and a candidate, refuse at once", (t) => {
  const group = new Group(3);
  const a = at(group, 0);
  group.step(a, { kind: "read", id: 1 });
  group.tick(a, 2 * group.options.electionTicks);
  t.is(group.status(a).role, "candidate");
  group.step(a, { kind: "read", id: 2 });
  t.deepEqual(
    group.answers(a, "readRefused").map(({ id }) => id),
    [1, 2],
  );
});

test("3.3.27: a leader that was replaced while it slept names no read index", (t) => {
  const group = new Group(5);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  for (const id of [a, c]) group.isolate(id);
  for (const id of group.ids.slice(3)) group.tick(id, 2 * group.options.electionTicks);
  group.take(() => true);
  group.elect(b);
  group.propose(b, "x");
  group.settle();
  // The follower c still follows the sleeper, and the two of them can talk to each other.
  group.step(c, { kind: "read", id: 1 });
  group.receive(a, c, { kind: "readIndex", term: term(1), id: 1 });
  group.receive(a, c, heartbeatReply(1, 1));
  group.settle();
  t.deepEqual(group.answers(c, "readReady"), []);
});

test("3.3.27: a leader that was replaced while it slept answers no read", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.isolate(a);
  group.tick(at(group, 2), 2 * group.options.electionTicks);
  group.take(() => true);
  group.elect(b);
  group.propose(b, "x");
  group.settle();
  group.heal();
  t.is(group.status(a).role, "leader", "it does not know yet");
  group.step(a, { kind: "read", id: 1 });
  group.settle();
  t.deepEqual(group.answers(a, "readReady"), []);
  t.is(group.answers(a, "readRefused").length, 1);
});

test("3.3.30: losing the leadership is reported, and what was accepted stays unknown", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  group.isolate(a);
  group.propose(a, "x");
  group.tick(a, 3 * group.options.electionTicks);
  const roles = group.answers(a, "role").map(({ role, term: inTerm }) => [role, inTerm]);
  t.deepEqual(roles.slice(-2)[0], ["follower", term(1)]);
  t.is(group.answers(a, "refused").length, 0);
  group.propose(b, "y");
  t.deepEqual(group.answers(b, "refused"), [
    { kind: "refused", why: { kind: "notLeader", leader: a } },
  ]);
});

test("3.4.37: a second snapshot during the installation of a first one changes nothing", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  const { membership } = group;
  const snapshot = (index: number) => {
    const meta = { index: logIndex(index), term: term(1), membership };
    return group.step(a, { kind: "snapshotReceived", from: b, term: term(1), meta });
  };
  t.true(snapshot(5).some(({ kind }) => kind === "installSnapshot"));
  t.false(snapshot(5).some(({ kind }) => kind === "installSnapshot"));
  t.false(snapshot(9).some(({ kind }) => kind === "installSnapshot"));
  group.receive(a, b, append(1, [5, 1], entriesOf([1], 6), 6));
  t.is(group.status(a).commit, logIndex(6));
  t.is(group.status(a).applied, logIndex(0), "nothing is applied before it is installed");
  group.persistAll(a);
  t.is(group.status(a).applied, logIndex(6));
  t.true(snapshot(9).some(({ kind }) => kind === "installSnapshot"));
});

test("3.4.37: a snapshot of what is applied already is not installed", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.ask(a, b, append(1, [0, 0], entriesOf([1, 1, 1]), 3));
  const meta = { index: logIndex(2), term: term(1), membership: group.membership };
  group.step(a, { kind: "snapshotReceived", from: b, term: term(1), meta });
  group.persistAll(a);
  t.deepEqual(group.termsOf(a), [1, 1, 1]);
  const confirmed = { kind: "snapshotReply", term: term(1), index: logIndex(3) } as const;
  t.deepEqual(
    group.network.map(({ message }) => message),
    [confirmed],
  );
});

test("3.4.37: a snapshot that could not be delivered is offered again, at a calm pace", (t) => {
  const group = new Group(3);
  const [a, c] = [at(group, 0), at(group, 2)];
  group.elect(a);
  group.isolate(c);
  group.propose(a, "x");
  group.settle();
  group.compact(a);
  group.heal();
  let offers = 0;
  for (let i = 0; i < 20; i++) {
    group.tick(a);
    for (let j = 0; j < 5; j++) {
      for (const id of group.ids) group.persistAll(id);
      group.deliverAll();
    }
    for (const to of group.machine(a).snapshotsWanted.splice(0)) {
      offers++;
      group.step(a, { kind: "snapshotSent", to, delivered: false });
    }
  }
  t.true(2 <= offers && offers <= 10, `${offers} offers in 10 heartbeats`);
  group.run(4 * group.options.heartbeatTicks);
  t.deepEqual(group.texts(c), group.texts(a));
});

test("3.4.39: a log that ends before what is applied is refused at the start", (t) => {
  const group = new Group(1);
  const log = new MemoryLog(group.membership);
  log.entriesKept = entriesOf([1, 1]);
  t.throws(() => group.boot(at(group, 0), log, logIndex(3)), { message: /ends before/ });
  t.notThrows(() => group.boot(at(group, 0), log, logIndex(2)));
});

test("3.4.39: nothing is applied that a restart would not find in the log", (t) => {
  const group = new Group(3);
  const [a, b, c] = [at(group, 0), at(group, 1), at(group, 2)];
  group.elect(a);
  group.propose(a, "x");
  group.deliverAll();
  for (const id of [b, c]) group.persistAll(id);
  group.deliverAll();
  t.is(group.status(a).commit, logIndex(2), "committed by the others");
  t.deepEqual(group.texts(a), []);
  t.notThrows(() => group.restart(a));
  group.run(6 * group.options.electionTicks);
  t.deepEqual(group.texts(a), ["x"]);
});

test("A follower that lies ahead of its term's leader stops the leader, not the data (R8)", (t) => {
  const group = new Group(3);
  const [a, b] = [at(group, 0), at(group, 1)];
  group.elect(a);
  const reply = { kind: "matched", last: logIndex(9) } as const;
  const message = { kind: "appendReply", term: term(1), reply } as const;
  t.throws(() => group.receive(a, b, message), { message: /R8/ });
});
