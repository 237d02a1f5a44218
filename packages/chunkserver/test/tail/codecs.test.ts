import { chunkHandle, epoch, type LumeoError, type WalPlace, wallMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { dataBytes } from "../../src/replication/append-record.js";
import { History } from "../../src/replication/history.js";
import type { ReplicaMessage } from "../../src/replication/message.js";
import { APPEND_BYTES_MAX, APPEND_RECORDS_MAX } from "../../src/replication/progress.js";
import { HeldTail } from "../../src/tail/held-tail.js";
import {
  decodeMessage,
  decodeReply,
  encodeMessage,
  encodeReply,
  type MemberMessage,
  type MemberReply,
} from "../../src/tail/member-message.js";
import { mergeAppends } from "../../src/tail/merge-appends.js";
import { recordsIn } from "../../src/tail/tail-range.js";
import { decodeTailRecord, encodeTailRecord, type TailRecord } from "../../src/tail/tail-record.js";
import { encodeWriteTable, findWrite } from "../../src/tail/write-table.js";
import { histories, recordsOf, textOf } from "./histories.js";

const number = fc.integer({ min: 1, max: 2 ** 40 });
const PLACE: WalPlace = { segment: 3, position: 64, bodyBytes: 10 };

/** As text, whatever the order of fields; maps do not show in JSON by themselves. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (one instanceof Map) return [...one];
    if (typeof one !== "object" || one === null || Array.isArray(one)) return one;
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

test("messages between members come back as they were, with their bytes behind them", (t) => {
  fc.assert(
    fc.property(histories, number, number, fc.nat(40), (history, a, b, cut) => {
      const behind = Math.min(cut, history.lastSeq);
      const previous = history.positionAt(behind) ?? { epoch: 0 as const, seq: 0 };
      const records = history.slice(behind + 1, APPEND_RECORDS_MAX);
      const e = epoch(a);
      const messages: readonly MemberMessage[] = [
        { kind: "fence", epoch: e },
        { kind: "fetch", epoch: e, after: b },
        { kind: "append", epoch: e, previous, records, commitSeq: b },
        { kind: "give", epoch: e, first: b, count: 7 },
        { kind: "settle", epoch: e, seal: { epoch: epoch(b), seq: 9 } },
        { kind: "finish", epoch: e, seal: { epoch: epoch(b), seq: 9 } },
      ];
      const data = Uint8Array.of(1, 2, 3);
      for (const message of messages) {
        const { said, bytes } = decodeMessage(Buffer.concat([encodeMessage(message), data]));
        t.is(shown(said), shown(message));
        t.deepEqual([...bytes], [...data]);
      }
      const last = history.last;
      const replies: readonly MemberReply[] = [
        { kind: "fenced", epoch: e, commitSeq: b, last },
        { kind: "unknown", epoch: e },
        { kind: "fetched", epoch: e, after: behind, last, records },
        { kind: "appended", epoch: e, durable: b },
        { kind: "mismatch", epoch: e, commitSeq: b },
        { kind: "stale", epoch: e, promised: epoch(b) },
        { kind: "given", epoch: e, first: behind + 1, records },
        { kind: "settled", epoch: e },
        { kind: "finished", epoch: e },
      ];
      for (const reply of replies) {
        t.is(shown(decodeReply(encodeReply(reply)).said), shown(reply));
      }
    }),
    { numRuns: 60 },
  );
});

test("any bytes are a message, or PROTOCOL", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      for (const decode of [decodeMessage, decodeReply]) {
        try {
          decode(bytes);
        } catch (error) {
          t.is((error as LumeoError).code, "PROTOCOL");
        }
      }
    }),
  );
  t.pass();
});

test("records of the log of tails come back as they were", (t) => {
  fc.assert(
    fc.property(histories, number, fc.nat(40), (history, a, cut) => {
      const keepTo = Math.min(cut, history.lastSeq);
      const records = history.slice(keepTo + 1, APPEND_RECORDS_MAX);
      const data = new Uint8Array(records.reduce((sum, one) => sum + dataBytes(one), 0));
      const handle = chunkHandle(64);
      const promised = epoch(a);
      const facts = { chunkEpoch: promised, seq: 4, lengthBytes: 9, crc32c: 8, promised };
      const all: readonly (readonly [TailRecord, Uint8Array])[] = [
        [
          {
            ...{ kind: "change", handle, promised },
            change: { kind: "log", promised, keepTo, records, commitSeq: keepTo },
          },
          data,
        ],
        [
          { kind: "change", handle, promised, change: { kind: "removal", promised } },
          data.subarray(0, 0),
        ],
        [
          { kind: "change", handle, promised, change: { kind: "damage", intactTo: a } },
          data.subarray(0, 0),
        ],
        [
          {
            ...{ kind: "moved", handle, promised, damagedIn: 0, commitSeq: keepTo },
            ...{ firstSeq: keepTo + 1, isLast: true, records },
          },
          data,
        ],
        [
          {
            ...{ kind: "sealed", handle, facts: { ...facts, sealedAt: wallMs(5) } },
            table: encodeWriteTable(history),
          },
          data.subarray(0, 0),
        ],
        [{ kind: "forgotten", handle }, data.subarray(0, 0)],
        [{ kind: "mark" }, data.subarray(0, 0)],
      ];
      for (const [record, bytes] of all) {
        const head = encodeTailRecord(record);
        const decoded = decodeTailRecord(Buffer.concat([head, bytes]));
        t.is(shown({ ...decoded.record, table: 0 }), shown({ ...record, table: 0 }));
        if (record.kind !== "sealed") t.is(decoded.dataAt, head.byteLength);
      }
    }),
    { numRuns: 60 },
  );
});

test("the table of writes finds every write where it stands, and no other", (t) => {
  fc.assert(
    fc.property(histories, (history) => {
      const table = encodeWriteTable(history);
      for (const { content, seq } of recordsOf(history)) {
        if (content.kind !== "data") continue;
        const { lengthBytes } = content;
        const offset = history.endOf(seq - 1);
        t.deepEqual(findWrite(table, content.write), { seq, offset, lengthBytes });
      }
      for (const client of [1, 2, 3, 4, 5]) {
        const write = { client: client as never, writeSeq: 51 };
        t.is(findWrite(table, write), undefined);
      }
    }),
  );
});

test("a range of bytes touches just the records that hold one of them", (t) => {
  fc.assert(
    fc.property(histories, fc.nat(60_000), fc.nat(60_000), (history, offset, length) => {
      const expected = recordsOf(history).filter((record) => {
        const end = history.endOf(record.seq);
        const begin = history.endOf(record.seq - 1);
        return record.content.kind === "data" && begin < offset + length && offset < end;
      });
      t.is(textOf(recordsIn(history, offset, length)), textOf(length === 0 ? [] : expected));
    }),
  );
});

test("joined appends say the same with fewer words, within their limits", (t) => {
  fc.assert(
    fc.property(histories, fc.array(fc.integer({ min: 1, max: 5 })), (history, cuts) => {
      const messages: ReplicaMessage[] = [];
      let behind = 0;
      for (const count of cuts) {
        const records = history.slice(behind + 1, count);
        const previous = history.positionAt(behind) ?? { epoch: 0 as const, seq: 0 };
        messages.push({ kind: "append", epoch: epoch(99), previous, records, commitSeq: behind });
        behind += records.length;
      }
      const merged = mergeAppends(messages);
      const said = merged.flatMap((one) => (one.kind === "append" ? one.records : []));
      t.is(textOf(said), textOf(history.slice(1, behind)));
      for (const one of merged) {
        if (one.kind !== "append") continue;
        t.true(one.records.length <= APPEND_RECORDS_MAX);
        const bytes = one.records.reduce((sum, record) => sum + dataBytes(record), 0);
        t.true(one.records.length < 2 || bytes <= APPEND_BYTES_MAX);
      }
    }),
  );
  const fence = { kind: "fence", epoch: epoch(2) } as const;
  t.deepEqual(mergeAppends([fence, fence]), [fence, fence]);
});

test("a tail in doubt takes from the log only what says all there is to know", (t) => {
  const tail = new HeldTail(chunkHandle(64));
  const spot = { place: PLACE, dataAt: 0 };
  const promise = (n: number): TailRecord & { kind: "change" } => ({
    ...{ kind: "change", handle: tail.handle, promised: epoch(n) },
    change: { kind: "log", promised: epoch(n), keepTo: 0, records: [], commitSeq: 0 },
  });
  tail.replay(promise(2), spot);
  tail.doubt();
  tail.replay(promise(4), spot);
  t.true(tail.isInDoubt);
  t.is(tail.state.promised, 4 as never);
  const lost = { ...promise(7), change: { kind: "damage", intactTo: 0 } as const };
  tail.replay(lost, spot);
  t.false(tail.isInDoubt);
  t.is(tail.state.promised, 7 as never);
  t.is(tail.state.damagedIn, 7 as never);
  t.is(tail.state.history.lastSeq, History.empty().lastSeq);
});
