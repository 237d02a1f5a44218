import { setImmediate as nextTurn } from "node:timers/promises";
import { SystemTimers } from "@lumeofs/node";
import test from "ava";
import { NextTurn } from "./next-turn.js";

const timers = new SystemTimers();
const never = (error: unknown): never => {
  throw error;
};

test("work is done once: in the next turn, or when it is wanted before", async (t) => {
  const turn = new NextTurn(timers, never);
  const done: string[] = [];
  turn.put(() => done.push("in its turn"));
  t.deepEqual(done, []);
  await nextTurn();
  t.deepEqual(done, ["in its turn"]);
  turn.put(() => done.push("wanted"));
  turn.hurry();
  turn.hurry();
  await nextTurn();
  t.deepEqual(done, ["in its turn", "wanted"]);
});

test("work that is cancelled is not done, and other work may follow", async (t) => {
  const turn = new NextTurn(timers, never);
  turn.put(() => t.fail());
  t.throws(() => turn.put(() => t.fail()), { name: "InvariantViolation" });
  turn.cancel();
  await nextTurn();
  turn.put(() => t.pass());
  await nextTurn();
});

test("what the work throws in its turn is reported", async (t) => {
  const errors: unknown[] = [];
  const turn = new NextTurn(timers, (error) => errors.push(error));
  const failure = new Error("no");
  turn.put(() => never(failure));
  await nextTurn();
  t.deepEqual(errors, [failure]);
});
