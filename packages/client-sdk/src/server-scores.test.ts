import { monotonicMs, serverId } from "@lumeofs/base";
import test from "ava";
import { LAGS_MS_MAX, ServerScores } from "./server-scores.js";

const [A, B] = [serverId(1), serverId(2)];

function at(ms: number) {
  return monotonicMs(ms);
}

test("A server that answers slowly is expected to, less and less as time goes by (V1)", (t) => {
  const scores = new ServerScores();
  for (let i = 0; i < 50; i++) scores.answered(A, 100, at(i));
  for (let i = 0; i < 50; i++) scores.answered(B, 1, at(i));
  t.true(95 < scores.expectedMs(A, at(50)));
  t.true(scores.expectedMs(B, at(50)) < 2);
  t.true(scores.expectedMs(A, at(60_000)) < 1);
});

test("What is under way at a server counts against it until it has ended", (t) => {
  const scores = new ServerScores();
  const idle = scores.expectedMs(A, at(0));
  scores.began(A, at(0));
  scores.began(A, at(0));
  t.is(scores.expectedMs(A, at(0)), 1.25 * idle);
  scores.ended(A);
  scores.ended(A);
  scores.ended(A);
  t.is(scores.expectedMs(A, at(0)), idle);
});

test("Lost hedges make a server lag, longer each time, until a piece comes in time (V2)", (t) => {
  const scores = new ServerScores();
  scores.lost(A, 50, at(0));
  t.true(scores.isLagging(A, at(499)));
  t.false(scores.isLagging(A, at(500)));
  scores.lost(A, 50, at(500));
  scores.lost(A, 50, at(501)); // of the same burst
  t.true(scores.isLagging(A, at(1_499)));
  t.false(scores.isLagging(A, at(1_500)));
  let now = 1_500;
  for (let i = 0; i < 20; i++) {
    scores.lost(A, 50, at(now));
    now += LAGS_MS_MAX;
    t.false(scores.isLagging(A, at(now)));
  }
  scores.lost(A, 50, at(now));
  scores.answered(A, 1, at(now + 1));
  t.false(scores.isLagging(A, at(now + 1)));
});
