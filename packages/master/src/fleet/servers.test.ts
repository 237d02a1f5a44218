import { type ChunkHandle, chunkHandle, monotonicMs, serverId } from "@lumeofs/base";
import test from "ava";
import { DEFERRED_MAX, Fleet, type ServerLoad, SUSPICIONS_MAX } from "./servers.js";

const LOAD: ServerLoad = {
  chunkCount: 1,
  usedBytes: 2,
  capacityBytes: 10,
  freeBytes: 8,
  isReadOnly: false,
  writesInFlight: 0,
};
const ONE = serverId(1);
const at = monotonicMs;

function fleetHeardAt(ms: number, damaged: readonly ChunkHandle[] = []): Fleet {
  const fleet = new Fleet({ suspectMs: 3000, deadMs: 10_000, steadyMs: 5_000 }, at(0));
  fleet.heartbeat(ONE, { load: LOAD, damaged, isFirst: true }, at(ms));
  return fleet;
}

test("a server is alive while it beats, then suspect, then dead, and alive again", (t) => {
  const fleet = fleetHeardAt(1000);
  t.is(fleet.liveness(ONE, at(3999)), "alive");
  t.is(fleet.liveness(ONE, at(4000)), "suspect");
  t.is(fleet.liveness(ONE, at(11_000)), "dead");
  fleet.heartbeat(ONE, { load: LOAD, damaged: [], isFirst: false }, at(12_000));
  t.is(fleet.liveness(ONE, at(12_001)), "alive");
});

test("a server whose stream ended is suspect at once", (t) => {
  const fleet = fleetHeardAt(1000);
  fleet.disconnected(ONE);
  t.is(fleet.liveness(ONE, at(1001)), "suspect");
});

test("a new leader knows nobody as alive, and after silence as dead", (t) => {
  const fleet = fleetHeardAt(1000);
  fleet.reset(at(2000));
  t.is(fleet.liveness(ONE, at(2001)), "suspect");
  t.is(fleet.liveness(ONE, at(12_000)), "dead");
  t.is(fleet.loadOf(ONE), undefined);
});

test("the first heartbeat of a stream replaces the damaged copies, later ones add to them", (t) => {
  const [a, b] = [chunkHandle(100), chunkHandle(101)];
  const fleet = fleetHeardAt(0, [a]);
  fleet.heartbeat(ONE, { load: LOAD, damaged: [b], isFirst: false }, at(1));
  t.deepEqual([fleet.isDamaged(ONE, a), fleet.isDamaged(ONE, b)], [true, true]);
  fleet.heartbeat(ONE, { load: LOAD, damaged: [b], isFirst: true }, at(2));
  t.deepEqual([fleet.isDamaged(ONE, a), fleet.isDamaged(ONE, b)], [false, true]);
  t.is(fleet.damagedCount(ONE), 1);
});

test("a complaint is handed out once, and not at all for a copy known to be damaged", (t) => {
  const fleet = fleetHeardAt(0, [chunkHandle(100)]);
  const complaint = { server: ONE, handle: chunkHandle(200) };
  fleet.suspect(complaint);
  fleet.suspect(complaint);
  fleet.suspect({ server: ONE, handle: chunkHandle(100) });
  t.deepEqual(fleet.takeSuspicions(10), [complaint]);
  t.deepEqual(fleet.takeSuspicions(10), []);
});

test("complaints are bounded", (t) => {
  const fleet = fleetHeardAt(0);
  for (let i = 1; i < SUSPICIONS_MAX + 10; i++) {
    fleet.suspect({ server: ONE, handle: chunkHandle(i) });
  }
  t.is(fleet.takeSuspicions(2 * SUSPICIONS_MAX).length, SUSPICIONS_MAX);
});

test("a check that did not reach its server is handed to its next heartbeat, once", (t) => {
  const fleet = fleetHeardAt(0);
  const handle = chunkHandle(200);
  fleet.defer({ server: ONE, handle });
  fleet.defer({ server: ONE, handle });
  t.deepEqual(fleet.takeDeferred(ONE), [handle]);
  t.deepEqual(fleet.takeDeferred(ONE), []);
  for (let i = 1; i < 2 * DEFERRED_MAX; i++) fleet.defer({ server: ONE, handle: chunkHandle(i) });
  t.is(fleet.takeDeferred(ONE).length, DEFERRED_MAX);
});

test("a server that comes and goes is lost until it has stayed for a while", (t) => {
  const fleet = fleetHeardAt(0);
  const beat = (ms: number) =>
    fleet.heartbeat(ONE, { load: LOAD, damaged: [], isFirst: false }, at(ms));
  for (let ms = 1_000; ms <= 6_000; ms += 1_000) beat(ms);
  t.is(fleet.lostForMs(ONE, at(6_500)), 0);
  t.is(fleet.lostForMs(ONE, at(20_000)), 14_000);
  beat(21_000);
  t.is(fleet.liveness(ONE, at(21_000)), "alive");
  t.is(fleet.lostForMs(ONE, at(21_000)), 15_000);
  beat(30_000);
  t.is(fleet.lostForMs(ONE, at(30_000)), 24_000, "there was a gap");
  for (let ms = 31_000; ms <= 35_000; ms += 1_000) beat(ms);
  t.is(fleet.lostForMs(ONE, at(35_000)), 0);
  fleet.disconnected(ONE);
  t.is(fleet.lostForMs(ONE, at(35_100)), 100);
});

test("a healed copy is no longer damaged", (t) => {
  const handle = chunkHandle(64);
  const fleet = fleetHeardAt(0, [handle]);
  t.deepEqual(fleet.damagedOf(ONE), [handle]);
  fleet.forgetDamage(ONE, handle);
  t.false(fleet.isDamaged(ONE, handle));
  t.deepEqual(fleet.damagedOf(serverId(2)), []);
});
