import { type MonotonicMs, monotonicMs } from "@lumeofs/base";
import test from "ava";
import { systemPorts } from "../ports.js";
import { KEPT_MS, OPEN_FILES_MAX, OpenChunks } from "./open-chunks.js";

/** Files and a clock in the hands of the test. */
function setup() {
  const time = { now: 0, wake: (): void => undefined };
  const clock = { ...systemPorts().clock, monotonicMs: (): MonotonicMs => monotonicMs(time.now) };
  const timers = {
    after: (_ms: number, wake: () => void) => {
      time.wake = wake;
      return { cancel: () => undefined };
    },
    every: () => ({ cancel: () => undefined }),
  };
  const closed: string[] = [];
  const opened: string[] = [];
  const opener = (name: string) => async () => {
    opened.push(name);
    const close = async (): Promise<void> => void closed.push(name);
    return { file: { readAt: async () => 0, close }, crcs: new Uint8Array() };
  };
  const files = new OpenChunks(clock, timers);
  const use = (name: string) => files.take(name, opener(name));
  return { files, use, time, closed, opened };
}

/** What promises had waiting has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("a file serves many readers, and is opened anew when it has served its time", async (t) => {
  const { use, time, opened, closed } = setup();
  const [one, other] = [use("a"), use("a")];
  t.deepEqual(opened, ["a"]);
  one.release();
  time.now = KEPT_MS;
  const third = use("a");
  t.deepEqual(opened, ["a", "a"]);
  await settled();
  t.deepEqual(closed, []); // somebody still reads the first
  other.release();
  await settled();
  t.deepEqual(closed, ["a"]);
  third.release();
});

test("what nobody reads is closed in time, and no alarm is left when nothing is open", async (t) => {
  const { use, time, closed } = setup();
  use("a").release();
  time.now = KEPT_MS / 2;
  use("b").release();
  time.now = KEPT_MS;
  time.wake();
  await settled();
  t.deepEqual(closed, ["a"]);
  time.now = 2 * KEPT_MS;
  time.wake();
  await settled();
  t.deepEqual(closed, ["a", "b"]);
});

test("the file that was opened first makes room for one too many; closing closes all", async (t) => {
  const { use, closed, files } = setup();
  for (let i = 0; i <= OPEN_FILES_MAX; i++) use(`${i}`).release();
  await settled();
  t.deepEqual(closed, ["0"]);
  await files.close();
  await settled();
  t.is(closed.length, OPEN_FILES_MAX + 1);
});
