import { SeededRandom } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { checkOperations, History, type Model, type Operation } from "./history.js";

type Call = { readonly write: number } | "read";
type Answer = number | "ok";

const REGISTER: Model<number, Call, Answer> = {
  initial: 0,
  step: (state, call, answer) => {
    if (call !== "read") return call.write;
    return answer === undefined || answer === state ? state : undefined;
  },
  print: String,
};

const write = (value: number, begin: number, end: number): Operation<Call, Answer> => ({
  call: { write: value },
  begin,
  end,
  answer: end === Infinity ? undefined : "ok",
});

const read = (answer: number, begin: number, end: number): Operation<Call, Answer> => ({
  call: "read",
  begin,
  end,
  answer,
});

const KNOWN: readonly {
  readonly what: string;
  readonly is: "linearizable" | "violation";
  readonly operations: readonly Operation<Call, Answer>[];
}[] = [
  { what: "an empty history", is: "linearizable", operations: [] },
  {
    what: "a read after a write sees it",
    is: "linearizable",
    operations: [write(1, 0, 1), read(1, 2, 3)],
  },
  {
    what: "a read after a write that sees the old value",
    is: "violation",
    operations: [write(1, 0, 1), read(0, 2, 3)],
  },
  {
    what: "a read during a write may see either: the old",
    is: "linearizable",
    operations: [write(1, 0, 10), read(0, 2, 3)],
  },
  {
    what: "a read during a write may see either: the new",
    is: "linearizable",
    operations: [write(1, 0, 10), read(1, 2, 3)],
  },
  {
    what: "two reads during a write that go back in time",
    is: "violation",
    operations: [write(1, 0, 10), read(1, 2, 3), read(0, 4, 5)],
  },
  {
    what: "a lost write seen late",
    is: "linearizable",
    operations: [write(1, 0, Infinity), read(0, 2, 3), read(1, 50, 51)],
  },
  {
    what: "a lost write never seen",
    is: "linearizable",
    operations: [write(1, 0, Infinity), read(0, 2, 3), read(0, 50, 51)],
  },
  {
    what: "a lost write that comes and goes",
    is: "violation",
    operations: [write(1, 0, Infinity), read(1, 2, 3), read(0, 50, 51)],
  },
  {
    what: "a value that nobody wrote",
    is: "violation",
    operations: [write(1, 0, 1), read(2, 2, 3)],
  },
  {
    what: "two overlapping writes seen in opposite orders by two readers",
    is: "violation",
    operations: [
      write(1, 0, 100),
      write(2, 0, 100),
      read(1, 10, 11),
      read(2, 12, 13),
      read(1, 14, 15),
    ],
  },
  {
    what: "overlapping writes, reads that force one order",
    is: "linearizable",
    operations: [write(1, 0, 10), write(2, 0, 10), write(3, 0, 10), read(2, 11, 12)],
  },
];

for (const { what, is, operations } of KNOWN) {
  test(`${what}: ${is}`, (t) => {
    t.is(checkOperations("k", operations, REGISTER).kind, is);
  });
}

/** Tries every order: slow and plainly right. */
function bruteForce(operations: readonly Operation<Call, Answer>[]): boolean {
  const search = (left: readonly Operation<Call, Answer>[], state: number): boolean => {
    if (left.every((operation) => operation.end === Infinity)) return true;
    return left.some((operation) => {
      if (left.some((other) => other.end < operation.begin)) return false;
      const after = REGISTER.step(state, operation.call, operation.answer);
      const rest = left.filter((other) => other !== operation);
      return after !== undefined && search(rest, after);
    });
  };
  return search(operations, REGISTER.initial);
}

test("the search agrees with trying every order", (t) => {
  const operation = fc
    .tuple(fc.nat(20), fc.integer({ min: 1, max: 9 }), fc.nat(2), fc.nat(3))
    .map(([begin, length, value, kind]): Operation<Call, Answer> => {
      if (kind === 0) return write(value, begin, Infinity);
      return kind === 1 ? write(value, begin, begin + length) : read(value, begin, begin + length);
    });
  const verdicts = { linearizable: 0, violation: 0 };
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 6 }), (operations) => {
      const verdict = checkOperations("k", operations, REGISTER).kind;
      if (verdict !== "unknown") verdicts[verdict]++;
      return verdict === (bruteForce(operations) ? "linearizable" : "violation");
    }),
    { numRuns: 500, seed: 1 },
  );
  t.true(50 < verdicts.linearizable && 50 < verdicts.violation, JSON.stringify(verdicts));
});

test("histories of a real register with chosen moments are linearizable, also long ones", (t) => {
  const random = new SeededRandom(3);
  let state = 0;
  let now = 0;
  const operations = Array.from({ length: 400 }, (_, i): Operation<Call, Answer> => {
    now += random.fraction();
    const [begin, end] = [now - 3 * random.fraction(), now + 3 * random.fraction()];
    if (random.fraction() < 0.5) {
      state = i;
      return write(i, begin, random.fraction() < 0.02 ? Infinity : end);
    }
    return read(state, begin, end);
  });
  t.is(checkOperations("k", operations, REGISTER).kind, "linearizable");
});

test("a history keeps keys apart and forgets what was rejected", (t) => {
  const history = new History<Call, Answer>();
  let time = 0;
  const now = (): number => time++;
  history.begin("a", { write: 1 }, now).answered("ok");
  history.begin("b", { write: 2 }, now).rejected();
  history.begin("b", "read", now).answered(0);
  history.begin("a", "read", now).answered(1);
  t.is(history.check(REGISTER).kind, "linearizable");
  history.begin("b", "read", now).answered(1);
  const verdict = history.check(REGISTER);
  t.is(verdict.kind === "violation" ? verdict.key : "none", "b");
});
