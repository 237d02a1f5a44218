import test from "ava";
import { type Entry, type LogIndex, logIndex, term } from "./entry.js";
import { ENTRY_OVERHEAD_BYTES } from "./log.js";
import { Progress } from "./progress.js";

const WINDOW = { inFlightAppendsMax: 2, inFlightBytesMax: 1_000 };
const FIRST = logIndex(1);

function entries(from: number, count: number, bytes = 1): readonly Entry[] {
  return Array.from({ length: count }, (_, i) => ({
    index: logIndex(from + i),
    term: term(1),
    kind: "command" as const,
    data: new Uint8Array(bytes),
  }));
}

function replicating(match: number): Progress {
  const progress = new Progress(logIndex(match + 1), WINDOW);
  progress.matched(logIndex(match), FIRST);
  return progress;
}

test("Progress sends one append while it probes, until an answer or a heartbeat's", (t) => {
  const progress = new Progress(logIndex(5), WINDOW);
  t.true(progress.canSend);
  progress.sent(entries(5, 1));
  t.false(progress.canSend);
  t.is(progress.next, logIndex(5));
  progress.resume();
  t.true(progress.canSend);
});

test("Progress stops at its window of appends and goes on when one is confirmed", (t) => {
  const progress = replicating(4);
  t.is(progress.kind, "replicate");
  progress.sent(entries(5, 1));
  progress.sent(entries(6, 2));
  t.false(progress.canSend);
  t.is(progress.next, logIndex(8));
  progress.matched(logIndex(5), FIRST);
  t.true(progress.canSend);
  t.is(progress.match, logIndex(5));
});

test("Progress stops at its window of bytes, but lets one large append pass", (t) => {
  const progress = replicating(4);
  progress.sent(entries(5, 1, 5_000));
  t.false(progress.canSend);
  t.is(progress.status("m2" as never).inFlightBytes, 5_000 + ENTRY_OVERHEAD_BYTES);
  progress.matched(logIndex(5), FIRST);
  t.is(progress.roomBytes, WINDOW.inFlightBytesMax);
});

test("Progress goes back to probing where the follower may agree when it is refused", (t) => {
  const progress = replicating(4);
  progress.sent(entries(5, 4));
  t.true(progress.conflicted(logIndex(8), logIndex(6)));
  t.is(progress.kind, "probe");
  t.is(progress.next, logIndex(7));
  t.is(progress.status("m2" as never).inFlightAppends, 0);
});

test("Progress ignores a refusal that is not about the present probe", (t) => {
  const progress = new Progress(logIndex(9), WINDOW);
  t.false(progress.conflicted(logIndex(5), logIndex(3)));
  t.is(progress.next, logIndex(9));
  t.true(progress.conflicted(logIndex(8), logIndex(3)));
  t.is(progress.next, logIndex(4));
});

test("Progress always probes further back, whatever the hint says", (t) => {
  const progress = new Progress(logIndex(9), WINDOW);
  progress.conflicted(logIndex(8), logIndex(8));
  t.is(progress.next, logIndex(8));
});

test("Progress believes a follower that comes back with less than it had confirmed", (t) => {
  const progress = replicating(6);
  progress.conflicted(logIndex(6), logIndex(0));
  t.is(progress.match, logIndex(6), "an answer that was overtaken proves nothing");
  progress.sent([]);
  t.true(progress.conflicted(logIndex(6), logIndex(0)));
  t.is(progress.match, logIndex(0));
  t.is(progress.next, logIndex(1));
});

test("Progress pauses for a snapshot and goes on behind it", (t) => {
  const progress = replicating(2);
  progress.awaitSnapshot(logIndex(50));
  t.false(progress.canSend);
  progress.resume();
  t.false(progress.canSend);
  progress.snapshotSent(true);
  t.is(progress.kind, "probe");
  t.is(progress.next, logIndex(51));
  t.false(progress.canSend, "until the next heartbeat is answered");
});

test("Progress tries again from what is known when a snapshot was not delivered", (t) => {
  const progress = replicating(2);
  progress.awaitSnapshot(logIndex(50));
  progress.snapshotSent(false);
  t.is(progress.next, logIndex(3));
});

test("Progress leaves the snapshot state when the follower has what the log continues", (t) => {
  const progress = replicating(2);
  progress.awaitSnapshot(logIndex(50));
  progress.matched(logIndex(30), logIndex(40));
  t.is(progress.kind, "snapshot");
  progress.matched(logIndex(45), logIndex(40));
  t.is(progress.kind, "replicate");
  t.is(progress.next, logIndex(46));
});

test("Progress keeps match below next, whatever answers come in whatever order", (t) => {
  const progress = replicating(3);
  const answers: ((index: LogIndex) => void)[] = [
    (index) => progress.matched(index, FIRST),
    (index) => progress.conflicted(index, logIndex(Math.max(0, index - 2))),
    () => progress.unreachable(),
    (index) => progress.awaitSnapshot(index),
    () => progress.snapshotSent(true),
  ];
  for (let i = 0; i < 500; i++) {
    answers[(i * 7 + (i >> 2)) % answers.length]?.(logIndex((i * 13) % 40));
    t.true(progress.match < progress.next);
  }
});
