import { SeededRandom } from "@lumeofs/base";
import test from "ava";
import { type LinkSettings, PERFECT_LINK, SimNetwork } from "./network.js";
import { PARTITION_MODES, partition } from "./partition.js";
import { World } from "./world.js";

function network(seed: number, settings: Partial<LinkSettings>) {
  const world = new World(seed);
  const net = new SimNetwork<number>(world, { ...PERFECT_LINK, ...settings });
  const received: number[] = [];
  net.attach("b", (_from, message) => received.push(message));
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) net.send("a", "b", received.length + i);
  };
  return { world, net, received, send };
}

const UP_TO_100 = Array.from({ length: 100 }, (_, i) => i);

test("messages of a link arrive in order unless it reorders", async (t) => {
  const ordered = network(1, { delayMsMean: 5 });
  ordered.send(100);
  await ordered.world.run(() => false);
  t.deepEqual(ordered.received, UP_TO_100);

  const mixed = network(1, { delayMsMean: 5, reorder: true });
  mixed.send(100);
  await mixed.world.run(() => false);
  t.notDeepEqual(mixed.received, UP_TO_100);
  t.deepEqual(
    [...mixed.received].sort((a, b) => a - b),
    UP_TO_100,
  );
});

test("a link loses and doubles about as often as it should", async (t) => {
  const { world, net, received, send } = network(2, { loss: 0.3, duplicate: 0.2 });
  send(2_000);
  await world.run(() => false);
  t.true(0.8 * 2_000 * 0.7 < received.length && received.length < 1.2 * 2_000 * 0.7 * 1.2);
  t.is(net.counts.sent, 2_000);
});

test("a cut is one way and spares what is on its way", async (t) => {
  const { world, net, received, send } = network(3, {});
  const back: number[] = [];
  net.attach("a", (_from, message) => back.push(message));
  send(1);
  net.cut("a", "b");
  send(1);
  net.send("b", "a", 9);
  await world.run(() => false);
  t.deepEqual(received, [0]);
  t.deepEqual(back, [9]);
  net.heal();
  send(1);
  await world.run(() => false);
  t.is(received.length, 2);
});

test("a clog holds back what is on its way and what follows, in order", async (t) => {
  const { world, net, received } = network(4, { delayMsMin: 10 });
  net.send("a", "b", 1);
  await world.sleep(5);
  net.clog("a", "b", 100);
  net.send("a", "b", 2);
  await world.sleep(90);
  t.deepEqual(received, []);
  await world.sleep(20);
  t.deepEqual(received, [1, 2]);
});

test("a broken stream loses a tail of what is on its way, never the middle", async (t) => {
  for (let seed = 0; seed < 20; seed++) {
    const { world, net, received, send } = network(seed, { delayMsMean: 5 });
    send(10);
    net.breakStream("a", "b");
    await world.run(() => false);
    t.deepEqual(received, UP_TO_100.slice(0, received.length));
  }
});

test("every kind of partition cuts what it says", (t) => {
  const names = ["m1", "m2", "m3", "m4", "m5"];
  for (const mode of PARTITION_MODES) {
    for (let seed = 0; seed < 20; seed++) {
      const cut = partition(mode, names, new SeededRandom(seed));
      const keys = new Set(cut.map(([from, to]) => `${from}>${to}`));
      t.is(keys.size, cut.length);
      const isOpen = (from: string, to: string): boolean => !keys.has(`${from}>${to}`);
      const hearsAll = names.filter((name) =>
        names.every((other) => other === name || (isOpen(name, other) && isOpen(other, name))),
      );
      if (mode === "bridge") t.is(hearsAll.length, 1);
      if (mode === "isolate") t.is(cut.length, 8);
      if (mode === "oneWay") t.is(cut.length, 4);
      if (mode === "split") t.is(hearsAll.length, 0);
      if (mode === "ring") t.is(cut.length, 10);
    }
  }
});
