// The rules of docs/design/0019-chunk-protocol.md, each by itself. That they are enough, and all of
// them necessary, is what the search and the simulation show.

import { epoch, monotonicMs, serverId, sessionId, wallMs } from "@lumeofs/base";
import test from "ava";
import { recordBehind } from "../../src/replication/append-record.js";
import { History } from "../../src/replication/history.js";
import { beginRead, mayEndRead, mayServeNamed, serveSession } from "../../src/replication/reads.js";
import { changeReplica, emptyReplica, stepReplica } from "../../src/replication/replica.js";
import { A, B, C, D, Group, write } from "./group.js";

test("rule 4: a fence is answered behind the write of its promise", (t) => {
  const { state, write: written } = stepReplica(emptyReplica(), { kind: "fence", epoch: epoch(3) });
  t.is(state.promised, epoch(3));
  t.like(written.change, { kind: "log", promised: epoch(3) });
  t.is(written.then.kind, "fenced");
});

test("rule 4: behind a promise nothing of an earlier epoch is taken", (t) => {
  const group = new Group();
  group.deliver(B, { kind: "fence", epoch: epoch(3) });
  const before = group.replica(B);
  const previous = { epoch: 0, seq: 0 } as const;
  const old = { epoch: epoch(2), previous, records: [], commitSeq: 0 };
  t.like(group.deliver(B, { kind: "append", ...old }), { kind: "stale", promised: epoch(3) });
  t.is(group.deliver(B, { kind: "fence", epoch: epoch(2) }).kind, "stale");
  t.is(group.deliver(B, { kind: "fetch", epoch: epoch(2), after: 0 }).kind, "stale");
  t.is(group.replica(B), before);
});

test("rule 4: the same fence is answered again, and a fetch promises as a fence does", (t) => {
  const group = new Group();
  t.is(group.deliver(B, { kind: "fence", epoch: epoch(2) }).kind, "fenced");
  t.is(group.deliver(B, { kind: "fence", epoch: epoch(2) }).kind, "fenced");
  group.deliver(B, { kind: "fetch", epoch: epoch(4), after: 0 });
  t.is(group.replica(B).promised, epoch(4));
});

test("rule 5: without a majority of the last active set nothing begins", (t) => {
  const group = new Group();
  group.lead().activate(A, B, C);
  const next = group.grant(B, [B, D, C]);
  next.talk(B, D);
  t.is(next.state.kind, "fencing");
  next.talk(A);
  t.not(next.state.kind, "fencing");
});

test("rule 5: UNKNOWN is no answer", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A, B);
  group.replicas.set(B, changeReplica(group.replica(B), { kind: "damage", intactTo: 0 }));
  const next = group.grant(C);
  next.talk(B, C);
  t.is(next.state.kind, "fencing");
  next.talk(A);
  next.activate(A, C);
  t.deepEqual(group.records(C), ["1:1", "2:barrier"]);
});

test("rule 6: a short history of a later epoch wins against a long one of an earlier", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (const number of [1, 2, 3]) first.step(write(number));
  first.talk(A);
  const second = group.grant(B).activate(B, C);
  second.step(write(4));
  second.talk(B, C);
  t.deepEqual(second.acknowledged(), [4]);
  const third = group.grant(A).activate(A, B);
  t.is(third.state.kind, "leading");
  t.deepEqual(group.records(A), ["2:barrier", "2:4", "3:barrier"]);
});

test("rule 7: the epoch is not asked to be active before its barrier is on a majority", (t) => {
  const group = new Group();
  group.lead().activate(A);
  const next = group.grant(B);
  next.talk(B);
  const fenceOfC = next.sent.findIndex(({ to }) => to === C);
  const [fence] = next.sent.splice(fenceOfC, 1);
  next.hear(C, group.deliver(C, fence!.message));
  next.talk(B);
  t.deepEqual(next.said, []);
  next.talk(C);
  t.deepEqual(next.said, [{ kind: "activate", epoch: epoch(2) }]);
});

test("rule 7: a majority of the members of the new epoch has the barrier, not of the old", (t) => {
  const group = new Group();
  group.lead().activate(A);
  const next = group.grant(B, [B, C, D]);
  next.talk(A, B);
  t.deepEqual(next.said, []);
  next.talk(D);
  t.is(next.said.length, 1);
});

test("rule 8: nothing is acknowledged or read before the masters recorded the epoch", (t) => {
  const group = new Group();
  group.lead().activate(A);
  const next = group.grant(B);
  next.talk(A, B, C);
  next.step(write(1));
  t.like(next.said.at(-1), { kind: "refused", why: "notActive" });
  t.is(beginRead(next.state), undefined);
  next.askMasters();
  t.not(beginRead(next.state), undefined);
});

test("rule 8: an epoch that is not the newest any more never becomes active", (t) => {
  const group = new Group();
  group.lead().activate(A);
  const second = group.grant(B);
  second.talk(B, C);
  group.grant(C);
  second.askMasters();
  t.like(second.said.at(-1), { kind: "ended", why: "refusedByMasters" });
});

test("rule 9: the primary's own copy counts only when its replica has answered", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(B);
  t.deepEqual(first.acknowledged(), []);
  first.talk(A);
  t.deepEqual(first.acknowledged(), [1]);
});

test("rule 9: a slow member holds up nobody, and gets everything later", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (let number = 1; number <= 600; number++) {
    first.step(write(number));
    first.talk(A, B);
  }
  t.is(first.acknowledged().length, 600);
  const toC = first.sent.filter(({ to }) => to === C);
  t.true(toC.length <= 256, "what is under way to one member is limited");
  first.sent.splice(0);
  first.step({ kind: "resend" });
  first.talk(C);
  t.deepEqual(group.records(C), group.records(A));
});

test("rule 10: a record without the one before it is not taken, but the promise is made", (t) => {
  const group = new Group();
  const previous = { epoch: epoch(1), seq: 4 };
  const message = { kind: "append", epoch: epoch(2), previous, records: [], commitSeq: 0 } as const;
  t.deepEqual(group.deliver(B, message), { kind: "mismatch", epoch: epoch(2), commitSeq: 0 });
  t.is(group.replica(B).promised, epoch(2));
});

test("rule 10: late and repeated appends change nothing", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (const number of [1, 2, 3]) first.step(write(number));
  const toB = first.sent.filter(({ to }) => to === B).map(({ message }) => message);
  for (const message of toB) group.deliver(B, message);
  const after = group.replica(B);
  for (const message of toB.toReversed()) {
    t.is(group.deliver(B, message).kind, "appended");
    t.is(group.replica(B), after);
  }
});

test("rule 10: the acknowledgement of a late append claims no more than it compared", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (const number of [1, 2]) first.step(write(number));
  const [early, late] = first.sent.filter(({ to }) => to === B).map(({ message }) => message);
  group.deliver(B, early!);
  group.deliver(B, late!);
  t.deepEqual(group.deliver(B, early!), { kind: "appended", epoch: epoch(1), durable: 1 });
});

test("rule 10: what is committed is never replaced: the replica stops instead", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A, B);
  first.step(write(2));
  first.talk(A, B);
  t.is(group.replica(B).commitSeq, 1);
  const records = [
    recordBehind(
      { seq: 0, clock: History.empty().clock },
      { epoch: epoch(2), author: C },
      { kind: "barrier" },
    ),
  ];
  const previous = { epoch: 0, seq: 0 } as const;
  const message = { kind: "append", epoch: epoch(2), previous, records, commitSeq: 0 } as const;
  t.throws(() => group.deliver(B, message), { message: /committed is never replaced/ });
});

test("rule 11: an acknowledgement of another epoch counts for nothing", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A);
  first.hear(B, { kind: "appended", epoch: epoch(2), durable: 1 });
  t.deepEqual(first.acknowledged(), []);
});

test("rule 11: an adopted write is acknowledged only behind the barrier", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A);
  const second = group.grant(A);
  second.talk(A, B);
  second.step(write(1));
  t.deepEqual(second.acknowledged(), []);
  second.askMasters();
  second.step(write(1));
  t.deepEqual(second.said.at(-1), {
    kind: "appended",
    request: 1,
    position: { epoch: epoch(1), seq: 1 },
    offset: 0,
  });
});

test("rule 12: STALE ends the epoch for ever, and what was open is unknown", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.hear(B, { kind: "stale", epoch: epoch(1), promised: epoch(2) });
  t.deepEqual(first.said, [{ kind: "ended", why: "laterEpoch", unknown: [1] }]);
  first.talk(A, B, C);
  first.step(write(2));
  t.like(first.said.at(-1), { kind: "refused", request: 2, why: "notActive" });
  t.deepEqual(first.acknowledged(), []);
});

test("rule 12: a server that restarts and hears its grant again has no epoch", (t) => {
  const group = new Group();
  group.lead().activate(A);
  const again = group.lead();
  again.talk(A);
  t.deepEqual(again.said, [{ kind: "ended", why: "begunBefore", unknown: [] }]);
});

test("rule 13: a new member gets the whole history and counts when it has it", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (const number of [1, 2]) first.step(write(number));
  first.talk(A, B);
  const next = group.grant(D, [A, B, D]).activate(A, C, D);
  t.is(next.state.kind, "leading");
  t.deepEqual(group.records(D), ["1:1", "1:2", "2:barrier"]);
  next.step(write(3));
  next.talk(D, A);
  t.deepEqual(next.acknowledged(), [3]);
});

test("rule 14: with two members lost nothing is acknowledged", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A);
  for (let round = 0; round < 10; round++) {
    first.step({ kind: "resend" });
    first.talk(A);
  }
  t.deepEqual(first.acknowledged(), []);
});

test("rule 15: a read is given out only if the lease is held after the data was read", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A, B);
  const view = beginRead(first.state)!;
  t.is(view.lengthBytes, 10);
  const at = (ms: number) => ({ monotonicMs: monotonicMs(ms), wallMs: wallMs(ms) });
  const terms = { lengthMs: 1_000, drift: 0, slackMs: 100 };
  const lease = { terms, held: { epoch: epoch(1), askedAt: at(0) } };
  t.true(mayEndRead(view, first.state, lease, at(899)));
  t.false(mayEndRead(view, first.state, lease, at(900)));
  t.false(mayEndRead(view, first.state, { terms, held: undefined }, at(1)));
  first.hear(B, { kind: "stale", epoch: epoch(1), promised: epoch(2) });
  t.false(mayEndRead(view, first.state, lease, at(899)));
});

test("rule 16: a secondary serves what was named, or a session, and never more than committed", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (const number of [1, 2]) {
    first.step(write(number));
    first.talk(A, B);
  }
  const replica = group.replica(B);
  t.is(replica.commitSeq, 1);
  t.true(mayServeNamed(replica, { epoch: epoch(1), seq: 1 }));
  t.false(mayServeNamed(replica, { epoch: epoch(1), seq: 2 }));
  t.false(mayServeNamed(replica, { epoch: epoch(2), seq: 1 }));
  t.deepEqual(serveSession(replica, { epoch: 0, seq: 0 }), { epoch: epoch(1), seq: 1 });
  t.is(serveSession(replica, { epoch: epoch(1), seq: 2 }), undefined);
});

test("rule 17: a seal is committed first, then recorded by the masters", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A, B);
  first.step({ kind: "seal" });
  t.is(first.said.length, 1);
  first.talk(A, B);
  const content = { lengthBytes: 10, crc32c: 1 };
  t.deepEqual(first.said.at(-1), { kind: "sealAtMasters", epoch: epoch(1), content });
  first.step(write(2));
  t.like(first.said.at(-1), { kind: "refused", why: "sealed" });
  first.step({ kind: "sealRecorded", isDone: true });
  t.deepEqual(first.said.at(-1), { kind: "sealed", content });
  first.step(write(1));
  t.like(first.said.at(-1), { kind: "appended", request: 1, offset: 0 });
});

test("rule 17: a primary finishes the seal that it finds", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.step({ kind: "seal" });
  first.talk(A);
  const second = group.grant(B).activate(A, B);
  const content = { lengthBytes: 10, crc32c: 1 };
  t.deepEqual(second.said.at(-1), { kind: "sealAtMasters", epoch: epoch(2), content });
});

test("rule 18: a write that is sent again is answered as it was, under every primary", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (const number of [1, 2]) first.step(write(number));
  first.talk(A, B);
  first.step(write(2));
  const expected = { request: 2, position: { epoch: epoch(1), seq: 2 }, offset: 10 };
  t.deepEqual(first.said.at(-1), { kind: "appended", ...expected });
  const second = group.grant(C).activate(B, C);
  second.step(write(2));
  t.deepEqual(second.said.at(-1), { kind: "appended", ...expected });
  t.deepEqual(group.records(C), ["1:1", "1:2", "2:barrier"]);
});

test("rule 18: a number that comes with other bytes is refused", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.step({ ...write(1), crc32c: 77 });
  t.like(first.said.at(-1), { kind: "refused", why: "otherContent" });
});

test("rule 19: the state is what the writes say: a restart stands where the answers did", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (const number of [1, 2]) first.step(write(number));
  let disk = emptyReplica();
  let memory = emptyReplica();
  for (const { message } of first.sent.filter(({ to }) => to === B)) {
    const step = stepReplica(memory, message);
    memory = step.state;
    if (step.write.change !== undefined) disk = changeReplica(disk, step.write.change);
  }
  t.is(disk.promised, memory.promised);
  t.is(disk.commitSeq, memory.commitSeq);
  t.deepEqual(disk.history.last, memory.history.last);
});

test("rule 20: a damaged copy testifies again with a record of a later epoch", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  const toB = first.sent.filter(({ to }) => to === B);
  first.talk(A, B);
  group.replicas.set(B, changeReplica(group.replica(B), { kind: "damage", intactTo: 0 }));
  for (const { message } of toB) group.deliver(B, message);
  t.is(group.deliver(B, { kind: "fence", epoch: epoch(2) }).kind, "unknown");
  group.grant(A);
  group.grant(A).activate(A, C, B);
  t.is(group.deliver(B, { kind: "fence", epoch: epoch(4) }).kind, "fenced");
});

test("rule 21: every record's clock is after the one before, whoever wrote it", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A, B);
  group.grant(B).activate(A, B);
  const { clock } = group.replica(B).history;
  t.deepEqual(
    [...clock],
    [
      [A, 1],
      [B, 1],
    ],
  );
  const by = { epoch: epoch(1), author: serverId(9) };
  const stranger = { ...recordBehind({ seq: 2, clock: new Map() }, by, { kind: "barrier" }) };
  t.throws(() => group.replica(B).history.append({ ...stranger, epoch: epoch(2) }), {
    message: /clocks grow/,
  });
});

test("rule 22: a removed copy leaves its promise, and an old order removes nothing", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  first.step(write(1));
  first.talk(A, B);
  group.deliver(B, { kind: "fence", epoch: epoch(3) });
  t.is(group.deliver(B, { kind: "remove", epoch: epoch(2) }).kind, "stale");
  t.deepEqual(group.records(B), ["1:1"]);
  t.is(group.deliver(B, { kind: "remove", epoch: epoch(4) }).kind, "removed");
  t.deepEqual(group.records(B), []);
  t.is(group.deliver(B, { kind: "fence", epoch: epoch(3) }).kind, "stale");
});

test("limits: a chunk takes 64 MiB, and a primary 1,024 requests that wait", (t) => {
  const group = new Group();
  const first = group.lead().activate(A);
  for (let number = 1; number <= 128; number++) {
    first.step(write(number, 512 * 1_024));
    first.talk(A, B);
  }
  first.step(write(129));
  t.like(first.said.at(-1), { kind: "refused", why: "full" });
  const other = new Group();
  const busy = other.lead().activate(A);
  for (let number = 1; number <= 1_025; number++) busy.step(write(number));
  t.like(busy.said.at(-1), { kind: "refused", request: 1_025, why: "busy" });
  t.throws(() => busy.step({ ...write(2_000), lengthBytes: 0 }), { message: /lawful length/ });
});

test("a history is shared by those who know less of it, and copied when it branches", (t) => {
  const record = (history: History, author = A) => {
    const content = {
      kind: "data",
      write: { client: sessionId(author), writeSeq: history.lastSeq + 1 },
      lengthBytes: 4,
      crc32c: 5,
    } as const;
    const previous = { seq: history.lastSeq, clock: history.clock };
    return recordBehind(previous, { epoch: epoch(1), author }, content);
  };
  const one = History.empty().append(record(History.empty()));
  const two = one.append(record(one));
  const other = one.append(record(one, B));
  t.is(two.lastSeq, 2);
  t.is(two.find({ client: sessionId(A), writeSeq: 2 }), 2);
  t.is(other.find({ client: sessionId(A), writeSeq: 2 }), undefined);
  t.is(other.find({ client: sessionId(B), writeSeq: 2 }), 2);
  t.is(two.upTo(1).lengthBytes, 4);
  t.is(two.upTo(1).find({ client: sessionId(A), writeSeq: 2 }), undefined);
  t.throws(() => two.append(record(one)), { message: /no gaps/ });
});
