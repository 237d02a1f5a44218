import { epoch, InvariantViolation, type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { compare, EMPTY_CLOCK, increment, merge, type VectorClock } from "./vector-clock.js";
import { assertOneHistory, type ChunkVersion, firstVersion, nextVersion } from "./version.js";

const authors = fc.array(fc.integer({ min: 1, max: 4 }).map(serverId), { maxLength: 12 });
const clocks = authors.map((list) => list.reduce(increment, EMPTY_CLOCK));

test("VectorClock.compare() is the order of set inclusion", (t) => {
  fc.assert(
    fc.property(clocks, clocks, (a, b) => {
      const covers = (x: VectorClock, y: VectorClock) =>
        [...y].every(([author, count]) => count <= (x.get(author) ?? 0));
      const expected = covers(a, b)
        ? covers(b, a)
          ? "EQUAL"
          : "AFTER"
        : covers(b, a)
          ? "BEFORE"
          : "CONCURRENT";
      t.is(compare(a, b), expected);
    }),
  );
});

test("VectorClock.merge() is the smallest clock above both, and increment() is above its start", (t) => {
  fc.assert(
    fc.property(clocks, clocks, fc.integer({ min: 1, max: 4 }).map(serverId), (a, b, author) => {
      const both = merge(a, b);
      t.true(["EQUAL", "AFTER"].includes(compare(both, a)));
      t.true(["EQUAL", "AFTER"].includes(compare(both, b)));
      t.is(compare(merge(b, a), both), "EQUAL");
      t.is(compare(increment(a, author), a), "AFTER");
    }),
  );
});

test("rule 21: in a history of granted epochs the order by (epoch, seq) is that of the clocks", (t) => {
  const steps = fc.array(
    fc.record({
      author: fc.integer({ min: 1, max: 3 }).map(serverId),
      rise: fc.integer({ min: 0, max: 2 }),
    }),
    { minLength: 1, maxLength: 10 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const history: ChunkVersion[] = [];
      for (const { author, rise } of list) {
        const last = history.at(-1);
        history.push(
          last === undefined
            ? firstVersion(epoch(1), author)
            : nextVersion(last, epoch(last.epoch + rise), author),
        );
      }
      for (const a of history) for (const b of history) assertOneHistory(a, b);
    }),
  );
  t.pass();
});

test("rule 21: two primaries that wrote at once are an invariant violation", (t) => {
  const [one, two] = [1, 2].map(serverId) as [ServerId, ServerId];
  const base = firstVersion(epoch(1), one);
  const left = nextVersion(base, epoch(2), one);
  const right = nextVersion(base, epoch(3), two);
  t.throws(() => assertOneHistory(left, right), { instanceOf: InvariantViolation });
  t.throws(() => assertOneHistory(firstVersion(epoch(1), one), firstVersion(epoch(1), two)), {
    instanceOf: InvariantViolation,
  });
});
