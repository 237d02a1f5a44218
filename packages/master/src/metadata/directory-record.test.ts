// Patching a directory's record in place must be what decoding, changing and encoding is.

import {
  ByteReader,
  ByteWriter,
  CODE_DEFAULT,
  type Code,
  inodeId,
  KiB,
  wallMs,
} from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import {
  type DirectoryInode,
  readDirectory,
  recordCapturedAt,
  recordParent,
  recordPolicy,
  recordQuota,
  recordSince,
  recordUsage,
  withChildren,
  withHistory,
  withUsage,
  writeDirectory,
} from "./directory-record.js";

const count = fc.maxSafeNat();
const limit = fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER - 1 }), { nil: undefined });
const labels = fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 3 });
const usage = fc.record({ sizeBytes: count, files: count, directories: count });
const code = fc.constantFrom<Code>(CODE_DEFAULT, { data: 30, parity: 2, cellBytes: 64 * KiB });
const codePolicy = fc.oneof(
  fc.constant({ kind: "replicated" } as const),
  fc.record({ kind: fc.constantFrom("coded" as const, "auto" as const), code }),
);
const directory: fc.Arbitrary<DirectoryInode> = fc.record({
  kind: fc.constant("directory" as const),
  parent: fc.option(fc.integer({ min: 1 }).map(inodeId), { nil: undefined }),
  childCount: fc.nat(),
  revision: count,
  modifiedAt: count.map(wallMs),
  usage,
  quota: fc.record({ sizeBytes: limit, files: limit }),
  policy: fc.record({
    replicas: fc.option(fc.nat({ max: 254 }), { nil: undefined }),
    versions: fc.option(fc.nat({ max: 2 ** 32 - 2 }), { nil: undefined }),
    trashMs: limit,
    ttlMs: limit,
    code: fc.option(codePolicy, { nil: undefined }),
    codeAfterMs: limit,
    codeFallback: fc.option(fc.constantFrom("refuse" as const, "replicate" as const), {
      nil: undefined,
    }),
  }),
  since: count,
  capturedAt: count,
  createdAt: count.map(wallMs),
  historyCount: count,
  snapshotCount: count,
  name: fc.string(),
  metadata: labels,
  tags: labels,
});

function encode(inode: DirectoryInode): Uint8Array {
  const writer = new ByteWriter().u8(9).u8(9); // the version and the kind
  writeDirectory(writer, inode);
  return writer.finish().slice();
}

function decode(record: Uint8Array): DirectoryInode {
  const reader = new ByteReader(record.subarray(2));
  const inode = readDirectory(reader);
  if (0 < reader.remaining) throw new Error("bytes are left over");
  return inode;
}

test("a directory's record gives the directory back, and its fields one by one", (t) => {
  fc.assert(
    fc.property(directory, (inode) => {
      const record = encode(inode);
      t.deepEqual(decode(record), inode);
      t.is(recordParent(record), inode.parent);
      t.is(recordSince(record), inode.since);
      t.is(recordCapturedAt(record), inode.capturedAt);
      t.deepEqual(recordUsage(record), inode.usage);
      t.deepEqual(recordQuota(record), inode.quota);
      t.deepEqual(recordPolicy(record), inode.policy);
    }),
  );
});

test("patching a record is the same as encoding the changed directory", (t) => {
  fc.assert(
    fc.property(directory, usage, fc.nat(), fc.nat(), (inode, usage, index, more) => {
      const record = encode(inode);
      const at = wallMs(index + 1);
      t.deepEqual(withUsage(record, usage), encode({ ...inode, usage }));
      const childCount = inode.childCount + more;
      const changed = { ...inode, childCount, revision: index, modifiedAt: at };
      t.deepEqual(withChildren(record, more, { index, at }), encode(changed));
      const kept = { ...inode, historyCount: more };
      const none = encode({ ...inode, historyCount: 0 });
      t.deepEqual(withHistory(none, more), encode(kept));
      t.deepEqual(decode(record), inode); // the original is as it was
    }),
  );
});

test("a child count below 0 is a bug of ours", (t) => {
  const [inode] = fc.sample(directory, { seed: 1, numRuns: 1 });
  const record = encode({ ...(inode as DirectoryInode), childCount: 0 });
  t.throws(() => withChildren(record, -1, { index: 1, at: wallMs(1) }), {
    name: "InvariantViolation",
  });
});
