import { chunkHandle, serverId } from "@lumeofs/base";
import test from "ava";
import { Checks, type ScrubReport, STOPPED_MAX } from "./checks.js";

const SCRUB: ScrubReport = {
  roundCount: 1,
  roundBeganAtMs: 0,
  lastRoundBeganAtMs: 5,
  lastRoundEndedAtMs: 9,
  position: 0,
  readCount: 3,
  readBytes: 300,
  foundCount: 0,
  isYielding: false,
  bytesPerSecond: 1_000,
};
const [one, two] = [serverId(1), serverId(2)];
const [a, b] = [chunkHandle(64), chunkHandle(65)];

test("Checks tells once of a chunk with two histories, and the other servers until they know", (t) => {
  const checks = new Checks();
  t.deepEqual(checks.told(one, { scrub: SCRUB, stopped: [a] }), [a]);
  t.deepEqual(checks.told(one, { scrub: SCRUB, stopped: [a] }), []);
  t.deepEqual(checks.stoppedElsewhere(one), []);
  t.deepEqual(checks.stoppedElsewhere(two), [a], "before it has said anything");
  t.deepEqual(checks.told(two, { scrub: SCRUB, stopped: [a, b] }), [b]);
  t.deepEqual(checks.stoppedElsewhere(two), []);
  t.deepEqual(checks.stoppedElsewhere(one), [b]);
  t.deepEqual(checks.stoppedOf(two), [a, b]);
  t.deepEqual(checks.scrubOf(two), SCRUB);
  checks.reset();
  t.is(checks.scrubOf(two), undefined);
  t.deepEqual(checks.stoppedOf(two), []);
});

test("Checks knows since when a copy has been read, from rounds and position", (t) => {
  const checks = new Checks();
  const since = (handle: typeof a) => checks.readSince(one, handle);
  t.is(since(a), 0, "nothing is known of a server that was not heard");
  const between = { ...SCRUB, lastRoundBeganAtMs: 100, lastRoundEndedAtMs: 200 };
  checks.told(one, { scrub: between, stopped: [b] });
  t.is(since(a), 100);
  checks.told(one, { scrub: { ...between, roundBeganAtMs: 300, position: a }, stopped: [b] });
  t.is(since(a), 300);
  t.is(since(b), 100);
  t.true(checks.isStopped(one, b));
  t.false(checks.isStopped(one, a));
  t.false(checks.isStopped(two, b));
});

test("Checks remembers a bounded number of chunks", (t) => {
  const checks = new Checks();
  const many = Array.from({ length: STOPPED_MAX + 5 }, (_, i) => chunkHandle(i + 1));
  checks.told(one, { scrub: SCRUB, stopped: many });
  t.is(checks.stoppedOf(one).length, STOPPED_MAX);
});
