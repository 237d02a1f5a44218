// What a write that stands for several must leave behind: a property that any joinPersists has to
// have, so that a wrong one can be shown to be seen.

import { deepStrictEqual } from "node:assert/strict";
import { nodeId } from "@lumeofs/base";
import fc from "fast-check";
import type { joinPersists } from "../src/consensus/storage-queue.js";
import { type Entry, logIndex, term } from "../src/raft/entry.js";
import { entries } from "./contract/log-store.js";

type Part = Parameters<typeof joinPersists>[0][number];

/** The log after a write, as a list; entry i has index i + 1. */
function after(log: readonly Entry[], write: Part): readonly Entry[] {
  const kept = write.truncateFrom === undefined ? log : log.slice(0, write.truncateFrom - 1);
  return [...kept, ...write.entries];
}

/** @throws Error with a counterexample: what was joined is not its parts one behind the other. */
export function checkJoined(join: typeof joinPersists): void {
  const step = fc.record({
    cutBack: fc.option(fc.nat(12), { nil: undefined }),
    count: fc.nat(5),
    votes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.nat(10), fc.array(step, { minLength: 1, maxLength: 8 }), (stored, steps) => {
      const before = entries(1, stored, 1);
      let expected: readonly Entry[] = before;
      const parts = steps.map(({ cutBack, count, votes }, i): Part => {
        const last = expected.length;
        const from = cutBack === undefined ? undefined : Math.max(1, last + 1 - cutBack);
        const begin = from ?? last + 1;
        const part = {
          hardState: votes ? { term: term(i + 2), votedFor: nodeId("m1") } : undefined,
          truncateFrom: from === undefined ? undefined : logIndex(from),
          entries: entries(begin, begin + count - 1, i + 2),
        };
        expected = after(expected, part);
        return part;
      });
      const joined = join(parts);
      deepStrictEqual(joined === undefined ? before : after(before, joined), expected);
      deepStrictEqual(joined?.hardState, parts.findLast((part) => part.hardState)?.hardState);
    }),
  );
}
