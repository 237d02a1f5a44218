import { monotonicMs, wallMs } from "@lumeofs/base";
import test from "ava";
import { ReadSpread, SPREAD_FROM } from "./read-spread.js";

const MASTERS = ["m1:1", "m2:1", "m3:1"];

function spread() {
  const clock = { now: 0, monotonicMs: () => monotonicMs(clock.now), wallMs: () => wallMs(0) };
  const reads = new ReadSpread(MASTERS, clock);
  /** One query that takes so long at whichever master is chosen. */
  const query = (tookMs: (address: string) => number): string => {
    const address = reads.choose("stale", "m1:1");
    const ended = reads.began(address);
    clock.now += tookMs(address);
    ended(true);
    return address;
  };
  return { clock, reads, query };
}

test("A linearizable query goes to the leader, until many are under way there (R1)", (t) => {
  const { reads } = spread();
  const chosen: string[] = [];
  for (let i = 0; i < 3 * SPREAD_FROM; i++) {
    const address = reads.choose("linearizable", "m1:1");
    reads.began(address);
    chosen.push(address);
  }
  const at = (address: string) => chosen.filter((one) => one === address).length;
  t.deepEqual(chosen.slice(0, SPREAD_FROM), Array(SPREAD_FROM).fill("m1:1"));
  for (const address of MASTERS) t.is(at(address), SPREAD_FROM);
  t.is(reads.choose("lease", "m1:1"), "m1:1", "others have no lease");
});

test("A stale query goes to the nearest master, and every one is tried again and again (R2, R4)", (t) => {
  const { clock, query } = spread();
  const tookMs = (address: string) => (address === "m3:1" ? 1 : 20);
  const first = Array.from({ length: 300 }, () => query(tookMs));
  t.deepEqual(first.slice(0, 3).toSorted(), MASTERS);
  t.true(295 <= first.filter((address) => address === "m3:1").length);
  clock.now += 5_000;
  t.deepEqual(Array.from({ length: 3 }, () => query(tookMs)).toSorted(), MASTERS);
});

test("Stale queries at one time share the masters (R2)", (t) => {
  const { reads, query } = spread();
  for (let i = 0; i < 10; i++) query(() => 2);
  const counts = new Map<string, number>();
  for (let i = 0; i < 30; i++) {
    const address = reads.choose("stale", "m1:1");
    reads.began(address);
    counts.set(address, (counts.get(address) ?? 0) + 1);
  }
  t.deepEqual([...counts.values()], [10, 10, 10]);
});

test("A master that failed rests; where all rest, the leader is asked (R3)", (t) => {
  const { clock, reads } = spread();
  const fail = (address: string) => reads.began(address)(false);
  fail("m2:1");
  const chosen = new Set(Array.from({ length: 10 }, () => reads.choose("stale", "m1:1")));
  t.deepEqual([...chosen].toSorted(), ["m1:1", "m3:1"]);
  fail("m1:1");
  fail("m3:1");
  t.is(reads.choose("stale", "m1:1"), "m1:1");
  clock.now += 2_000;
  t.true(MASTERS.includes(reads.choose("stale", "m1:1")));
});
