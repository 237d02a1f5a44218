// The bytes of every record, as they are on disks: a change here needs a new version.

import {
  chunkHandle,
  epoch,
  inodeId,
  LumeoError,
  ROOT_INODE,
  serverId,
  sessionId,
  wallMs,
} from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { decodeChunk, decodePage, encodeChunk, encodePage } from "./chunk-table.js";
import { decodeGrant, encodeGrant } from "./grants.js";
import { decodeEntry, decodeInode, encodeEntry, encodeInode } from "./inodes.js";
import {
  answerPageKey,
  chunkKey,
  entriesAfter,
  entryKey,
  inodeKey,
  nameOf,
  numberOf,
  pageKey,
  releasedHandleOf,
  releasedKey,
  releasedUpTo,
} from "./keys.js";
import { decodeServer, encodeServer } from "./servers.js";
import { decodeSession, encodeSession, findAnswer, withAnswer } from "./sessions.js";
import { decodeUpload, encodeUpload } from "./uploads.js";

const file = {
  kind: "file",
  sizeBytes: 5_000_000_000,
  crc32c: 0xdeadbeef,
  chunkSizeBytes: 65_536,
  replicas: 3,
  revision: 77,
  createdAt: wallMs(1000),
  modifiedAt: wallMs(2000),
  chunkCount: 1,
  inline: [chunkHandle(64)],
} as const;
const directory = {
  kind: "directory",
  childCount: 2,
  revision: 78,
  createdAt: wallMs(1000),
  modifiedAt: wallMs(2000),
} as const;
const entry = { inode: inodeId(9), kind: "file" } as const;
const chunk = {
  epoch: epoch(1),
  lengthBytes: 10,
  crc32c: 11,
  inode: inodeId(9),
  releasedAt: wallMs(3000),
  members: [1, 2].map(serverId),
};
const grant = {
  at: wallMs(1000),
  handles: 64,
  consumed: [1, 0x80000000] as const,
  members: [serverId(1)],
};
const upload = {
  at: wallMs(1000),
  path: "/ü",
  content: {
    kind: "content",
    count: 1,
    sizeBytes: 2,
    crc32c: 3,
    chunkBytes: 4,
    isClosed: true,
  },
} as const;
const server = {
  name: "cs1",
  storeUuid: "u",
  dataAddress: "h:1",
  controlAddress: "h:2",
  labels: { rack: "r1", disk: "ssd" },
  isRetired: true,
  at: wallMs(1000),
};
const session = {
  at: wallMs(1000),
  trimmedBelow: 2,
  freedPages: 0,
  highest: 5,
  isExpired: false,
};

const GOLDEN: readonly (readonly [string, Uint8Array, string])[] = [
  [
    "file inode",
    encodeInode(file),
    "010100f2052a01000000efbeadde00000100034d00000000000000e803000000000000d007000000000000" +
      "0100000000000000010000004000000000000000",
  ],
  [
    "directory inode",
    encodeInode(directory),
    "010202000000000000004e00000000000000e803000000000000d007000000000000",
  ],
  ["entry", encodeEntry(entry), "01090000000000000001"],
  [
    "chunk",
    encodeChunk(chunk),
    "0101000000000000000a0000000b000000090000000000000001b80b0000000000000200000001000000" +
      "000000000200000000000000",
  ],
  ["page", encodePage([64, 65].map(chunkHandle)), "010200000040000000000000004100000000000000"],
  ["grant", encodeGrant(grant), "01e803000000000000400100000000000080010000000100000000000000"],
  [
    "upload",
    encodeUpload(upload),
    "01e803000000000000030000002fc3bc01000000000000000200000000000000030000000400000001",
  ],
  [
    "server",
    encodeServer(server),
    "0103000000637331010000007503000000683a3103000000683a320200000004000000646973" +
      "6b03000000737364040000007261636b02000000723101e803000000000000",
  ],
  [
    "session",
    encodeSession(session),
    "01e80300000000000002000000000000000000000000000000050000000000000000",
  ],
  ["answers", withAnswer(undefined, 3, Uint8Array.of(7)), "0103000000000000000100000007"],
  ["inode key", inodeKey(ROOT_INODE), "100000000000000001"],
  ["entry key", entryKey(inodeId(2 ** 40), "ü"), "110000010000000000c3bc"],
  ["page key", pageKey(inodeId(2), 3), "12000000000000000200000003"],
  ["chunk key", chunkKey(chunkHandle(2 ** 53 - 1)), "20001fffffffffffff"],
  ["released key", releasedKey(wallMs(1), chunkHandle(2)), "2100000000000000010000000000000002"],
  ["answers key", answerPageKey(sessionId(1), 2), "4100000000000000010000000000000002"],
];

for (const [name, bytes, golden] of GOLDEN) {
  test(`the bytes of a ${name} stay what they are`, (t) => {
    t.is(Buffer.from(bytes).toString("hex"), golden);
  });
}

test("records survive their bytes", (t) => {
  t.deepEqual(decodeInode(encodeInode(file)), file);
  t.deepEqual(decodeInode(encodeInode(directory)), directory);
  t.deepEqual(decodeEntry(encodeEntry(entry)), entry);
  t.deepEqual(decodeChunk(encodeChunk(chunk)), chunk);
  const kept = { ...chunk, releasedAt: undefined };
  t.deepEqual(decodeChunk(encodeChunk(kept)), kept);
  t.deepEqual(decodePage(encodePage([chunkHandle(64)])), [chunkHandle(64)]);
  t.deepEqual(decodeGrant(encodeGrant(grant)), grant);
  t.deepEqual(decodeUpload(encodeUpload(upload)), upload);
  t.deepEqual(decodeServer(encodeServer(server)), server);
  t.deepEqual(decodeSession(encodeSession(session)), session);
  const two = withAnswer(withAnswer(undefined, 3, Uint8Array.of(7)), 1, Uint8Array.of(8, 9));
  t.deepEqual([findAnswer(two, 1), findAnswer(two, 2)], [Uint8Array.of(8, 9), undefined]);
});

test("keys of a table sort as their numbers, and entries as the bytes of their names", (t) => {
  const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const compare = (a: Uint8Array, b: Uint8Array): number => Math.sign(Buffer.compare(a, b));
  fc.assert(
    fc.property(id, id, fc.string(), fc.string(), (a, b, x, y) => {
      t.is(compare(inodeKey(inodeId(a)), inodeKey(inodeId(b))), Math.sign(a - b));
      t.is(numberOf(inodeKey(inodeId(a))), a);
      const names = compare(entryKey(inodeId(a), x), entryKey(inodeId(a), y));
      t.is(names, compare(Buffer.from(x), Buffer.from(y)));
      const at = releasedKey(wallMs(a), chunkHandle(b));
      t.is(releasedHandleOf(at), b);
      t.is(compare(at, releasedUpTo(wallMs(a - 1)).to), 1);
    }),
  );
});

test("entries after a name begin behind it and end with their directory", (t) => {
  const parent = inodeId(5);
  const inside = (key: Uint8Array, after: string): boolean => {
    const { from, to } = entriesAfter(parent, after);
    return Buffer.compare(from, key) <= 0 && Buffer.compare(key, to) < 0;
  };
  t.true(inside(entryKey(parent, "a"), ""));
  t.false(inside(entryKey(parent, "a"), "a"));
  t.true(inside(entryKey(parent, "a!"), "a"));
  t.true(inside(entryKey(parent, "\u{10ffff}"), "a"));
  t.false(inside(entryKey(inodeId(6), "a"), "a"));
  t.is(nameOf(entryKey(parent, "日本")), "日本");
});

test("a record with a byte too few or too many, or of another version, is CORRUPT", (t) => {
  const decoders: readonly ((bytes: Uint8Array) => unknown)[] = [
    decodeInode,
    decodeEntry,
    decodeChunk,
    decodePage,
    decodeGrant,
    decodeUpload,
    decodeServer,
    decodeSession,
  ];
  const values = [
    encodeInode(file),
    encodeEntry(entry),
    encodeChunk(chunk),
    encodePage([chunkHandle(64)]),
    encodeGrant(grant),
    encodeUpload(upload),
    encodeServer(server),
    encodeSession(session),
  ];
  for (const [i, decode] of decoders.entries()) {
    const good = values[i] as Uint8Array;
    const other = Uint8Array.from(good);
    other[0] = 2;
    for (const bad of [good.subarray(0, -1), Uint8Array.from([...good, 0]), other]) {
      t.like(
        t.throws(() => decode(bad), { instanceOf: LumeoError }),
        { code: "CORRUPT" },
      );
    }
  }
});
