import test from "ava";
import type { Content } from "./content.js";
import { Expectations } from "./expectations.js";
import type { Effect, JournalLine, Operation, OperationEnd } from "./journal.js";

const [A, B, C]: readonly Content[] = [1, 2, 3].map((seed) => ({ seed, size: 10 * seed }));

function change(...effects: readonly (readonly [string, Content | undefined])[]): Operation {
  return { kind: "change", effects: effects.map(([path, content]): Effect => ({ path, content })) };
}

/** Operations one after the other, each over before the next one. */
function inTurn(...deeds: readonly (readonly [Operation, OperationEnd])[]): Expectations {
  return new Expectations(
    deeds.flatMap(([op, end], n): readonly JournalLine[] => [
      { n, op },
      { n, end },
    ]),
  );
}

test("An acknowledged change leaves only its result, whatever was doubtful before", (t) => {
  const expected = inTurn(
    [change(["/f", A]), "ok"],
    [change(["/f", B]), "unknown"],
    [change(["/f", C]), "ok"],
  );
  t.deepEqual(expected.possible("/f"), [C]);
});

test("A change that nobody knows the outcome of leaves both, and one that was refused none", (t) => {
  const expected = inTurn(
    [change(["/f", A]), "ok"],
    [change(["/f", undefined]), "unknown"],
    [change(["/f", B]), "refused"],
  );
  t.deepEqual(expected.possible("/f"), [A, undefined]);
});

test("Nothing is expected of a path where nothing was acknowledged", (t) => {
  t.deepEqual(inTurn([change(["/f", A]), "unknown"]).possible("/f"), [undefined, A]);
  t.deepEqual(inTurn([change(["/f", A]), "refused"]).possible("/f"), [undefined]);
});

test("Of changes under way at the same time either may be the last one", (t) => {
  const expected = new Expectations([
    { n: 0, op: change(["/f", A]) },
    { n: 1, op: change(["/f", B]) },
    { n: 0, end: "ok" },
    { n: 1, end: "ok" },
  ]);
  t.deepEqual(expected.possible("/f"), [A, B]);
});

test("A change that never ended may have had its effect", (t) => {
  const expected = new Expectations([
    { n: 0, op: change(["/f", A]) },
    { n: 0, end: "ok" },
    { n: 1, op: change(["/f", B]) },
  ]);
  t.deepEqual(expected.possible("/f"), [A, B]);
});

test("A snapshot shows what was there when it was made, and what changed at that moment", (t) => {
  const expected = new Expectations([
    { n: 0, op: change(["/d/f", A]) },
    { n: 0, end: "ok" },
    { n: 1, op: change(["/d/f", B]) },
    { n: 2, op: { kind: "snapshot", directory: "/d", name: "s" } },
    { n: 2, end: "ok" },
    { n: 1, end: "ok" },
    { n: 3, op: change(["/d/f", C]) },
    { n: 3, end: "ok" },
  ]);
  const [snapshot] = expected.snapshots;
  t.is(snapshot?.presence, "there");
  t.deepEqual(snapshot?.possible("/d/f"), [A, B]);
  t.deepEqual(snapshot?.possible("/d/other"), [undefined]);
  t.deepEqual(expected.possible("/d/f"), [C]);
});

test("A snapshot that was given up is gone, and perhaps if nobody knows", (t) => {
  const make = { kind: "snapshot", directory: "/d", name: "s" } as const;
  const drop = { kind: "dropSnapshot", directory: "/d", name: "s" } as const;
  const presence = (...deeds: readonly (readonly [Operation, OperationEnd])[]) => {
    return inTurn(...deeds).snapshots[0]?.presence;
  };
  t.is(presence([make, "ok"], [drop, "ok"]), "gone");
  t.is(presence([make, "ok"], [drop, "unknown"]), "maybe");
  t.is(presence([make, "unknown"]), "maybe");
  t.is(presence([make, "refused"]), undefined);
});

test("Acknowledged bytes count what was replaced since", (t) => {
  const expected = inTurn(
    [change(["/f", A]), "ok"],
    [change(["/f", B]), "ok"],
    [change(["/g", C]), "unknown"],
  );
  t.is(expected.acknowledged, 2);
  t.is(expected.acknowledgedBytes, 30);
});
