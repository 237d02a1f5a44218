// A chunk that is converted is converted for everybody who has it, and lists stay as they are.

import {
  type ChunkHandle,
  CODE_DEFAULT,
  type Code,
  epoch,
  handleIn,
  invariant,
  serverId,
  unitCount,
} from "@lumeofs/base";
import test, { type ExecutionContext } from "ava";
import { codedAs, MetadataDriver, sealed, wholeCrc } from "../../test/metadata-driver.js";
import { audit } from "../../test/state-audit.js";
import { getChunk, listedChunk } from "./chunk-table.js";
import type { SealedChunk } from "./command.js";
import type { FileInode } from "./inode-record.js";
import { type Conversion, getJob, type JobId } from "./jobs.js";
import { statAt } from "./past-queries.js";
import { fileChunks, stat } from "./queries.js";

const CODE = CODE_DEFAULT;

class Driver extends MetadataDriver {
  readonly job: JobId;

  constructor() {
    super();
    this.job = this.convertJob({ kind: "policy" });
  }

  convertJob(conversion: Conversion): JobId {
    const reply = this.apply({ kind: "createJob", job: "convert", subject: undefined, conversion });
    if (reply.kind !== "jobCreated") throw new Error(reply.kind);
    return reply.job;
  }

  /** A fresh chunk of a code. */
  fresh(code: Code | undefined): SealedChunk {
    const width = code === undefined ? 3 : unitCount(code);
    const [handle] = this.grant(1, width);
    invariant(handle !== undefined, "a grant has a handle");
    return code === undefined ? sealed(handle) : codedAs(code, handle);
  }

  replace(handle: ChunkHandle, chunk: SealedChunk, job = this.job) {
    return this.apply({ kind: "replaceChunk", job, handle, chunk });
  }

  file(path: string): { readonly id: never; readonly inode: FileInode } {
    const found = stat(this.state, path);
    if (found.kind === "refused" || found.inode.kind !== "file") throw new Error(path);
    return { id: found.id as never, inode: found.inode };
  }

  chunks(path: string) {
    return fileChunks(this.state, this.file(path), { first: 0, countMax: 1_000 });
  }

  handles(path: string): readonly ChunkHandle[] {
    return this.chunks(path).map(({ handle }) => handle);
  }

  codings(path: string): readonly boolean[] {
    return this.chunks(path).map(({ chunk }) => chunk.coding !== undefined);
  }

  /** Converts every chunk of a file. */
  convert(path: string, code: Code | undefined): void {
    for (const { handle } of this.chunks(path)) {
      const reply = this.replace(handle, this.fresh(code));
      if (reply.kind !== "done") throw new Error(JSON.stringify(reply));
    }
  }

  forgetAll(): void {
    this.now += 1_000_000_000;
    const handles = Array.from({ length: 64 * 100 }, (_, i) => (i + 64) as ChunkHandle);
    const released = handles.filter((one) => getChunk(this.state, one)?.releasedAt !== undefined);
    for (let i = 0; i < released.length; i += 200) {
      this.apply({ kind: "forgetChunks", handles: released.slice(i, i + 200) });
    }
  }
}

async function sound(t: ExecutionContext, m: Driver): Promise<void> {
  t.deepEqual(await audit(m.state), []);
}

test("a chunk is converted there and back, and the file's record is the same", async (t) => {
  const m = new Driver();
  m.commit("/f", 2);
  const before = m.file("/f").inode;
  const old = m.handles("/f");
  m.convert("/f", CODE);
  t.deepEqual(m.file("/f").inode, before);
  t.deepEqual(m.codings("/f"), [true, true]);
  const coded = m.handles("/f");
  t.true(coded.every((handle) => !old.includes(handle)));
  for (const handle of old) t.not(getChunk(m.state, handle)?.releasedAt, undefined);
  await sound(t, m);
  m.forgetAll();
  t.deepEqual(m.handles("/f"), coded);
  await sound(t, m);
  m.convert("/f", undefined);
  t.deepEqual(m.codings("/f"), [false, false]);
  t.deepEqual(m.file("/f").inode, before);
  m.forgetAll();
  for (const handle of [...old, ...coded]) t.is(getChunk(m.state, handle), undefined);
  await sound(t, m);
  t.deepEqual(getJob(m.state, m.job)?.done, { chunks: 4, bytes: 16 });
  m.remove("/f");
  m.forgetAll();
  await sound(t, m);
});

test("whoever shares a content has its converted chunks at once", async (t) => {
  const m = new Driver();
  m.makeDirectory("/d");
  m.policy("/d", { versions: 3 });
  m.commit("/d/f", 3);
  m.copy("/d/f", "/copy");
  m.snapshot("/d", "s");
  m.commit("/d/f", 1);
  m.convert("/copy", CODE);
  t.deepEqual(m.codings("/copy"), [true, true, true]);
  const shown = await statAt(m.state, { path: "/d/.snapshot/s/f", version: undefined });
  if (shown.kind === "refused" || shown.inode.kind !== "file") return t.fail("no snapshot");
  const named = { id: shown.id, inode: shown.inode };
  const kept = fileChunks(m.state, named, { first: 0, countMax: 9 });
  t.deepEqual(
    kept.map(({ handle }) => handle),
    m.handles("/copy"),
  );
  await sound(t, m);
  m.remove("/copy");
  t.is(getChunk(m.state, kept[0]?.handle as ChunkHandle)?.releasedAt, undefined);
  await sound(t, m);
});

test("the pages of a long file stay, whatever becomes of its chunks", async (t) => {
  const m = new Driver();
  const upload = m.beginUpload("/long");
  const handles = m.grants(300);
  const add = (first: number, some: readonly ChunkHandle[]) =>
    m.apply({ kind: "addChunks", upload, first, chunks: some.map(sealed) });
  add(0, handles.slice(0, 200));
  add(200, handles.slice(200));
  m.commit("/long", 0, { upload, crc32c: wholeCrc(300) });
  const before = m.file("/long").inode;
  m.convert("/long", CODE);
  t.deepEqual(m.file("/long").inode, before);
  t.true(m.codings("/long").every((isCoded) => isCoded));
  t.deepEqual(
    m.chunks("/long").map(({ listed }) => listed),
    [...handles],
  );
  await sound(t, m);
});

test("an edit keeps converted chunks, and its fork is converted with the rest", async (t) => {
  const m = new Driver();
  m.commit("/f", 3);
  m.snapshot("/", "s");
  m.convert("/f", CODE);
  const { inode } = m.file("/f");
  const [fresh] = m.grant(1);
  invariant(fresh !== undefined, "a grant has a handle");
  const edit = m.apply({
    kind: "editFile",
    path: "/f",
    revision: inode.revision,
    keep: 3,
    replaced: [{ position: 1, chunk: sealed(fresh) }],
    appended: [],
    fence: undefined,
  });
  t.is(edit.kind, "inode");
  t.deepEqual(m.codings("/f"), [true, false, true]);
  await sound(t, m);
  m.convert("/f", undefined);
  t.deepEqual(m.codings("/f"), [false, false, false]);
  const shown = await statAt(m.state, { path: "/.snapshot/s/f", version: undefined });
  if (shown.kind === "refused" || shown.inode.kind !== "file") return t.fail("no snapshot");
  const kept = fileChunks(m.state, { id: shown.id, inode: shown.inode }, { first: 0, countMax: 9 });
  t.deepEqual(
    kept.map(({ chunk }) => chunk.coding !== undefined),
    [false, true, false],
  );
  await sound(t, m);
});

test("what is not the same data, not there, or of no open job, takes nobody's place", async (t) => {
  const m = new Driver();
  m.commit("/f", 1);
  const [handle] = m.handles("/f") as [ChunkHandle];
  const fresh = m.fresh(CODE);
  t.like(m.replace(handle, { ...fresh, crc32c: fresh.crc32c ^ 1 }), { code: "CONFLICT" });
  t.like(m.replace(handle, { ...fresh, lengthBytes: 3 }), { code: "CONFLICT" });
  t.like(m.replace(handle, { ...fresh, epoch: epoch(2) }), { code: "STALE_EPOCH" });
  t.like(m.replace(handle, codedAs(CODE, m.grant(1)[0] as never)), { code: "INVALID_ARGUMENT" });
  const narrow = { ...fresh, coding: undefined };
  t.is(m.replace(handle, narrow).kind, "done", "copies may be on six servers");
  t.like(m.replace(handle, m.fresh(CODE)), { code: "CONFLICT" });
  const again = m.fresh(CODE);
  const now = m.handles("/f")[0] as ChunkHandle;
  t.is(m.replace(now, again).kind, "done");
  t.like(m.replace(again.handle, again), { code: "CONFLICT" }, "it is consumed");
  const unknown = codedAs(CODE, handleIn(77_777 as never, 0));
  t.like(m.replace(again.handle, unknown), { code: "GRANT_EXPIRED" });
  m.apply({ kind: "changeJob", job: m.job, to: "cancelled", note: "" });
  t.like(m.replace(again.handle, m.fresh(undefined)), { code: "PRECONDITION" });
  t.deepEqual(m.codings("/f"), [true]);
  await sound(t, m);
});

test("a file is marked in place, unless its name leads elsewhere", async (t) => {
  const m = new Driver();
  m.commit("/f", 1);
  m.commit("/g", 1);
  m.snapshot("/", "s");
  const { id, inode } = m.file("/f");
  const parent = 1 as never;
  const mark = (name: string) => ({ parent, name, inode: id, code: CODE });
  const files = [mark("f"), mark("g"), mark("nowhere")];
  t.is(m.apply({ kind: "setFileCodes", files }).kind, "done");
  t.deepEqual(m.file("/f").inode, { ...inode, code: CODE });
  t.is(m.file("/g").inode.code, undefined);
  await sound(t, m);
});

test("copies of an old chunk are garbage after its grace, and those of the new one stay", (t) => {
  const m = new Driver();
  m.commit("/f", 1);
  const [old] = m.handles("/f") as [ChunkHandle];
  m.convert("/f", CODE);
  const [coded] = m.handles("/f") as [ChunkHandle];
  t.is(listedChunk(m.state, old)?.handle, coded);
  t.deepEqual(getChunk(m.state, coded)?.members, [1, 2, 3, 4, 5, 6].map(serverId));
  m.forgetAll();
  t.is(getChunk(m.state, old), undefined);
  t.is(listedChunk(m.state, old)?.handle, coded);
});
