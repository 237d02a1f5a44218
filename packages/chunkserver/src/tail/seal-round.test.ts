import { monotonicMs, type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import { SealRound } from "./seal-round.js";

const [A, B, C] = [serverId(1), serverId(2), serverId(3)];

test("members that have not said that they have the chunk are named at the end", async (t) => {
  let nowMs = 0;
  const answers = new Map<ServerId, boolean>([
    [A, true],
    [B, true],
  ]);
  let recorded = 0;
  const ended: (readonly ServerId[])[] = [];
  const round = new SealRound({
    ...{ members: [A, B, C], own: A, now: () => monotonicMs(nowMs), hasSeal: () => true },
    isSilent: (server) => !answers.has(server),
    tell: (server, kind) => {
      if (!answers.has(server)) return new Promise(() => undefined);
      return Promise.resolve({
        kind: kind === "settle" ? "settled" : "finished",
        epoch: 1 as never,
      });
    },
    stale: () => undefined,
    record: async () => {
      recorded++;
      round.finish();
    },
    finished: (unfinished) => ended.push(unfinished),
    failed: () => undefined,
  });
  for (; ended.length === 0 && nowMs < 60_000; nowMs += 100) {
    round.tick(monotonicMs(nowMs));
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }
  t.is(recorded, 1);
  t.deepEqual(ended, [[C]]);
});
