import { SeededRandom } from "@lumeofs/base";
import test from "ava";
import { distanceOf, inOrderOfHope, type Prospect } from "./replica-order.js";

const HERE = { labels: { zone: "a", rack: "r1" }, hosts: new Set(["10.0.0.1", "::1"]) };

function distance(address: string, labels: Readonly<Record<string, string>>): number {
  return distanceOf(HERE, { address, labels });
}

function prospect(change: Partial<Prospect> = {}): Prospect {
  return { doubt: 0, distance: 1, expectedMs: 1, isPrimary: false, ...change };
}

/** How often each replica comes first in 1,000 choices. */
function firsts(prospects: readonly Prospect[]): readonly number[] {
  const random = new SeededRandom(1);
  const counts = prospects.map(() => 0);
  for (let i = 0; i < 1_000; i++) {
    const [first] = inOrderOfHope(prospects, (one) => one, random);
    counts[prospects.indexOf(first as Prospect)] =
      (counts[prospects.indexOf(first as Prospect)] as number) + 1;
  }
  return counts;
}

test("This machine is the nearest, then the same rack, the same zone, and anything else", (t) => {
  t.is(distance("10.0.0.1:7410", {}), 0);
  t.is(distance("[::1]:7410", {}), 0);
  t.is(distance("10.0.0.2:7410", { zone: "a", rack: "r1" }), 1);
  t.is(distance("10.0.0.2:7410", { zone: "a", rack: "r2" }), 2);
  t.is(distance("10.0.0.2:7410", { zone: "b", rack: "r1" }), 3);
  t.is(distance("10.0.0.2:7410", {}), 3);
  t.is(distanceOf({ ...HERE, labels: {} }, { address: "h:1", labels: { zone: "z" } }), 1);
});

test("A doubtful replica comes behind all others, however near and fast it is (O1)", (t) => {
  const doubtful = prospect({ doubt: 2, distance: 0, expectedMs: 0 });
  const others = [prospect({ distance: 3 }), prospect({ expectedMs: 900 })];
  t.is(inOrderOfHope([doubtful, ...others], (one) => one, new SeededRandom(1)).at(-1), doubtful);
});

test("The nearest comes first, however slow it is (O2)", (t) => {
  const near = prospect({ distance: 0, expectedMs: 50 });
  t.deepEqual(firsts([prospect(), near, prospect()]), [0, 1_000, 0]);
});

test("Of two equals the faster comes first; of more, the slowest never, and no one always (O4)", (t) => {
  t.deepEqual(firsts([prospect({ expectedMs: 2 }), prospect()]), [0, 1_000]);
  const [slowest, middle, fastest] = firsts([
    prospect({ expectedMs: 90 }),
    prospect({ expectedMs: 2 }),
    prospect(),
  ]) as [number, number, number];
  t.is(slowest, 0);
  t.true(250 < middle && middle < 420, `${middle}`);
  t.is(middle + fastest, 1_000);
});

test("Among equals the primary comes first, unless it is much slower (O3)", (t) => {
  const others = [prospect(), prospect()];
  t.deepEqual(firsts([prospect({ isPrimary: true, expectedMs: 3 }), ...others]), [1_000, 0, 0]);
  const [slow] = firsts([prospect({ isPrimary: true, expectedMs: 3.1 }), ...others]);
  t.is(slow, 0);
  const near = [prospect({ distance: 0 }), prospect({ isPrimary: true })];
  t.deepEqual(firsts(near), [1_000, 0]);
});

test("Equals of which nothing is known share the work", (t) => {
  for (const count of firsts([prospect(), prospect(), prospect()])) t.true(230 < count, `${count}`);
  for (const count of firsts([prospect(), prospect()])) t.true(400 < count, `${count}`);
});

test("Nobody is lost in the order", (t) => {
  const prospects = [0, 1, 0, 2, 1, 0, 0].map((doubt) => prospect({ doubt, distance: doubt }));
  const order = inOrderOfHope(prospects, (one) => one, new SeededRandom(3));
  t.true(prospects.every((one) => order.includes(one)));
  t.deepEqual(
    order.map(({ doubt }) => doubt),
    [0, 0, 0, 0, 1, 1, 2],
  );
});
