import test from "ava";
import { logIndex } from "./entry.js";
import { READS_WAITING_MAX, ReadIndex } from "./read-index.js";

test("ReadIndex lets all reads that wait share one round", (t) => {
  const reads = new ReadIndex();
  reads.add(1);
  reads.add(2);
  t.true(reads.begin(logIndex(7)));
  t.is(reads.round, 1);
  t.deepEqual(reads.confirm(), { ids: [1, 2], index: logIndex(7) });
});

test("ReadIndex keeps reads that come during a round for the next one (I1)", (t) => {
  const reads = new ReadIndex();
  reads.add(1);
  reads.begin(logIndex(7));
  reads.add(2);
  t.false(reads.begin(logIndex(8)));
  t.deepEqual(reads.confirm().ids, [1]);
  t.true(reads.begin(logIndex(9)));
  t.is(reads.round, 2);
  t.deepEqual(reads.confirm(), { ids: [2], index: logIndex(9) });
});

test("ReadIndex begins no round for nobody", (t) => {
  const reads = new ReadIndex();
  t.false(reads.begin(logIndex(7)));
  t.is(reads.round, 0);
});

test("ReadIndex gives back every read exactly once when it is abandoned", (t) => {
  const reads = new ReadIndex();
  reads.add(1);
  reads.begin(logIndex(7));
  reads.add(2);
  t.deepEqual(reads.abandon(), [1, 2]);
  t.deepEqual(reads.abandon(), []);
});

test("ReadIndex refuses more reads than may wait", (t) => {
  const reads = new ReadIndex();
  for (let id = 0; id < READS_WAITING_MAX; id++) reads.add(id);
  t.false(reads.add(READS_WAITING_MAX));
  t.is(reads.waitingCount, READS_WAITING_MAX);
});
