import { chunkHandle } from "@lumeofs/base";
import test from "ava";
import { DAMAGED_PER_HEARTBEAT_MAX, DamageReport } from "./report.js";

test("DamageReport.take() gives each damaged replica once", (t) => {
  const report = new DamageReport();
  const [first, second] = [chunkHandle(64), chunkHandle(65)];
  t.deepEqual(report.take([first]), [first]);
  t.deepEqual(report.take([first]), []);
  t.deepEqual(report.take([first, second]), [second]);
});

test("DamageReport.take() gives a replica again that was healed and is damaged anew", (t) => {
  const report = new DamageReport();
  const handle = chunkHandle(64);
  report.take([handle]);
  t.deepEqual(report.take([]), []);
  t.deepEqual(report.take([handle]), [handle]);
});

test("DamageReport.take() gives a replica again that was healed and damaged between two heartbeats", (t) => {
  const report = new DamageReport();
  const [first, second] = [chunkHandle(64), chunkHandle(65)];
  report.take([first, second]);
  report.found(first);
  t.deepEqual(report.take([first, second]), [first]);
});

test("DamageReport.take() leaves what is too much for one heartbeat to the next", (t) => {
  const report = new DamageReport();
  const all = Array.from({ length: DAMAGED_PER_HEARTBEAT_MAX + 5 }, (_, n) => chunkHandle(n + 1));
  t.is(report.take(all).length, DAMAGED_PER_HEARTBEAT_MAX);
  t.is(report.take(all).length, 5);
});
