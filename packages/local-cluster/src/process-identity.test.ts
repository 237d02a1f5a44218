import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "ava";
import { identifyProcess, isRunning, signalProcess } from "./process-identity.js";

test("isRunning() knows a process from another that has its pid", (t) => {
  const self = identifyProcess(process.pid);
  t.truthy(self);
  t.true(self !== undefined && isRunning(self));
  t.false(isRunning({ pid: process.pid, startedAt: "long ago" }));
});

test("signalProcess() never reaches a stranger with a recycled pid", async (t) => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const identity = identifyProcess(child.pid ?? 0);
  t.truthy(identity);
  if (identity === undefined) return;
  signalProcess({ ...identity, startedAt: "long ago" }, "SIGKILL");
  t.true(isRunning(identity));
  const ended = once(child, "exit");
  signalProcess(identity, "SIGKILL");
  t.deepEqual(await ended, [null, "SIGKILL"]);
  t.false(isRunning(identity));
});
