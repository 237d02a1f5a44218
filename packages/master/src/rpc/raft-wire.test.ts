import { LumeoError, nodeId } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import test from "ava";
import { entries, entry, meta } from "../../test/contract/log-store.js";
import { logIndex, term } from "../raft/entry.js";
import type { RaftMessage } from "../raft/message.js";
import {
  decodeMessage,
  decodeOffer,
  decodeOffset,
  encodeMessage,
  encodeOffer,
} from "./raft-wire.js";

const { RaftMessage: Wire, SnapshotHeader } = lumeo.master.v1;
const at = term(5);

const MESSAGES: readonly RaftMessage[] = [
  {
    kind: "append",
    term: at,
    previousIndex: logIndex(3),
    previousTerm: term(2),
    commit: logIndex(2),
    entries: [...entries(4, 6, 2), entry(7, 5)],
  },
  {
    kind: "append",
    term: at,
    previousIndex: logIndex(0),
    previousTerm: term(0),
    commit: logIndex(0),
    entries: [],
  },
  { kind: "appendReply", term: at, reply: { kind: "matched", last: logIndex(9) } },
  {
    kind: "appendReply",
    term: at,
    reply: {
      kind: "conflict",
      refused: logIndex(9),
      retryFrom: logIndex(4),
      retryTerm: term(2),
    },
  },
  { kind: "heartbeat", term: at, commit: logIndex(2 ** 52), round: 7 },
  { kind: "heartbeatReply", term: at, round: 0 },
  {
    kind: "vote",
    term: at,
    pre: true,
    lastIndex: logIndex(9),
    lastTerm: term(4),
    transfer: false,
  },
  {
    kind: "vote",
    term: at,
    pre: false,
    lastIndex: logIndex(0),
    lastTerm: term(0),
    transfer: true,
  },
  { kind: "voteReply", term: at, pre: false, granted: true },
  { kind: "voteReply", term: at, pre: true, granted: false },
  { kind: "snapshotReply", term: at, index: logIndex(3) },
  { kind: "timeoutNow", term: at },
  { kind: "readIndex", term: at, id: 2 ** 50 },
  { kind: "readIndexReply", term: at, id: 2 ** 50, index: logIndex(7) },
  { kind: "readIndexReply", term: at, id: 1, index: undefined },
];

function overTheWire(message: RaftMessage): RaftMessage {
  return decodeMessage(Wire.decode(Wire.encode(encodeMessage(message)).finish()));
}

test("Every message survives the wire", (t) => {
  for (const message of MESSAGES) {
    const before = { ...message, ...("entries" in message ? { entries: [] } : {}) };
    const after = overTheWire(message);
    t.deepEqual({ ...after, ...("entries" in after ? { entries: [] } : {}) }, before);
    if (message.kind === "append" && after.kind === "append") {
      const text = (all: typeof message.entries) =>
        all.map(({ index, term, kind, data }) => [index, term, kind, Buffer.from(data).toString()]);
      t.deepEqual(text(after.entries), text(message.entries));
    }
  }
});

test("Entries that do not follow each other are refused", (t) => {
  const append = (...all: ReturnType<typeof entry>[]): RaftMessage => ({
    kind: "append",
    term: at,
    previousIndex: logIndex(3),
    previousTerm: term(2),
    commit: logIndex(0),
    entries: all,
  });
  const wrong = [append(entry(5, 2)), append(entry(4, 1)), append(entry(4, 2), entry(6, 2))];
  for (const message of wrong) {
    const error = t.throws(() => overTheWire(message), { instanceOf: LumeoError });
    t.is((error as LumeoError).code, "PROTOCOL");
  }
});

test("A message without kind, and a number that is too large, are refused", (t) => {
  for (const wire of [{}, { term: 2 ** 53, timeoutNow: {} }, { term: -1, timeoutNow: {} }]) {
    t.throws(() => decodeMessage(wire), { instanceOf: LumeoError });
  }
});

test("The description of a snapshot survives the wire", (t) => {
  const offer = { term: at, meta: meta(8, 4), sizeBytes: 2 ** 40, crc32c: 0xfedcba98 };
  const route = { clusterId: "c", from: nodeId("m1"), to: nodeId("m2"), store: "s1" };
  const wire = encodeOffer(offer, route, 2 ** 33);
  const header = SnapshotHeader.decode(SnapshotHeader.encode(wire).finish());
  t.deepEqual(decodeOffer(header), offer);
  t.is(decodeOffset(header), 2 ** 33);
  t.is(header.to, "m2");
  t.is(header.store, "s1");
});
