// Histories by chance, for properties of what carries them.

import { type Epoch, epoch, serverId, sessionId } from "@lumeofs/base";
import fc from "fast-check";
import {
  type AppendRecord,
  type RecordContent,
  recordBehind,
} from "../../src/replication/append-record.js";
import { History } from "../../src/replication/history.js";

const content: fc.Arbitrary<RecordContent> = fc.oneof(
  { weight: 5, arbitrary: dataOf() },
  { weight: 1, arbitrary: fc.constant({ kind: "barrier" as const }) },
);

/** Records that follow each other, of rising epochs with a primary each; every write once. */
export const histories: fc.Arbitrary<History> = fc
  .array(fc.tuple(content, fc.boolean()), { maxLength: 40 })
  .map((steps) => {
    let history = History.empty();
    let number: Epoch = epoch(1);
    for (const [one, isNext] of steps) {
      if (isNext) number = epoch(number + 1);
      const author = serverId(1 + (number % 3));
      const seen = { seq: history.lastSeq, clock: history.clock };
      const fresh = one.kind === "data" && history.find(one.write) !== undefined;
      if (fresh) continue;
      history = history.append(recordBehind(seen, { epoch: number, author }, one));
    }
    return history;
  });

export function recordsOf(history: History): readonly AppendRecord[] {
  return history.slice(1, history.lastSeq);
}

/** The same text for the same records. */
export function textOf(records: readonly AppendRecord[]): string {
  return JSON.stringify(records.map((record) => ({ ...record, clock: [...record.clock] })));
}

function dataOf(): fc.Arbitrary<RecordContent> {
  return fc.record({
    kind: fc.constant("data" as const),
    write: fc.record({
      client: fc.integer({ min: 1, max: 4 }).map(sessionId),
      writeSeq: fc.nat(50),
    }),
    lengthBytes: fc.integer({ min: 1, max: 9_000 }),
    crc32c: fc.nat(0xffffffff),
  });
}
