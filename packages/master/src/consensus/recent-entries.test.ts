// What a log keeps in memory, against a plain list of entries.

import test from "ava";
import fc from "fast-check";
import { type Entry, logIndex, type Membership, term } from "../raft/entry.js";
import { founders } from "../raft/membership.js";
import { encodedLength } from "./entry-codec.js";
import { LogHistory } from "./log-history.js";
import { RecentEntries } from "./recent-entries.js";

const BASE = 100;
const BYTES_MAX = 4_000;
const membership: Membership = founders({});

type Step = readonly ["append" | "truncate" | "compact", number];

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant("append" as const), fc.integer({ min: 1, max: 12 })),
  fc.tuple(fc.constant("truncate" as const), fc.integer({ min: 0, max: 6 })),
  fc.tuple(fc.constant("compact" as const), fc.integer({ min: 0, max: 10 })),
);

function entryAt(index: number, bytes: number): Entry {
  const data = new Uint8Array(bytes);
  return { index: logIndex(index), term: term(1), kind: "command", data };
}

test("sizes and recent entries are those of the entries that were neither cut nor compacted", (t) => {
  const run = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const history = new LogHistory({ index: logIndex(BASE), term: term(1), membership });
    const recent = new RecentEntries(BYTES_MAX);
    let base = BASE;
    let entries: Entry[] = [];
    for (const [kind, amount] of steps) {
      if (kind === "append") {
        for (let i = 0; i < amount; i++) {
          const entry = entryAt(base + entries.length + 1, 37 * amount + i);
          entries.push(entry);
          history.append(entry);
          recent.push(entry);
        }
      } else if (kind === "truncate") {
        const from = logIndex(Math.max(base + 1, base + entries.length + 1 - amount));
        entries = entries.filter(({ index }) => index < from);
        history.truncate(from);
        recent.truncate(from);
      } else {
        base = Math.min(base + amount, base + entries.length);
        entries = entries.filter(({ index }) => base < index);
        history.compact(logIndex(base));
        recent.compact(logIndex(base));
      }
      const bytes = entries.reduce((sum, entry) => sum + encodedLength(entry), 0);
      t.deepEqual(
        [history.base, history.last, history.bytes],
        [base, base + entries.length, bytes],
      );
      let isKept = true;
      for (const entry of entries.toReversed()) {
        const found = recent.find(entry.index);
        t.true(found === undefined || found === entry);
        isKept = isKept && found !== undefined;
        t.is(found !== undefined, isKept);
      }
      t.is(recent.find(logIndex(base)), undefined);
    }
  });
  fc.assert(run);
});

test("recent entries take no more memory than they may, or are a single one", (t) => {
  const recent = new RecentEntries(BYTES_MAX);
  for (let index = 1; index <= 40; index++) recent.push(entryAt(index, 200));
  const kept = Array.from({ length: 40 }, (_, i) => recent.find(logIndex(i + 1))).filter(Boolean);
  t.is(kept.length, Math.floor(BYTES_MAX / (encodedLength(entryAt(1, 200)) + 256)));
  recent.push(entryAt(41, 2 * BYTES_MAX));
  t.is(recent.find(logIndex(40)), undefined);
  t.truthy(recent.find(logIndex(41)));
});
