import test from "ava";
import { logIndex } from "../raft/entry.js";
import { compactionPoint } from "./compaction.js";

const LIMITS = {
  compactEntries: 100,
  compactBytes: 10_000,
  tailEntries: 50,
  tailBytes: 5_000,
  logBytesMax: 40_000,
};
const FAR = logIndex(Number.MAX_SAFE_INTEGER);

function log(first: number, last: number, meanBytes: number) {
  const bytes = (last - first + 1) * meanBytes;
  return { first: logIndex(first), last: logIndex(last), bytes };
}

function point(of: ReturnType<typeof log>, durable: number, needed: number = FAR) {
  const wanted = { living: logIndex(needed), bridged: FAR };
  return compactionPoint(of, logIndex(durable), wanted, LIMITS);
}

test("compactionPoint() leaves a short log alone", (t) => {
  t.is(point(log(1, 149, 10), 149), undefined);
  t.is(point(log(1, 0, 0), 0), undefined);
});

test("compactionPoint() keeps the tail of a long log", (t) => {
  t.is<number | undefined, number>(point(log(1, 150, 10), 150), 100);
  t.is<number | undefined, number>(point(log(1_001, 1_150, 10), 1_150), 1_100);
});

test("compactionPoint() keeps a shorter tail of large entries", (t) => {
  t.is<number | undefined, number>(point(log(1, 20, 1_000), 20), 15);
});

test("compactionPoint() never passes what is durable", (t) => {
  t.is<number | undefined, number>(point(log(1, 150, 10), 90), 40);
  t.is(point(log(1, 150, 10), 0), undefined);
});

test("compactionPoint() waits for a living member that is behind, but not for ever", (t) => {
  t.is<number | undefined, number>(point(log(1, 150, 10), 150, 60), 60);
  t.is(point(log(1, 299, 10), 299, 5), undefined);
  t.is<number | undefined, number>(point(log(1, 300, 10), 300, 5), 250);
});

test("compactionPoint() keeps as many bytes for a living member as the budget allows", (t) => {
  t.is<number | undefined, number>(point(log(1, 100, 390), 100, 30), 30);
  t.is<number | undefined, number>(point(log(1, 100, 400), 100, 30), 88);
});

test("compactionPoint() keeps more behind a snapshot that is under way, but not for ever", (t) => {
  const bridged = (of: ReturnType<typeof log>, index: number): number | undefined => {
    const wanted = { living: logIndex(5), bridged: logIndex(index) };
    return compactionPoint(of, of.last, wanted, LIMITS);
  };
  t.is(bridged(log(1, 1_199, 10), 90), undefined);
  t.is(bridged(log(1, 1_199, 10), 800), 800);
  t.is(bridged(log(1, 1_200, 10), 90), 1_150);
  t.is(bridged(log(1, 100, 1_599), 30), 30);
  t.is(bridged(log(1, 100, 1_600), 30), 97);
});

test("compactionPoint() does not write for a handful of entries", (t) => {
  t.is(point(log(1, 160, 10), 160, 10), undefined);
});
