// Which history is kept in vain: against asking of every record, one by one, who needs it.

import { inodeId, wallMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import type { HistoryId } from "./keys.js";
import { sweepRound } from "./sweep.js";
import type { NamedPast } from "./sweep-queries.js";

interface Drawn {
  readonly name: string;
  readonly since: number;
  readonly length: number;
  readonly isVersion: boolean;
}

const drawn = fc.record({
  name: fc.constantFrom("a", "b"),
  since: fc.integer({ min: 1, max: 20 }),
  length: fc.integer({ min: 1, max: 6 }),
  isVersion: fc.boolean(),
});
const snapshots = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 3 });

/** As the table has them: by name, then by the end. */
function recordsOf(all: readonly Drawn[]): readonly NamedPast[] {
  const parent = inodeId(5);
  return all
    .map(({ name, since, length, isVersion }, i): NamedPast => {
      const ended = since + length;
      const version = isVersion ? 100 + i : 0;
      const past = { inode: inodeId(9), kind: "file", since, version, at: wallMs(1) } as const;
      return { id: { parent, name, ended }, past };
    })
    .sort((a, b) =>
      a.id.name === b.id.name ? a.id.ended - b.id.ended : a.id.name < b.id.name ? -1 : 1,
    )
    .filter((one, i, list) => {
      const next = list[i + 1]?.id;
      return next?.name !== one.id.name || next.ended !== one.id.ended;
    });
}

function isNeeded(
  { id, past }: NamedPast,
  all: readonly NamedPast[],
  needs: { readonly snapshots: readonly number[]; readonly kept: number },
): boolean {
  if (needs.snapshots.some((at) => past.since <= at && at < id.ended)) return true;
  const newer = all.filter(
    (other) => other.id.name === id.name && id.ended < other.id.ended && other.past.version !== 0,
  );
  return past.version !== 0 && newer.length < needs.kept;
}

test("a round over the whole table finds exactly what nobody needs", (t) => {
  fc.assert(
    fc.property(fc.array(drawn), snapshots, fc.nat({ max: 3 }), (list, at, kept) => {
      const records = recordsOf(list);
      const sorted = [...at].sort((a, b) => a - b);
      const round = sweepRound(records, 1_000, { snapshots: sorted, versionsKept: () => kept });
      const expected = records.filter((one) => !isNeeded(one, records, { snapshots: at, kept }));
      const order = (a: HistoryId, b: HistoryId): number =>
        a.name === b.name ? a.ended - b.ended : a.name < b.name ? -1 : 1;
      t.deepEqual(
        [...round.unneeded].sort(order),
        expected.map((one) => one.id),
      );
      t.is(round.behind, undefined);
    }),
  );
});

test("rounds over small pages find nothing that is needed, and all else in the end", (t) => {
  const page = fc.integer({ min: 4, max: 6 });
  fc.assert(
    fc.property(fc.array(drawn), page, fc.nat({ max: 2 }), (list, pageCount, kept) => {
      let records = recordsOf(list);
      const needed = records.filter((one) => isNeeded(one, records, { snapshots: [], kept }));
      for (let round = 0; round < 20; round++) {
        let behind: HistoryId | undefined;
        do {
          const from = records.findIndex((one) => one.id === behind) + 1;
          const next = records.slice(from, from + pageCount);
          const needs = { snapshots: [], versionsKept: () => kept };
          const found = sweepRound(next, pageCount, needs);
          const dropped = new Set(found.unneeded);
          // The cursor is a key: it stays where it was when the record there goes.
          behind = found.behind;
          records = records.filter((one) => !dropped.has(one.id) || one.id === behind);
        } while (behind !== undefined);
      }
      t.true(needed.every((one) => records.includes(one)));
      t.true(records.length <= needed.length + 1);
    }),
  );
});
