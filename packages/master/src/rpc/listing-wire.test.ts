import { chunkHandle, inodeId, wallMs } from "@lumeofs/base";
import test from "ava";
import { encodeEntry, type FileInode, type Inode } from "../metadata/inode-record.js";
import { emptyDirectory, entryOf } from "../metadata/inodes.js";
import { entryKey } from "../metadata/keys.js";
import type { ListedInode } from "../metadata/queries.js";
import { encodeListing, packEntries, packListing } from "./listing-wire.js";

const file: FileInode = {
  kind: "file",
  sizeBytes: 2 ** 40,
  crc32c: 0xdeadbeef,
  chunkSizeBytes: 4096,
  replicas: 3,
  code: undefined,
  revision: 77,
  createdAt: wallMs(1000),
  modifiedAt: wallMs(2000),
  chunkCount: 5,
  inline: [],
  content: undefined,
  isUneven: false,
  grownSince: undefined,
  tail: undefined,
  expiresAt: wallMs(3000),
  contentType: "",
  metadata: {},
  tags: {},
};

/** The same bytes are read by the SDK's test of its own listing-wire.ts. */
const NUMBERS =
  "09000000000000000000000000010000efbeadde00100000034d00000000000000" +
  "e803000000000000d0070000000000000500000000000000";
const PLAIN_ROW = `01${NUMBERS}`;
const ROW = `02${NUMBERS}b80b000000000000`;

function listed(name: string, inode: Inode): ListedInode {
  return { kind: "found", path: `/d/${name}`, name, id: inodeId(9), inode };
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function pack(entries: readonly ListedInode[]) {
  return packListing({ kind: "page", entries, hasMore: true, last: "" });
}

test("files are packed into rows, their content types once for all", (t) => {
  const typed = (contentType: string): FileInode => ({ ...file, contentType });
  const entries = [file, typed("a/b"), typed("c/d"), typed("a/b")];
  const { entries: full, more, packed } = pack(entries.map((one, i) => listed(`f${i}`, one)));
  t.deepEqual(full, []);
  t.true(more);
  t.is(textOf(packed.names), "f0/f1/f2/f3");
  t.deepEqual(packed?.contentTypes, ["a/b", "c/d"]);
  const hex = Buffer.from(packed?.rows ?? []).toString("hex");
  t.is(hex, `${ROW}00${ROW}01${ROW}02${ROW}01`);
});

test("what does not fit into a row is told in full, at its place", (t) => {
  const now = { index: 5, at: wallMs(1), emitted: { count: 0 } };
  const entries = [
    listed("a", emptyDirectory(now, { parent: inodeId(1), name: "a" })),
    listed("b", file),
    listed("c", { ...file, metadata: { k: "v" } }),
    listed("d", { ...file, tags: { k: "v" } }),
  ];
  const { entries: full, packed } = pack(entries);
  t.deepEqual(
    full?.map(({ path }) => path),
    ["/d/a", "/d/c", "/d/d"],
  );
  t.is(textOf(packed.names), "a/b/c/d");
  t.is(Buffer.from(packed?.rows ?? []).toString("hex"), `00${ROW}000000`);
});

test("an entry of a plain file is copied, and gives what reading it would", (t) => {
  const plain = { ...file, expiresAt: wallMs(0) };
  const view = { get: (): undefined => undefined };
  const rowOf = (inode: FileInode): string => {
    const pair = [entryKey(inodeId(2), "ü"), encodeEntry(entryOf(inodeId(9), inode, 7))] as const;
    const { packed } = packEntries(view, {
      kind: "entries",
      path: "/d",
      pairs: [pair],
      hasMore: false,
    });
    t.is(textOf(packed.names), "ü");
    return Buffer.from(packed.rows).toString("hex");
  };
  t.is(rowOf(plain), PLAIN_ROW);
  for (const count of [1, 8]) {
    const inline = Array.from({ length: count }, (_, i) => chunkHandle(i + 0x1f1f1f));
    t.is(rowOf({ ...plain, inline }), PLAIN_ROW);
    t.is(rowOf({ ...plain, inline, content: inodeId(5) }), PLAIN_ROW);
    t.is(rowOf({ ...file, inline }), `${ROW}00`);
    t.is(rowOf({ ...plain, inline, tags: { k: "v" } }), "00");
  }
});

test("there are no more content types in a page than a byte can name", (t) => {
  const entries = Array.from({ length: 257 }, (_, i) =>
    listed(`f${i}`, { ...file, contentType: `t/${i}` }),
  );
  const { entries: full, packed } = pack([...entries, listed("again", entries[0]?.inode as Inode)]);
  t.is(packed?.contentTypes?.length, 255);
  t.deepEqual(
    full?.map(({ path }) => path),
    ["/d/f255", "/d/f256"],
  );
});

test("who does not read rows gets every entry in full", (t) => {
  const page = { kind: "page", entries: [listed("a", file)], hasMore: false, last: "a" } as const;
  const { entries, more, packed } = encodeListing(page);
  t.is(packed, undefined);
  t.false(more);
  t.like(entries?.[0], { path: "/d/a", sizeBytes: 2 ** 40, inode: 9, revision: 77 });
});
