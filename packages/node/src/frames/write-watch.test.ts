import { type LumeoError, serverId } from "@lumeofs/base";
import test from "ava";
import { WriteWatch } from "./write-watch.js";

const first = { server: serverId(1), address: "a:1" };
const second = { server: serverId(2), address: "b:2" };

/** A watch whose looks the test makes, and servers that answer as the test says. */
function watched(alive: Set<string>) {
  const wakes = new Set<() => void>();
  const asked: { readonly address: string; readonly timeoutMs: number }[] = [];
  const timers = {
    after: () => ({ cancel: () => undefined }),
    every: (_: number, wake: () => void) => {
      wakes.add(wake);
      return { cancel: () => void wakes.delete(wake) };
    },
  };
  const watch = new WriteWatch(timers, async (address, timeoutMs) => {
    asked.push({ address, timeoutMs });
    return alive.has(address);
  });
  const look = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      for (const wake of [...wakes]) wake();
      await new Promise(setImmediate); // whatever was asked has answered
    }
  };
  return { watch, look, asked, wakes };
}

test("a write on which nothing moves is given up when a server does not answer", async (t) => {
  const { watch, look, asked } = watched(new Set(["a:1"]));
  const reasons: LumeoError[] = [];
  const end = watch.begin({
    servers: [first, second],
    progress: () => 7,
    giveUp: (reason) => reasons.push(reason),
  });
  await look(3);
  t.is(asked.length, 0);
  await look(1);
  t.deepEqual(
    asked.map(({ address }) => address),
    ["a:1", "b:2"],
  );
  t.is(reasons[0]?.code, "TIMEOUT");
  t.deepEqual(reasons[0]?.details.servers, [2]);
  await look(9);
  t.is(reasons.length, 1);
  end();
});

test("a slow write is waited for as long as its servers answer, and a moving one asks nobody", async (t) => {
  const { watch, look, asked, wakes } = watched(new Set(["a:1"]));
  let moved = 0;
  const giveUp = () => t.fail();
  const endMoving = watch.begin({ servers: [second], progress: () => moved++, giveUp });
  const endIdle = watch.begin({ servers: [second], progress: () => undefined, giveUp });
  await look(20);
  t.is(asked.length, 0);
  const endSlow = watch.begin({ servers: [first], progress: () => 0, giveUp });
  await look(20);
  t.true(3 < asked.length);
  for (const end of [endMoving, endIdle, endSlow]) end();
  await look(1);
  t.is(wakes.size, 0);
});

test("who was given up has longer the next time, until it answers", async (t) => {
  const alive = new Set<string>();
  const { watch, look, asked } = watched(alive);
  const stuck = async (): Promise<number> => {
    const before = asked.length;
    watch.begin({ servers: [first], progress: () => 0, giveUp: () => undefined });
    await look(12);
    return asked.slice(before)[0]?.timeoutMs ?? 0;
  };
  t.is(await stuck(), 1000);
  t.is(await stuck(), 2000);
  t.is(await stuck(), 2000);
  alive.add("a:1");
  t.is(await stuck(), 2000);
  t.is(await stuck(), 1000);
});
