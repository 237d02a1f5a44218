import { LumeoError, type Timers } from "@lumeofs/base";
import test from "ava";
import { allTogether } from "./joint-failure.js";

/** Time passes when the test says so. */
function setup() {
  const wakes: (() => void)[] = [];
  const timers: Timers = {
    after: (_ms, wake) => {
      wakes.push(wake);
      return { cancel: () => undefined };
    },
    every: () => ({ cancel: () => undefined }),
  };
  const controller = new AbortController();
  const limits = { timeoutMs: 1_000, signal: controller.signal };
  const pass = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    for (const wake of wakes.splice(0)) wake();
  };
  return { work: { timers, limits }, pass, controller };
}

function lost(server: number): LumeoError {
  return new LumeoError("CONNECTION_LOST", `server ${server}`, { servers: [server] });
}

test("what all actions give", async (t) => {
  const { work } = setup();
  t.deepEqual(await allTogether([Promise.resolve(1), Promise.resolve(2)], work), [1, 2]);
});

test("the first failure names all who fail soon after it, and those who failed beside", async (t) => {
  const { work, pass } = setup();
  const second = new Promise<never>((_, reject) => setImmediate(() => reject(lost(2))));
  const never = new Promise<never>(() => undefined);
  const others = () => [undefined, lost(3)];
  const all = allTogether([Promise.reject(lost(1)), second, never], { ...work, others });
  const failed = t.throwsAsync(all, { instanceOf: LumeoError, message: "server 1" });
  await pass();
  t.deepEqual((await failed)?.details.servers, [1, 2, 3]);
});

test("a caller who gives up is not kept waiting, nor is a token that was refused", async (t) => {
  const { work, controller } = setup();
  const refused = new LumeoError("TOKEN_EXPIRED", "its token has expired");
  await t.throwsAsync(allTogether([Promise.reject(refused)], work), { is: refused });
  controller.abort();
  const mine = lost(1);
  await t.throwsAsync(allTogether([Promise.reject(mine)], work), { is: mine });
});
