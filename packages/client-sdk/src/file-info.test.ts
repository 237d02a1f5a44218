import { CODE_DEFAULT, KiB, MiB, serverId } from "@lumeofs/base";
import test from "ava";
import { toFileInfo } from "./file-info.js";
import type { InodeInfo, LocatedChunk, ReplicaState } from "./operations.js";

const NARROW = { data: 2, parity: 1, cellBytes: 64 * KiB };

function inode(more: Partial<InodeInfo> = {}): InodeInfo {
  return {
    ...{ path: "/f", kind: "file", sizeBytes: 1_000, revision: 7, createdAtMs: 1 },
    ...{ modifiedAtMs: 2, crc32c: 3, chunkBytes: 64 * MiB, replicas: 3, code: undefined },
    ...{ chunkCount: 1, isUneven: false, contentType: "", metadata: {}, tags: {} },
    ...{ expiresAtMs: 0, usage: undefined, quota: {}, policy: {} },
    ...more,
  };
}

function chunk(servers: number, more: Partial<LocatedChunk> = {}): LocatedChunk {
  const replicas = Array.from({ length: servers }, (_, i): ReplicaState => {
    const place = { server: serverId(i + 1), name: `cs${i + 1}`, address: "h:1", labels: {} };
    return { ...place, role: i === 0 ? "primary" : "secondary", state: "alive", damaged: false };
  });
  const facts = { handle: 64, epoch: 1, lengthBytes: 1_000, crc32c: 3, coding: undefined };
  const kept = { isInline: false, inlineBytes: undefined };
  return { ...facts, ...kept, replicas, token: undefined, ...more };
}

test("a replicated file takes its size once for each replica", (t) => {
  t.like(toFileInfo(inode()), { layout: "replicated", bytesOnDisk: 3_000 });
  const shown = toFileInfo(inode(), [chunk(2)]);
  t.is(shown.bytesOnDisk, 2_000); // as its chunk is, whatever the file is meant to be
  t.like(shown.chunks?.[0], {
    layout: "replicated",
    replicas: [{ bytes: 1_000 }, { bytes: 1_000 }],
  });
  t.false("unit" in (shown.chunks?.[0]?.replicas[0] ?? {}));
});

test("what the masters keep takes nothing on chunkservers, and has no holders", (t) => {
  const shown = toFileInfo(inode(), [chunk(0, { isInline: true })]);
  t.is(shown.bytesOnDisk, 0);
  t.like(shown.chunks?.[0], { layout: "inline", replicas: [] });
});

test("a coded file says its code, and what its units take", (t) => {
  t.like(toFileInfo(inode({ code: CODE_DEFAULT })), { layout: "4+2", bytesOnDisk: 1_512 });
  const many = inode({ code: CODE_DEFAULT, sizeBytes: 129 * MiB, chunkCount: 3 });
  t.is(toFileInfo(many).bytesOnDisk, 1.5 * 129 * MiB);
  t.is(toFileInfo(inode({ code: NARROW, sizeBytes: 0, chunkBytes: 0 })).bytesOnDisk, 0);
});

test("the holders of a coded chunk each have their unit, which may be empty", (t) => {
  const coding = { ...NARROW, unitCrcs: [1, 2, 3] };
  const located = chunk(3, { lengthBytes: 65, coding });
  const shown = toFileInfo(inode({ code: NARROW, sizeBytes: 65 }), [located]);
  t.is(shown.bytesOnDisk, 129);
  t.like(shown.chunks?.[0], { length: 65, layout: "2+1/64KiB" });
  t.deepEqual(
    shown.chunks?.[0]?.replicas.map(({ id, unit, bytes }) => [id, unit, bytes]),
    [
      ["cs1", 0, 64],
      ["cs2", 1, 1],
      ["cs3", 2, 64],
    ],
  );
});
