import test from "ava";
import { lumeo } from "#messages";
import { encodedInParts } from "./encoded.js";
import { HELD_BYTES_MIN } from "./parts-writer.js";

const { ExchangeRequest, OperateRequest } = lumeo.master.v1;

/** A message of Raft with so many bytes of entries. */
function append(bytes: number, commitIndex = 7): lumeo.master.v1.IRaftMessage {
  const entries = Buffer.alloc(bytes, bytes);
  return { term: 3, appendRequest: { previousIndex: 2 ** 40, commitIndex, entries } };
}

test("the parts are what Protobuf writes, at lengths where prefixes grow", (t) => {
  const sizes = [0, 1, 127, HELD_BYTES_MIN - 1, HELD_BYTES_MIN, 16_370, 16_384, 2_097_152];
  for (const [i, one] of sizes.entries()) {
    const other = sizes[i - 1] ?? 0;
    const heartbeat = { term: 3, heartbeat: { commitIndex: 1 } };
    const messages = [append(one), heartbeat, append(other), append(one, 2 ** 50)];
    const request = { clusterId: "c", from: "m1", to: "m2", messages };
    const expected = Buffer.from(ExchangeRequest.encode(request).finish());
    const parts = encodedInParts(ExchangeRequest, request);
    t.true(Buffer.concat(parts).equals(expected), `${one} and ${other}`);
  }
});

test("long fields are parts of their own, without a copy, and short ones are not", (t) => {
  const [long, short] = [append(HELD_BYTES_MIN), append(HELD_BYTES_MIN - 1)];
  const parts = encodedInParts(ExchangeRequest, { messages: [long, short] });
  t.is(parts.length, 3);
  t.is(parts[1], long.appendRequest?.entries ?? undefined);
});

test("fields behind a long one, at any level, come behind it", (t) => {
  const inlineBytes = Buffer.alloc(5_000, 1);
  const commit = { path: "/a", inlineBytes, metadata: { a: "1" }, tags: { b: "2" } };
  const operations = [{ id: 1, commit, timeoutMs: 9 }, { id: 2, commit }, { id: 3 }];
  const expected = Buffer.from(OperateRequest.encode({ operations }).finish());
  t.true(Buffer.concat(encodedInParts(OperateRequest, { operations })).equals(expected));
});

test("a message that cannot be written leaves nothing in the next one", (t) => {
  const failing: Parameters<typeof encodedInParts<string>>[0] = {
    encode(text, writer) {
      writer?.uint32(10).fork().string(text).bytes(Buffer.alloc(HELD_BYTES_MIN));
      throw new Error("in the middle");
    },
  };
  t.throws(() => encodedInParts(failing, "left over"), { message: "in the middle" });
  const parts = encodedInParts(ExchangeRequest, { from: "m1" });
  t.is(ExchangeRequest.decode(Buffer.concat(parts)).from, "m1");
});

test("an empty message is one empty part", (t) => {
  t.deepEqual(
    encodedInParts(ExchangeRequest, {}).map((part) => part.byteLength),
    [0],
  );
});
