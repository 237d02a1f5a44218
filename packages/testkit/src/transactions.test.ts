import { SeededRandom } from "@lumeofs/base";
import test from "ava";
import { checkTransactions, type Step, type Transaction } from "./transactions.js";

const put = (list: string, element: string): Step => ({ kind: "put", list, element });
const take = (list: string, element: string): Step => ({ kind: "take", list, element });
const saw = (list: string, ...elements: readonly string[]): Step => ({
  kind: "saw",
  list,
  elements,
});

let names = 0;
const done = (begin: number, end: number, ...steps: readonly Step[]): Transaction => {
  return { name: `T${++names}`, steps, outcome: "done", begin, end };
};
const refused = (begin: number, end: number, ...steps: readonly Step[]): Transaction => {
  return { ...done(begin, end, ...steps), outcome: "refused" };
};
const unknown = (begin: number, ...steps: readonly Step[]): Transaction => {
  return { ...done(begin, Infinity, ...steps), outcome: "unknown" };
};

const KNOWN: readonly {
  readonly what: string;
  readonly is: "serializable" | "violation";
  readonly transactions: readonly Transaction[];
}[] = [
  { what: "nothing at all", is: "serializable", transactions: [] },
  {
    what: "a list that grows, and readers that see more and more of it",
    is: "serializable",
    transactions: [
      done(0, 1, put("a", "1")),
      done(2, 3, saw("a", "1")),
      done(4, 5, put("a", "2")),
      done(6, 7, saw("a", "1", "2")),
    ],
  },
  {
    what: "a reader that misses what was put there before it began (stale read)",
    is: "violation",
    transactions: [done(0, 1, put("a", "1")), done(2, 3, saw("a"))],
  },
  {
    what: "a reader that misses what was put there while it read",
    is: "serializable",
    transactions: [done(0, 5, put("a", "1")), done(2, 3, saw("a"))],
  },
  {
    what: "something that nobody put there",
    is: "violation",
    transactions: [done(0, 1, saw("a", "1"))],
  },
  {
    what: "something that was refused (aborted read, G1a)",
    is: "violation",
    transactions: [refused(0, 1, put("a", "1")), done(2, 3, saw("a", "1"))],
  },
  {
    what: "something whose outcome nobody knew, seen later",
    is: "serializable",
    transactions: [unknown(0, put("a", "1")), done(2, 3, saw("a")), done(4, 5, saw("a", "1"))],
  },
  {
    what: "something whose outcome nobody knew, seen and then gone",
    is: "violation",
    transactions: [unknown(0, put("a", "1")), done(2, 3, saw("a", "1")), done(4, 5, saw("a"))],
  },
  {
    what: "the same element twice",
    is: "violation",
    transactions: [done(0, 1, put("a", "1")), done(2, 3, saw("a", "1", "1"))],
  },
  {
    what: "two readers that see two elements in opposite orders",
    is: "violation",
    transactions: [
      done(0, 9, put("a", "1")),
      done(0, 9, put("a", "2")),
      done(0, 9, saw("a", "1", "2")),
      done(0, 9, saw("a", "2", "1")),
    ],
  },
  {
    what: "two readers of which each sees another one of two lists first (long fork)",
    is: "violation",
    transactions: [
      done(0, 9, put("a", "1")),
      done(0, 9, put("b", "2")),
      done(0, 9, saw("a", "1"), saw("b")),
      done(0, 9, saw("a"), saw("b", "2")),
    ],
  },
  {
    what: "two writers of which each missed the other (write skew, G2)",
    is: "violation",
    transactions: [
      done(0, 9, saw("a"), put("b", "1")),
      done(0, 9, saw("b"), put("a", "2")),
      done(10, 11, saw("a", "2"), saw("b", "1")),
    ],
  },
  {
    what: "two writers, one of which saw the other",
    is: "serializable",
    transactions: [
      done(0, 9, saw("a"), put("b", "1")),
      done(0, 9, saw("b", "1"), put("a", "2")),
      done(10, 11, saw("a", "2"), saw("b", "1")),
    ],
  },
  {
    what: "writers of which each saw what the other wrote (G1c)",
    is: "violation",
    transactions: [
      done(0, 9, put("a", "1"), saw("b", "2")),
      done(0, 9, put("b", "2"), saw("a", "1")),
    ],
  },
  {
    what: "an element that moves, seen before and after",
    is: "serializable",
    transactions: [
      done(0, 1, put("a", "1")),
      done(2, 9, take("a", "1"), put("b", "1")),
      done(3, 4, saw("a", "1"), saw("b")),
      done(5, 6, saw("a"), saw("b", "1")),
    ],
  },
  {
    what: "an element that moves, seen in both lists",
    is: "violation",
    transactions: [
      done(0, 1, put("a", "1")),
      done(2, 9, take("a", "1"), put("b", "1")),
      done(3, 4, saw("a", "1"), saw("b", "1")),
    ],
  },
  {
    what: "an element that moves back in time",
    is: "violation",
    transactions: [
      done(0, 1, put("a", "1")),
      done(2, 9, take("a", "1"), put("b", "1")),
      done(3, 4, saw("a"), saw("b", "1")),
      done(5, 6, saw("a", "1"), saw("b")),
    ],
  },
  {
    what: "a cycle of three through real time alone at one place",
    is: "violation",
    transactions: [
      done(0, 1, put("a", "1")),
      done(2, 3, put("b", "1")),
      done(4, 9, saw("a"), saw("b", "1")),
    ],
  },
];

for (const { what, is, transactions } of KNOWN) {
  test(`${what}: ${is}`, (t) => {
    const verdict = checkTransactions(transactions);
    t.is(verdict.kind, is, verdict.kind === "violation" ? verdict.what : "");
  });
}

/** What lists that are right would have shown: each transaction at one moment within its time. */
function history(random: SeededRandom, count: number): Transaction[] {
  const lists = new Map<string, string[]>([
    ["a", []],
    ["b", []],
    ["c", []],
  ]);
  const moved = new Set<string>();
  return Array.from({ length: count }, (_, i): Transaction => {
    const [from, to] = random.fraction() < 0.5 ? ["a", "b"] : ["b", "c"];
    const source = lists.get(from) ?? [];
    const target = lists.get(to) ?? [];
    const [begin, end] = [i - 3 * random.fraction(), i + 3 * random.fraction()];
    const kind = random.fraction();
    const element = source[0];
    if (kind < 0.3) {
      lists.get("a")?.push(`${i}`);
      return done(begin, end, put("a", `${i}`));
    }
    if (kind < 0.6 && element !== undefined && !moved.has(`${from} ${element}`)) {
      moved.add(`${from} ${element}`);
      source.shift();
      target.push(element);
      const steps = [take(from, element), put(to, element)];
      return random.fraction() < 0.1 ? unknown(begin, ...steps) : done(begin, end, ...steps);
    }
    return done(begin, end, ...[...lists].map(([list, there]) => saw(list, ...there)));
  });
}

test("what real lists show is serializable, however long it is", (t) => {
  for (let seed = 0; seed < 20; seed++) {
    const verdict = checkTransactions(history(new SeededRandom(seed), 300));
    t.is(verdict.kind, "serializable", verdict.kind === "violation" ? verdict.what : "");
  }
});

test("one reader that sees an old state among many is found", (t) => {
  let found = 0;
  for (let seed = 0; seed < 20; seed++) {
    const transactions = history(new SeededRandom(seed), 200);
    const readers = transactions.flatMap(({ steps }, i) => (steps[0]?.kind === "saw" ? [i] : []));
    const [early, late] = [readers[3] as number, readers.at(-3) as number];
    const old = transactions[early] as Transaction;
    const stale = { ...(transactions[late] as Transaction), steps: old.steps };
    const verdict = checkTransactions(transactions.with(late, stale));
    if (verdict.kind === "violation") found++;
  }
  t.is(found, 20);
});
