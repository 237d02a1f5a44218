import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LumeoError } from "@lumeofs/base";
import { testDisk } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import { alignedMemory } from "./aligned-memory.js";
import { FileDisk } from "./file-disk.js";

testDisk(test, "FileDisk", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-disk-"));
  return {
    disk: await FileDisk.open(folder),
    dispose: () => rm(folder, { recursive: true }),
  };
});

async function open(t: ExecutionContext): Promise<{ disk: FileDisk; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-disk-"));
  t.teardown(() => rm(folder, { recursive: true }));
  return { disk: await FileDisk.open(folder), folder };
}

const outside = ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b", "a\\b"];
for (const path of outside) {
  test(`FileDisk refuses the path ${JSON.stringify(path)}`, async (t) => {
    const { disk } = await open(t);
    const error = await t.throwsAsync(disk.open(path, { create: true }), {
      instanceOf: LumeoError,
    });
    t.is(error.code, "INVALID_ARGUMENT");
  });
}

test("File.writeAt() writes more parts than the kernel takes at once", async (t) => {
  const { disk } = await open(t);
  const file = await disk.open("many", { create: true });
  const parts = Array.from({ length: 2_500 }, (_, i) => Uint8Array.of(i & 0xff, i >> 8));
  await file.writeAt(parts, 3);
  const back = new Uint8Array(5_003);
  t.is(await file.readAt(back, 0), 5_003);
  t.deepEqual([...back.subarray(0, 3)], [0, 0, 0]);
  t.deepEqual(
    [...back.subarray(3)],
    parts.flatMap((part) => [...part]),
  );
  await file.close();
});

test("an uncached file has what was written, pages or not, from any memory", async (t) => {
  const { disk } = await open(t);
  const file = await disk.open("uncached", { create: true, uncached: true });
  const pages = new Uint8Array(alignedMemory(64 * 1024)).map((_, i) => (i * 31) ^ (i >> 8));
  const plain = new Uint8Array(10_000).map((_, i) => i * 7);
  const writes = [
    { parts: [pages, pages.subarray(0, 5_000), plain], position: 0 },
    { parts: [plain], position: 80_536 },
    { parts: [pages.subarray(4_096, 12_288)], position: 90_112 },
    { parts: [pages.subarray(1, 5_000)], position: 98_304 },
    { parts: [pages.subarray(0, 4_096)], position: 8_192 },
  ];
  const expected = new Uint8Array(103_303);
  for (const { parts, position } of writes) {
    await file.writeAt(parts, position);
    expected.set(Buffer.concat(parts), position);
  }
  await file.sync();
  const back = new Uint8Array(200_000);
  t.is(await file.readAt(back, 0), expected.byteLength);
  t.true(Buffer.from(back.buffer, 0, expected.byteLength).equals(expected));
  await file.close();
  await t.throwsAsync(file.writeAt([pages], 0), { code: "CLOSED" });
});

test("FileDisk writes durably to the file that was opened, not to another of its name", async (t) => {
  const { disk } = await open(t);
  const file = await disk.open("a", { create: true });
  await disk.rename("a", "b");
  const other = await disk.open("a", { create: true });
  await t.throwsAsync(file.writeDurably([Uint8Array.of(1)], 0), { message: /another file/ });
  t.is(await other.size(), 0);
  await file.close();
  await other.close();
});

test("FileDisk.open() makes missing folders, and says so where the kernel takes none", async (t) => {
  const { folder } = await open(t);
  const deep = join(folder, "a/b/c");
  await Promise.all([FileDisk.open(deep), FileDisk.open(deep)]);
  const file = await (await FileDisk.open(deep)).open("f", { create: true });
  await file.close();
  const under = { instanceOf: LumeoError, message: /Cannot make folder/ };
  await t.throwsAsync(FileDisk.open(join(deep, "f")), under);
  await t.throwsAsync(FileDisk.open(join(deep, "f", "x")), under);
  await t.throwsAsync(FileDisk.open("/proc/lumeofs/x"), under);
});

test("FileDisk says which file is missing", async (t) => {
  const { disk } = await open(t);
  const error = await t.throwsAsync(disk.open("gone", { create: false }), {
    instanceOf: LumeoError,
  });
  t.is(error.code, "NOT_FOUND");
  t.regex(error.message, /"gone"/);
});

test("FileDisk passes a refusal of the kernel on as STORE_FAILED", async (t) => {
  const { disk, folder } = await open(t);
  await symlink("loop", join(folder, "loop"));
  const error = await t.throwsAsync(disk.open("loop", { create: false }), {
    instanceOf: LumeoError,
  });
  t.is(error.code, "STORE_FAILED");
});

test("FileDisk.space() tells a total that is not below what is free", async (t) => {
  const { disk } = await open(t);
  const { totalBytes, freeBytes } = await disk.space();
  t.true(0 < freeBytes && freeBytes <= totalBytes);
});
