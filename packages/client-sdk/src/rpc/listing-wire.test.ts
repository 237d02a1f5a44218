import test from "ava";
import type { InodeInfo } from "../operations.js";
import { decodeListing } from "./listing-wire.js";

/** The same bytes are written by the master's test of its own listing-wire.ts. */
const NUMBERS =
  "09000000000000000000000000010000efbeadde00100000034d00000000000000" +
  "e803000000000000d0070000000000000500000000000000";
const PLAIN_ROW = `01${NUMBERS}`;
const ROW = `02${NUMBERS}b80b000000000000`;
const utf8 = (text: string): Uint8Array => Buffer.from(text);

const bytes = (hex: string): Uint8Array => Buffer.from(hex, "hex");

test("rows become files, and what is told in full comes at its place", (t) => {
  const listing = {
    entries: [{ path: "/d/b", kind: 1, metadata: { k: "v" } }],
    more: true,
    packed: {
      names: utf8("a/b/ü/p"),
      rows: bytes(`${ROW}0000${ROW}01${PLAIN_ROW}`),
      contentTypes: ["x/y"],
    },
  };
  const { entries, more } = decodeListing("/d", listing);
  t.true(more);
  t.deepEqual(
    entries.map(({ path, contentType }) => [path, contentType]),
    [
      ["/d/a", ""],
      ["/d/b", ""],
      ["/d/ü", "x/y"],
      ["/d/p", ""],
    ],
  );
  t.like(entries[0], {
    kind: "file",
    sizeBytes: 2 ** 40,
    revision: 77,
    createdAtMs: 1000,
    modifiedAtMs: 2000,
    expiresAtMs: 3000,
    crc32c: 0xdeadbeef,
    chunkBytes: 4096,
    chunkCount: 5,
    replicas: 3,
  });
  t.deepEqual(entries[3], { ...entries[0], path: "/d/p", expiresAtMs: 0 } as InodeInfo);
  t.deepEqual(entries[1]?.metadata, { k: "v" });
});

test("a listing of the root, without rows, or without anything is one too", (t) => {
  const rows = bytes(`${ROW}00`);
  const { entries } = decodeListing("/", { packed: { names: utf8("a"), rows } });
  t.is(entries[0]?.path, "/a");
  t.is(decodeListing("/", { entries: [{ path: "/a", kind: 1 }] }).entries.length, 1);
  t.deepEqual(decodeListing("/", { packed: {} }), { entries: [], more: false });
});

test("rows that contradict their names are refused", (t) => {
  const cases = [
    { names: utf8("a"), rows: bytes(`${PLAIN_ROW}${PLAIN_ROW}`) },
    { names: utf8("a"), rows: bytes("00") },
    { names: utf8("a"), rows: bytes("03") },
    { names: utf8("a"), rows: bytes(`${ROW}01`) },
  ];
  for (const packed of cases) {
    t.throws(() => decodeListing("/", { packed }), { message: /Cannot understand the master/ });
  }
  t.throws(() => decodeListing("/", { packed: { names: utf8("a/b"), rows: bytes(PLAIN_ROW) } }));
});
