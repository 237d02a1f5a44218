// A group under random faults: messages lost, repeated and reordered, writes late, crashes, cut
// links, compaction. Safety is checked all the time (raft-harness.ts, invariants.ts); at the end
// the faults stop and the group must work again with everything it had acknowledged.

import { integerBetween, type NodeId, SeededRandom } from "@lumeofs/base";
import test from "ava";
import { Group } from "./raft-harness.js";

const SEEDS = 150;
const STEPS = 8_000;
/** Messages that move in one step of the storm. */
const EXCHANGES = 4;

for (const count of [1, 2, 3, 4, 5]) {
  test(`A group of ${count} keeps what it committed and recovers from random faults`, (t) => {
    for (let seed = 1; seed <= SEEDS / count; seed++) {
      try {
        storm(count, seed);
      } catch (cause) {
        throw new Error(`seed ${seed}, ${count} members: ${String(cause)}`, { cause });
      }
    }
    t.pass();
  });
}

function storm(count: number, seed: number): void {
  const random = new SeededRandom(seed, "storm");
  const learners = count === 5 && random.fraction() < 0.5 ? 1 : 0;
  const small = { inFlightAppendsMax: 2, appendBytesMax: 200, applyBytesMax: 300 };
  const options = random.fraction() < 0.5 ? small : {};
  const group = new Group(count, { ...options, learners }, seed);
  for (let i = 0; i < STEPS; i++) disturb(group, random, i);
  const committed = new Map(group.history);
  recover(group);
  for (const [index, entry] of committed) {
    if (group.history.get(index) !== entry) throw new Error(`entry ${index} was lost`);
  }
}

function disturb(group: Group, random: SeededRandom, i: number): void {
  const id = pick(random, group.ids);
  const dice = random.fraction();
  if (dice < 0.1) group.tick(id, 2);
  else if (dice < 0.65) for (let n = 0; n < EXCHANGES; n++) exchange(group, random);
  else if (dice < 0.88) group.persist(id);
  else if (dice < 0.94) proposeOrRead(group, id, i);
  else if (dice < 0.96) group.transferSnapshots(id);
  else if (dice < 0.965) group.step(id, { kind: "unreachable", peer: pick(random, group.ids) });
  else if (dice < 0.97) group.step(id, { kind: "gone", peer: pick(random, group.ids) });
  else if (dice < 0.98) compact(group, random, id);
  else if (dice < 0.982) group.cut(id, pick(random, group.ids));
  else if (dice < 0.983) group.isolate(id);
  else if (dice < 0.987) group.heal();
  else if (dice < 0.989) group.crash(id);
  else if (dice < 0.996) group.restart(id);
  else for (const down of group.ids) if (!group.machine(down).isUp) group.restart(down);
}

function exchange(group: Group, random: SeededRandom): void {
  const { network } = group;
  if (network.length === 0) return;
  // Mostly in order, sometimes any: both kinds of network exist.
  const place = random.fraction() < 0.7 ? 0 : integerBetween(random, 0, network.length - 1);
  const packet = network[place];
  if (packet === undefined) return;
  const dice = random.fraction();
  if (0.1 < dice) group.network = network.filter((_, i) => i !== place);
  if (0.2 < dice || dice < 0.1) group.deliver(packet);
}

function proposeOrRead(group: Group, id: NodeId, i: number): void {
  group.propose(id, `a${i}`, `b${i}`);
  group.step(id, { kind: "read", id: i });
}

function compact(group: Group, random: SeededRandom, id: NodeId): void {
  const { isUp, log, applied, writes } = group.machine(id);
  const isInstalling = writes.some((write) => write.kind === "installSnapshot");
  if (!isUp || isInstalling || applied <= log.snapshot.index) return;
  group.compact(id, log.first <= applied && random.fraction() < 0.5 ? applied : log.base.index);
}

function recover(group: Group): void {
  group.heal();
  for (const id of group.ids) if (!group.machine(id).isUp) group.restart(id);
  group.run(8 * group.options.electionTicks);
  const [leader, ...others] = group.leaders;
  if (leader === undefined || 0 < others.length) throw new Error("no single leader at the end");
  group.propose(leader, "the end");
  group.step(leader, { kind: "read", id: -1 });
  group.run(4 * group.options.electionTicks);
  for (const id of group.ids) {
    if (group.texts(id).at(-1) !== "the end") throw new Error(`${id} did not catch up`);
  }
  if (!group.answers(leader, "readReady").some((read) => read.id === -1)) {
    throw new Error("a read was not answered");
  }
}

function pick(random: SeededRandom, ids: readonly NodeId[]): NodeId {
  const id = ids[integerBetween(random, 0, ids.length - 1)];
  if (id === undefined) throw new Error("nobody to pick");
  return id;
}
