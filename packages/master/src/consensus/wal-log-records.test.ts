// A group of records is cut where a record ends, not where an entry does.

import { createHash } from "node:crypto";
import { MiB, RECORD_BODY_BYTES_MAX } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { type Entry, logIndex, term } from "../raft/entry.js";
import { encodeChange, GroupReader, type LogChange } from "./wal-log-records.js";

const hardState = { term: term(3), votedFor: undefined };

function entriesOf(sizes: readonly number[]): readonly Entry[] {
  return sizes.map((size, i) => {
    const data = new Uint8Array(size).map((_, at) => at * 7 + i);
    return { index: logIndex(1 + i), term: term(3), kind: "command", data };
  });
}

test("A group of any length goes into records of bounded length and comes back as it was", (t) => {
  const size = fc.oneof(fc.nat({ max: 100 }), fc.integer({ min: MiB - 200, max: 2 * MiB }));
  fc.assert(
    fc.property(fc.array(size, { maxLength: 4 }), (sizes) => {
      const entries = entriesOf(sizes);
      const change: LogChange = { kind: "write", hardState, truncateFrom: logIndex(1), entries };
      const bodies = encodeChange(change).map((parts) => Buffer.concat(parts));
      for (const body of bodies.slice(0, -1)) t.is(body.byteLength, RECORD_BODY_BYTES_MAX);
      t.true((bodies.at(-1)?.byteLength ?? Infinity) <= RECORD_BODY_BYTES_MAX);
      const reader = new GroupReader();
      const read = bodies.map((body) => reader.take(body));
      t.true(read.slice(0, -1).every((none) => none === undefined));
      const last = read.at(-1);
      if (last?.kind !== "write") return t.fail("no change at the end of the group");
      t.is(last.truncateFrom, change.truncateFrom);
      t.deepEqual(last.hardState, hardState);
      t.deepEqual(last.entries.map(digest), entries.map(digest));
    }),
    { numRuns: 30 },
  );
});

function digest({ index, data }: Entry): string {
  return `${index} ${data.byteLength} ${createHash("sha256").update(data).digest("hex")}`;
}
