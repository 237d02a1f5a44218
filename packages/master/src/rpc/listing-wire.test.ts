import { inodeId, wallMs } from "@lumeofs/base";
import test from "ava";
import type { FileInode, Inode } from "../metadata/inode-record.js";
import { emptyDirectory } from "../metadata/inodes.js";
import type { ListedInode } from "../metadata/queries.js";
import { encodeListing, packListing } from "./listing-wire.js";

const file: FileInode = {
  kind: "file",
  sizeBytes: 2 ** 40,
  crc32c: 0xdeadbeef,
  chunkSizeBytes: 4096,
  replicas: 3,
  revision: 77,
  createdAt: wallMs(1000),
  modifiedAt: wallMs(2000),
  chunkCount: 5,
  inline: [],
  content: undefined,
  expiresAt: wallMs(3000),
  contentType: "",
  metadata: {},
  tags: {},
};

/** The same bytes are read by the SDK's test of its own listing-wire.ts. */
const ROW =
  "0100000000000100004d00000000000000e803000000000000d007000000000000" +
  "0900000000000000b80b000000000000efbeadde001000000500000003";

function listed(name: string, inode: Inode): ListedInode {
  return { kind: "found", path: `/d/${name}`, name, id: inodeId(9), inode };
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
  t.is(packed?.names, "f0/f1/f2/f3");
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
  t.is(packed?.names, "a/b/c/d");
  t.is(Buffer.from(packed?.rows ?? []).toString("hex"), `00${ROW}000000`);
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
