import { chunkHandle, epoch, monotonicMs, type Right } from "@lumeofs/base";
import test from "ava";
import { OPEN_GATE } from "./token-gate.js";
import { FencedGate, WriteFence } from "./write-fence.js";

function cast() {
  const clock = { now: 0, monotonicMs: () => monotonicMs(clock.now) };
  const fence = new WriteFence(clock);
  const gate = new FencedGate(OPEN_GATE, fence);
  const ask = (right: Right) => () =>
    gate.check(undefined, { rights: [right], handle: chunkHandle(1), epoch: epoch(1) });
  return { clock, fence, ask };
}

test("writes are refused from the agreed silence on, counted from when a beat was sent", (t) => {
  const { clock, fence, ask } = cast();
  fence.agreed(800);
  clock.now = 350;
  fence.answered(monotonicMs(100)); // its answer took a quarter of a second
  clock.now = 899;
  t.notThrows(ask("write"));
  clock.now = 900;
  t.throws(ask("write"), { code: "UNAVAILABLE" });
  fence.answered(monotonicMs(850));
  t.notThrows(ask("write"));
});

test("reads, copies and growing chunks go on behind the fence", (t) => {
  const { clock, fence, ask } = cast();
  fence.agreed(800);
  fence.answered(monotonicMs(0));
  clock.now = 10_000;
  for (const right of ["read", "copy", "append", "lead"] as const) t.notThrows(ask(right));
});

test("there is no fence before the masters have agreed on one and answered", (t) => {
  const { clock, fence, ask } = cast();
  clock.now = 10_000;
  t.notThrows(ask("write"));
  fence.agreed(800);
  t.notThrows(ask("write"));
});
