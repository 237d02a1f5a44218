import test from "ava";
import { compareRecords } from "./appended.js";
import type { ExpectedRecord } from "./expectations.js";
import { encodeRecord, type SoakRecord } from "./records.js";

const RECORDS: readonly SoakRecord[] = [1, 2, 3].map((id) => ({
  id,
  content: { seed: id * 7, size: id * 100 },
}));
const [A, B, C] = RECORDS as readonly [SoakRecord, SoakRecord, SoakRecord];

/** One append after the other, acknowledged unless said otherwise. */
function inTurn(
  records: readonly SoakRecord[],
  ends: Readonly<Record<number, ExpectedRecord["end"]>> = {},
): readonly ExpectedRecord[] {
  return records.map((record, i) => ({
    ...{ record, began: 2 * i, over: 2 * i + 1, offset: undefined },
    end: ends[record.id] ?? "ok",
  }));
}

async function fileOf(...records: readonly SoakRecord[]): Promise<Uint8Array> {
  return Buffer.concat(await Promise.all(records.map(encodeRecord)));
}

async function kinds(
  file: Uint8Array,
  expected: readonly ExpectedRecord[],
): Promise<readonly string[]> {
  return (await compareRecords("/log", file, expected)).map(({ kind }) => kind);
}

test("A file with every acknowledged record once and in order has no findings", async (t) => {
  t.deepEqual(await kinds(await fileOf(A, B, C), inTurn(RECORDS)), []);
  t.deepEqual(await kinds(await fileOf(), []), []);
});

test("A lost record is seen, wherever it stood", async (t) => {
  t.deepEqual(await kinds(await fileOf(B, C), inTurn(RECORDS)), ["lost"]);
  t.deepEqual(await kinds(await fileOf(A, C), inTurn(RECORDS)), ["lost"]);
  t.deepEqual(await kinds(await fileOf(A, B), inTurn(RECORDS)), ["lost"]);
});

test("A doubled record is seen", async (t) => {
  t.deepEqual(await kinds(await fileOf(A, B, A, C), inTurn(RECORDS)), ["doubled", "disorder"]);
});

test("A torn record, a gap and a strange record are seen, and what is behind is lost", async (t) => {
  const whole = await fileOf(A, B, C);
  t.deepEqual(await kinds(whole.subarray(0, -1), inTurn(RECORDS)), ["torn", "lost"]);
  const flipped = whole.map((byte, i) => (i === 200 ? byte ^ 1 : byte));
  t.deepEqual(await kinds(flipped, inTurn(RECORDS)), ["torn", "lost", "lost"]);
  const gap = Buffer.concat([await fileOf(A), new Uint8Array(64), await fileOf(B, C)]);
  t.deepEqual(await kinds(gap, inTurn(RECORDS)), ["torn", "lost", "lost"]);
  t.deepEqual(await kinds(whole, inTurn([A, B])), ["torn"]);
});

test("Records in another order than they were acknowledged in are seen", async (t) => {
  t.deepEqual(await kinds(await fileOf(A, C, B), inTurn(RECORDS)), ["disorder"]);
});

test("Records that were under way together may stand in any order", async (t) => {
  const together = RECORDS.map((record, i): ExpectedRecord => {
    return { record, began: i, over: 10 + i, end: "ok", offset: undefined };
  });
  t.deepEqual(await kinds(await fileOf(C, A, B), together), []);
});

test("A record of unknown outcome may be there once, a refused one never", async (t) => {
  const unknown = inTurn(RECORDS, { 2: "unknown" });
  t.deepEqual(await kinds(await fileOf(A, B, C), unknown), []);
  t.deepEqual(await kinds(await fileOf(A, C), unknown), []);
  t.deepEqual(await kinds(await fileOf(A, B, C), inTurn(RECORDS, { 2: "refused" })), [
    "resurrected",
  ]);
});

test("A record that is not where its answer said is seen", async (t) => {
  const [first, ...rest] = inTurn(RECORDS);
  const told = [{ ...(first as ExpectedRecord), offset: 5 }, ...rest];
  t.deepEqual(await kinds(await fileOf(A, B, C), told), ["lost"]);
});
