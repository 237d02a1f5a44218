// The bytes of every record, as they are on disks: a change here needs a new version.

import {
  CODE_DEFAULT,
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
import { decodePast, encodePast } from "./history.js";
import { decodeEntry, decodeInode, encodeEntry, encodeInode } from "./inode-record.js";
import { decodeJob, encodeJob, type Job, jobId } from "./jobs.js";
import {
  answerPageKey,
  chunkKey,
  convertedKey,
  entriesAfter,
  entryKey,
  historyAfter,
  historyIdOf,
  historyKey,
  historyOf,
  inodeKey,
  jobKey,
  type KeyRange,
  moveKey,
  nameOf,
  nodeKey,
  numberOf,
  openJobKey,
  pageKey,
  releasedHandleOf,
  releasedKey,
  releasedUpTo,
  snapshotKey,
  trashKey,
} from "./keys.js";
import { decodeMove, encodeMove } from "./moves.js";
import { decodeNode, encodeNode, type NodeSettings } from "./nodes.js";
import { decodeServer, encodeServer } from "./servers.js";
import { decodeSession, encodeSession, findAnswer, withAnswer } from "./sessions.js";
import { decodeSnapshot, encodeSnapshot } from "./snapshots.js";
import { decodeTrashItem, encodeTrashItem } from "./trash.js";
import { decodeUpload, encodeUpload } from "./uploads.js";

const file = {
  kind: "file",
  sizeBytes: 5_000_000_000,
  crc32c: 0xdeadbeef,
  chunkSizeBytes: 65_536,
  replicas: 3,
  code: undefined,
  revision: 77,
  createdAt: wallMs(1000),
  modifiedAt: wallMs(2000),
  chunkCount: 1,
  inline: [chunkHandle(64)],
  content: undefined,
  isUneven: false,
  grownSince: undefined,
  tail: undefined,
  expiresAt: wallMs(0),
  contentType: "",
  metadata: {},
  tags: {},
} as const;
const codedFile = { ...file, code: { data: 4, parity: 2, cellBytes: 1_048_576 } } as const;
const richFile = {
  ...file,
  content: inodeId(8),
  expiresAt: wallMs(4000),
  contentType: "text/plain",
  metadata: { a: "1" },
  tags: { t: "x" },
} as const;
const directory = {
  kind: "directory",
  parent: inodeId(1),
  childCount: 2,
  revision: 78,
  modifiedAt: wallMs(2000),
  usage: { sizeBytes: 3, files: 4, directories: 5 },
  quota: { sizeBytes: 6, files: undefined },
  policy: {
    replicas: 3,
    versions: 2,
    trashMs: undefined,
    ttlMs: 0,
    code: { kind: "auto", code: CODE_DEFAULT },
    codeAfterMs: 5,
    codeFallback: "replicate",
  },
  since: 77,
  capturedAt: 76,
  createdAt: wallMs(1000),
  historyCount: 1,
  snapshotCount: 2,
  name: "d",
  metadata: { a: "1" },
  tags: {},
} as const;
const entry = { inode: inodeId(9), kind: "directory", since: 77, record: undefined } as const;
const fileEntry = {
  inode: inodeId(9),
  kind: "file",
  since: 77,
  record: encodeInode(file),
} as const;
const chunk = {
  epoch: epoch(1),
  lengthBytes: 10,
  crc32c: 11,
  inode: inodeId(9),
  releasedAt: wallMs(3000),
  members: [1, 2].map(serverId),
  coding: undefined,
  sharers: 0,
  isForked: false,
  listedAs: undefined,
  isInline: false,
};
const codedChunk = {
  ...chunk,
  releasedAt: undefined,
  members: [1, 2, 3].map(serverId),
  coding: { data: 2, parity: 1, cellBytes: 65_536, unitCrcs: [7, 8, 9] },
};
const page = { handles: [64, 65].map(chunkHandle), offset: undefined };
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

const past = {
  inode: inodeId(9),
  kind: "directory",
  since: 77,
  version: 0,
  at: wallMs(3000),
} as const;
const trashItem = {
  inode: inodeId(9),
  kind: "file",
  path: "/d/f",
  at: wallMs(3000),
  expiresAt: wallMs(4000),
  usage: { sizeBytes: 5, files: 1, directories: 0 },
} as const;
const snapshot = { revision: 78, at: wallMs(3000) };

const job: Job = {
  kind: "drain",
  subject: serverId(3),
  state: "paused",
  createdAt: wallMs(1000),
  endedAt: wallMs(0),
  total: { chunks: 9, bytes: 90 },
  done: { chunks: 4, bytes: 40 },
  failures: 1,
  moves: 2,
  note: "n",
};
const conversionJob: Job = {
  kind: "convert",
  subject: undefined,
  state: "running",
  createdAt: wallMs(1000),
  endedAt: wallMs(0),
  total: { chunks: 0, bytes: 0 },
  done: { chunks: 0, bytes: 0 },
  failures: 0,
  moves: 0,
  note: "",
  conversion: { kind: "tree", root: inodeId(9), path: "/d", to: CODE_DEFAULT },
};
const move = { job: jobId(7), target: serverId(4), leaving: serverId(3) };
const node: NodeSettings = { standing: "maintenance", labels: { rack: "r1" } };

const GOLDEN: readonly (readonly [string, Uint8Array, string])[] = [
  [
    "file inode",
    encodeInode(file),
    "030100f2052a01000000efbeadde00000100034d00000000000000e803000000000000d0070000000000" +
      "00010000000000000001000000400000000000000000",
  ],
  [
    "file inode with all fields",
    encodeInode(richFile),
    "030100f2052a01000000efbeadde00000100034d00000000000000e803000000000000d0070000000000" +
      "0001000000000000000100000040000000000000001f0800000000000000a00f0000000000000a000000" +
      "746578742f706c61696e01000000010000006101000000310100000001000000740100000078",
  ],
  [
    "coded file inode",
    encodeInode(codedFile),
    "030300f2052a01000000efbeadde00000100034d00000000000000e803000000000000d0070000000000" +
      "00010000000000000001000000400000000000000000040200001000",
  ],
  [
    "directory inode",
    encodeInode(directory),
    "0302010000000000000002000000000000004e00000000000000d0070000000000000300000000000000" +
      "040000000000000005000000000000000700000000000000000000000000000004030000000000000000" +
      "0000000100000000000000030402000010000600000000000000024d000000000000004c000000000000" +
      "00e803000000000000010000000000000002000000000000000100000064010000000100000061010000" +
      "003100000000",
  ],
  ["entry", encodeEntry(entry), "030900000000000000024d00000000000000"],
  [
    "entry of a file",
    encodeEntry(fileEntry),
    `030900000000000000014d00000000000000${Buffer.from(encodeInode(file)).toString("hex")}`,
  ],
  [
    "chunk",
    encodeChunk(chunk),
    "0201000000000000000a0000000b000000090000000000000001b80b0000000000000200000001000000" +
      "000000000200000000000000",
  ],
  [
    "coded chunk",
    encodeChunk(codedChunk),
    "0201000000000000000a0000000b00000009000000000000000800000000000000000300000001000000" +
      "0000000002000000000000000300000000000000020100000100070000000800000009000000",
  ],
  ["page", encodePage(page), "020200000040000000000000004100000000000000"],
  ["grant", encodeGrant(grant), "02e803000000000000400100000000000080010000000100000000000000"],
  [
    "upload",
    encodeUpload(upload),
    "02e803000000000000030000002fc3bc01000000000000000200000000000000030000000400000001",
  ],
  [
    "server",
    encodeServer(server),
    "0203000000637331010000007503000000683a3103000000683a320200000004000000646973" +
      "6b03000000737364040000007261636b02000000723101e803000000000000",
  ],
  [
    "session",
    encodeSession(session),
    "02e80300000000000002000000000000000000000000000000050000000000000000",
  ],
  ["answers", withAnswer(undefined, 3, Uint8Array.of(7)), "0203000000000000000100000007"],
  [
    "history",
    encodePast(past),
    "020900000000000000024d000000000000000000000000000000b80b000000000000",
  ],
  [
    "trash",
    encodeTrashItem(trashItem),
    "02090000000000000001040000002f642f66b80b000000000000a00f0000000000000500000000000000" +
      "01000000000000000000000000000000",
  ],
  [
    "job",
    encodeJob(job),
    "0303030000000000000002e80300000000000000000000000000000900000000000000" +
      "5a00000000000000040000000000000028000000000000000100000000000000020000000000000001000000" +
      "6e00",
  ],
  [
    "job of a conversion",
    encodeJob(conversionJob),
    "0306000000000000000001e8030000000000000000000000000000000000000000000000000000000000" +
      "00000000000000000000000000000000000000000000000000000000000000000000000000010900000000" +
      "000000020000002f64010402000010" +
      "0000",
  ],
  ["move", encodeMove(move), "02070000000000000004000000000000000300000000000000"],
  ["node", encodeNode(node), "020301000000040000007261636b020000007231"],
  ["node key", nodeKey("cs1"), "33637331"],
  ["job key", jobKey(7), "700000000000000007"],
  ["open job key", openJobKey(3, serverId(3)), "71030000000000000003"],
  ["move key", moveKey(chunkHandle(64)), "720000000000000040"],
  ["snapshot", encodeSnapshot(snapshot), "024e00000000000000b80b000000000000"],
  [
    "history key",
    historyKey({ parent: inodeId(2), name: "a", ended: 3 }),
    "1600000000000000026100" + "0000000000000003",
  ],
  ["trash key", trashKey(3), "170000000000000003"],
  ["snapshot key", snapshotKey(inodeId(2), "s"), "18000000000000000273"],
  ["inode key", inodeKey(ROOT_INODE), "100000000000000001"],
  ["entry key", entryKey(inodeId(2 ** 40), "ü"), "110000010000000000c3bc"],
  ["page key", pageKey(inodeId(2), 3), "12000000000000000200000003"],
  ["converted key", convertedKey(chunkHandle(2 ** 53 - 1)), "25001fffffffffffff"],
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
  t.deepEqual(decodeInode(encodeInode(richFile)), richFile);
  t.deepEqual(decodeInode(encodeInode(codedFile)), codedFile);
  t.deepEqual(decodeInode(encodeInode(directory)), directory);
  t.deepEqual(decodeEntry(encodeEntry(entry)), entry);
  t.deepEqual(decodeEntry(encodeEntry(fileEntry)), fileEntry);
  t.deepEqual(decodePast(encodePast(past)), past);
  t.deepEqual(decodeTrashItem(encodeTrashItem(trashItem)), trashItem);
  t.deepEqual(decodeSnapshot(encodeSnapshot(snapshot)), snapshot);
  t.deepEqual(decodeChunk(encodeChunk(chunk)), chunk);
  t.deepEqual(decodeJob(encodeJob(job)), job);
  t.deepEqual(decodeMove(encodeMove(move)), move);
  t.deepEqual(decodeNode(encodeNode(node)), node);
  const lone = { ...move, leaving: undefined };
  t.deepEqual(decodeMove(encodeMove(lone)), lone);
  const kept = { ...chunk, releasedAt: undefined };
  t.deepEqual(decodeChunk(encodeChunk(kept)), kept);
  const shared = { ...chunk, sharers: 2, isForked: true };
  t.deepEqual(decodeChunk(encodeChunk(shared)), shared);
  t.deepEqual(decodeChunk(encodeChunk(codedChunk)), codedChunk);
  const inline = { ...chunk, members: [], isInline: true };
  t.deepEqual(decodeChunk(encodeChunk(inline)), inline);
  t.deepEqual(decodePage(encodePage(page)), page);
  const placed = { ...page, offset: 2 ** 40 };
  t.deepEqual(decodePage(encodePage(placed)), placed);
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

test("history of a name is in the order of time, apart from that of longer names", (t) => {
  const name = fc.string({
    unit: fc.constantFrom("a", "b", "\u0001", "ü"),
    minLength: 1,
    maxLength: 3,
  });
  const parent = inodeId(5);
  fc.assert(
    fc.property(name, name, fc.nat(), fc.nat(), (mine, other, ended, bound) => {
      const key = historyKey({ parent, name: mine, ended });
      t.deepEqual(historyIdOf(key), { parent, name: mine, ended });
      const inside = ({ from, to }: KeyRange): boolean =>
        Buffer.compare(from, key) <= 0 && Buffer.compare(key, to) < 0;
      t.is(inside(historyOf(parent, other, bound)), mine === other && bound < ended);
      t.is(inside(historyAfter(parent, other)), 0 < Buffer.from(mine).compare(Buffer.from(other)));
      t.true(inside(historyAfter(parent, "")));
      t.false(inside(historyAfter(inodeId(4), "")));
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
    decodePast,
    decodeTrashItem,
    decodeSnapshot,
    decodeJob,
    decodeMove,
    decodeNode,
  ];
  const values = [
    encodeInode(codedFile),
    encodeEntry(entry),
    encodeChunk(codedChunk),
    encodePage({ ...page, offset: 77 }),
    encodeGrant(grant),
    encodeUpload(upload),
    encodeServer(server),
    encodeSession(session),
    encodePast(past),
    encodeTrashItem(trashItem),
    encodeSnapshot(snapshot),
    encodeJob(job),
    encodeMove(move),
    encodeNode(node),
  ];
  for (const [i, decode] of decoders.entries()) {
    const good = values[i] as Uint8Array;
    const other = Uint8Array.from(good);
    other[0] = (good[0] as number) + 1;
    for (const bad of [good.subarray(0, -1), Uint8Array.from([...good, 0]), other]) {
      t.like(
        t.throws(() => decode(bad), { instanceOf: LumeoError }),
        { code: "CORRUPT" },
      );
    }
  }
});
