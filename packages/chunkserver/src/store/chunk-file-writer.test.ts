import { type Disk, type File, LumeoError, MiB } from "@lumeofs/base";
import { MemoryDisk } from "@lumeofs/testkit";
import test from "ava";
import { ChunkFileWriter } from "./chunk-file-writer.js";

interface Sync {
  readonly end: () => void;
  readonly fail: (error: LumeoError) => void;
}

/** A disk whose files' syncs end when the test says so. */
function slowDisk(): { readonly disk: Disk; readonly syncs: Sync[] } {
  const memory = new MemoryDisk();
  const syncs: Sync[] = [];
  const slow = (file: File): File => ({
    readAt: (into, position) => file.readAt(into, position),
    writeAt: (parts, position) => file.writeAt(parts, position),
    writeDurably: (parts, position) => file.writeDurably(parts, position),
    sync: () => new Promise<void>((end, fail) => syncs.push({ end, fail })),
    truncate: (length) => file.truncate(length),
    size: () => file.size(),
    close: () => file.close(),
  });
  const disk: Disk = {
    open: async (path, options) => slow(await memory.open(path, options)),
    list: (folder) => memory.list(folder),
    exists: (path) => memory.exists(path),
    makeFolder: (path) => memory.makeFolder(path),
    rename: (from, to) => memory.rename(from, to),
    remove: (path) => memory.remove(path),
    syncFolder: (path) => memory.syncFolder(path),
    space: () => memory.space(),
  };
  return { disk, syncs };
}

const PIECES = Array.from({ length: 8 }, () => new Uint8Array(MiB));

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function create(disk: Disk): Promise<ChunkFileWriter> {
  await disk.makeFolder("f");
  return ChunkFileWriter.create(disk, { path: "f/a", folder: "f", uncached: false });
}

test("a chunk is durable only after the sync that began while another one ended", async (t) => {
  const { disk, syncs } = slowDisk();
  const writer = await create(disk);
  await writer.write(PIECES);
  await writer.write(PIECES);
  t.is(syncs.length, 1, "the second 8 MiB wait for the sync of the first");
  let isDurable = false;
  const durable = writer.sync().then(() => {
    isDurable = true;
  });
  await turn();
  syncs[0]?.end();
  await turn();
  t.is(syncs.length, 2);
  t.false(isDurable, "half of the bytes are not on the disk yet");
  syncs[1]?.end();
  await durable;
  await writer.close();
});

test("the failure of a sync that nobody waits for comes out with the close", async (t) => {
  const { disk, syncs } = slowDisk();
  const writer = await create(disk);
  await writer.write(PIECES);
  syncs[0]?.fail(new LumeoError("STORE_FAILED", "the disk is broken"));
  const error = await t.throwsAsync(writer.close(), { instanceOf: LumeoError });
  t.is(error?.message, "the disk is broken");
});
