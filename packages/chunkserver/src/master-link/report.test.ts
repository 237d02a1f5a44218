import { chunkHandle } from "@lumeofs/base";
import test from "ava";
import { DAMAGED_PER_HEARTBEAT_MAX, DamageReport } from "./report.js";

test("DamageReport.take() gives what was known at the start, then only the news", (t) => {
  const report = new DamageReport([chunkHandle(64)]);
  report.add(chunkHandle(65));
  t.deepEqual([...report.take()], [64, 65]);
  t.deepEqual([...report.take()], []);
  report.add(chunkHandle(66));
  t.deepEqual([...report.take()], [66]);
});

test("DamageReport.take() leaves what is too much for one heartbeat to the next", (t) => {
  const all = Array.from({ length: DAMAGED_PER_HEARTBEAT_MAX + 5 }, (_, n) => chunkHandle(n + 1));
  const report = new DamageReport(all);
  t.is(report.take().length, DAMAGED_PER_HEARTBEAT_MAX);
  t.is(report.take().length, 5);
});
