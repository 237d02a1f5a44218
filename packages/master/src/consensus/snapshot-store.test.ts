import { type Disk, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { MemoryDisk } from "@lumeofs/testkit";
import test from "ava";
import { meta } from "../../test/contract/log-store.js";
import { logIndex } from "../raft/entry.js";
import { SnapshotStore } from "./snapshot-store.js";

const IMAGE = new Uint8Array(Math.floor(2.5 * MiB)).map((_, i) => i * 7);

async function* pieces(image: Uint8Array, size = 100_000): AsyncIterable<Uint8Array> {
  for (let at = 0; at < image.length; at += size) yield image.subarray(at, at + size);
}

async function* broken(): AsyncIterable<Uint8Array> {
  yield IMAGE.subarray(0, 1_000);
  throw new Error("the connection is gone");
}

function expected(index: number, image = IMAGE) {
  return { meta: meta(index, 3), sizeBytes: image.length, crc32c: nativeCrc32c(image) };
}

function receive(
  store: SnapshotStore,
  snapshot: ReturnType<typeof expected>,
  bytes: AsyncIterable<Uint8Array>,
  offset = 0,
) {
  const { signal } = new AbortController();
  return store.receive(snapshot, { offset, pieces: bytes, signal });
}

async function readAll(store: SnapshotStore): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  if (store.newest !== undefined) {
    for await (const piece of store.read(store.newest)) all.push(piece);
  }
  return Buffer.concat(all);
}

async function flip(disk: Disk, path: string, at: number): Promise<void> {
  const file = await disk.open(path, { create: false });
  const byte = new Uint8Array(1);
  await file.readAt(byte, at);
  await file.writeAt([byte.map((value) => value ^ 1)], at);
  await file.close();
}

test("A snapshot is there with its description after a restart", async (t) => {
  const disk = new MemoryDisk();
  const written = await (await SnapshotStore.open(disk)).write(meta(12, 3), pieces(IMAGE));
  t.deepEqual(written, expected(12));
  const store = await SnapshotStore.open(disk);
  t.deepEqual(store.newest, expected(12));
  t.is(Buffer.compare(await readAll(store), IMAGE), 0);
});

test("An empty image is a snapshot too", async (t) => {
  const store = await SnapshotStore.open(new MemoryDisk());
  t.is((await store.write(meta(1, 1), pieces(new Uint8Array(0)))).sizeBytes, 0);
  t.is((await readAll(store)).length, 0);
});

test("The newest snapshot is the one with the highest index; prune removes older ones", async (t) => {
  const disk = new MemoryDisk();
  const store = await SnapshotStore.open(disk);
  for (const index of [200, 9, 30]) await store.write(meta(index, 3), pieces(IMAGE));
  t.is<number | undefined, number>(store.newest?.meta.index, 200);
  await store.prune(logIndex(200));
  t.deepEqual(store.find(meta(200, 3)), expected(200));
  t.is(store.find(meta(30, 3)), undefined);
  t.is((await disk.list("snapshots")).length, 1);
  const reopened = await SnapshotStore.open(disk);
  t.deepEqual(reopened.newest, expected(200));
});

test("A received snapshot is kept only if size and checksum are those announced", async (t) => {
  const disk = new MemoryDisk();
  const store = await SnapshotStore.open(disk);
  const changed = new Uint8Array(IMAGE);
  changed[5] = 99;
  t.is(await receive(store, expected(5), pieces(changed)), undefined);
  t.is(await receive(store, expected(5, IMAGE.subarray(1)), pieces(IMAGE)), undefined);
  t.is(await receive(store, expected(5), pieces(IMAGE), 7), undefined);
  t.deepEqual(await receive(store, expected(5), pieces(IMAGE)), expected(5));
  t.is(Buffer.compare(await readAll(store), IMAGE), 0);
  t.is((await disk.list("snapshots")).length, 1);
});

test("A snapshot whose transfer breaks goes on where it was, and only that one", async (t) => {
  const disk = new MemoryDisk();
  const store = await SnapshotStore.open(disk);
  t.is(await receive(store, expected(5), broken()), undefined);
  t.is(store.held(expected(5)), 1_000);
  t.is(store.held(expected(6)), 0);
  t.is(store.held(expected(5, IMAGE.subarray(1))), 0);
  // An offset above 0 never begins anything: neither for another snapshot nor with a gap.
  t.is(await receive(store, expected(6), pieces(IMAGE.subarray(1_000)), 1_000), undefined);
  t.is(await receive(store, expected(5), pieces(IMAGE.subarray(2_000)), 2_000), undefined);
  t.is(store.held(expected(5)), 1_000);
  const rest = await receive(store, expected(5), pieces(IMAGE.subarray(1_000)), 1_000);
  t.deepEqual(rest, expected(5));
  t.is(Buffer.compare(await readAll(store), IMAGE), 0);
  t.is(store.held(expected(5)), IMAGE.length);
  t.is((await disk.list("snapshots")).length, 1);
});

test("Another snapshot takes the place of one that was not finished", async (t) => {
  const disk = new MemoryDisk();
  const store = await SnapshotStore.open(disk);
  t.is(await receive(store, expected(5), broken()), undefined);
  t.deepEqual(await receive(store, expected(6), pieces(IMAGE)), expected(6));
  t.is(store.held(expected(5)), 0);
  t.is((await disk.list("snapshots")).length, 1);
});

test("A transfer that hangs can be given up, and goes on later", async (t) => {
  const store = await SnapshotStore.open(new MemoryDisk());
  const abort = new AbortController();
  let isHanging: () => void = () => {};
  const hangs = new Promise<void>((resolve) => {
    isHanging = resolve;
  });
  const hanging = async function* (): AsyncIterable<Uint8Array> {
    yield IMAGE.subarray(0, 500);
    isHanging();
    await new Promise(() => {});
  };
  const arrival = { offset: 0, pieces: hanging(), signal: abort.signal };
  const taking = store.receive(expected(5), arrival);
  await hangs;
  abort.abort();
  t.is(await taking, undefined);
  t.is(store.held(expected(5)), 500);
  const rest = await receive(store, expected(5), pieces(IMAGE.subarray(500)), 500);
  t.deepEqual(rest, expected(5));
});

test("A snapshot that is written while one of its name is removed stays", async (t) => {
  const disk = new MemoryDisk();
  const store = await SnapshotStore.open(disk);
  const first = await store.write(meta(5, 3), pieces(IMAGE));
  const inner = disk.remove.bind(disk);
  let letRemove: () => void = () => {};
  const mayRemove = new Promise<void>((resolve) => {
    letRemove = resolve;
  });
  disk.remove = async (path) => {
    await mayRemove;
    await inner(path);
  };
  const removing = store.remove(first);
  const again = receive(store, expected(5), pieces(IMAGE));
  letRemove();
  await removing;
  t.deepEqual(await again, expected(5));
  t.is(Buffer.compare(await readAll(store), IMAGE), 0);
});

test("A failure of the disk while receiving is not taken for one of the sender", async (t) => {
  const inner = new MemoryDisk();
  const disk = new Proxy(inner, {
    get: (target, name) =>
      name === "syncFolder"
        ? async (path: string) => {
            if (path === "snapshots") throw new Error("the disk is gone");
          }
        : Reflect.get(target, name).bind(target),
  });
  const store = await SnapshotStore.open(disk);
  await t.throwsAsync(receive(store, expected(5), pieces(IMAGE)), { message: /disk is gone/ });
});

test("What was not finished, and what has a damaged header, is removed at the start", async (t) => {
  const disk = new MemoryDisk();
  const store = await SnapshotStore.open(disk);
  await store.write(meta(5, 3), pieces(IMAGE));
  await store.write(meta(6, 3), pieces(IMAGE));
  await disk.open("snapshots/1.part", { create: true });
  await disk.open("snapshots/0000000000000009-0000000000000001.snapshot", { create: true });
  const names = await disk.list("snapshots");
  await flip(disk, `snapshots/${names.find((name) => name.includes("6-"))}`, 20);
  const reopened = await SnapshotStore.open(disk);
  t.deepEqual(reopened.newest, expected(5));
  t.is((await disk.list("snapshots")).length, 1);
});
