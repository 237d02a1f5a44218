import { chunkHandle, serverId } from "@lumeofs/base";
import test from "ava";
import { Contradictions, NEWER_MAX } from "./contradictions.js";

const [one, two] = [serverId(1), serverId(2)];
const [a, b] = [chunkHandle(640), chunkHandle(700)];

test("Contradictions is an alarm once for each server, until its inventory says otherwise", (t) => {
  const known = new Contradictions();
  t.false(known.isAny);
  t.true(known.note(one, a));
  t.false(known.note(one, b), "it is known already");
  t.true(known.note(two, a));
  t.deepEqual(known.newerOf(one), [a, b]);
  known.clear(one, { after: 0, to: 650 });
  t.deepEqual(known.newerOf(one), [b], "only what the page speaks of");
  known.clear(one, { after: 650, to: Infinity });
  t.deepEqual(known.newerOf(one), []);
  t.true(known.isAny, "the other server's are still there");
  known.reset();
  t.false(known.isAny);
});

test("Contradictions remembers a bounded number of handles", (t) => {
  const known = new Contradictions();
  for (let i = 1; i <= NEWER_MAX + 5; i++) known.note(one, chunkHandle(i));
  t.is(known.newerOf(one).length, NEWER_MAX);
});
