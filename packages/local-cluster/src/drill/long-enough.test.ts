import test from "ava";
import { longEnough } from "./long-enough.js";

test("a drill whose time is up goes on until there were faults enough", async (t) => {
  let asked = 0;
  await longEnough({ seconds: 0, faultsMin: 3 }, () => asked++, new AbortController().signal);
  t.is(asked, 4, "asked with none, one, two and three of them");
});

test("a drill that wants no faults ends with its time", async (t) => {
  await longEnough({ seconds: 0 }, () => 0, new AbortController().signal);
  t.pass();
});

test("a drill that is ended waits for no faults", async (t) => {
  const end = new AbortController();
  const waiting = longEnough({ seconds: 0, faultsMin: 1 }, () => 0, end.signal);
  end.abort();
  await waiting;
  t.true(end.signal.aborted);
});
