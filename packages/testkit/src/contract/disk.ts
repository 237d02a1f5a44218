// What every Disk must do, as tests. Run for MemoryDisk, SimDisk and the real one, so that what a
// store learns in simulation holds on a machine.

import { type Disk, LumeoError } from "@lumeofs/base";
import type { TestFn } from "ava";

/** An empty disk, and how to be rid of it. */
export interface DiskUnderTest {
  readonly disk: Disk;
  dispose(): Promise<void>;
}

/** Declares the tests of the contract for one kind of disk. */
export function testDisk(test: TestFn, name: string, make: () => Promise<DiskUnderTest>): void {
  const check = (title: string, body: (disk: Disk) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => {
      const { disk, dispose } = await make();
      try {
        await body(disk);
        t.pass();
      } finally {
        await dispose();
      }
    });
  };
  testBytes(check);
  testLengths(check);
  testNames(check);
}

type Check = (title: string, body: (disk: Disk) => Promise<void>) => void;

function testBytes(check: Check): void {
  check("what was written is read", async (disk) => {
    const file = await disk.open("a", { create: true });
    await file.writeAt([bytes(1, 2), bytes(), bytes(3)], 0);
    await file.sync();
    await mustRead(file, 0, [1, 2, 3]);
    await mustRead(file, 1, [2, 3]);
    await file.close();
    const again = await disk.open("a", { create: false });
    await mustRead(again, 0, [1, 2, 3]);
    await again.close();
  });

  check("a write behind the end leaves zeros before it", async (disk) => {
    const file = await disk.open("a", { create: true });
    await file.writeAt([bytes(7)], 3);
    await mustRead(file, 0, [0, 0, 0, 7]);
    await file.close();
  });

  check("a write in the middle changes nothing else", async (disk) => {
    const file = await disk.open("a", { create: true });
    await file.writeAt([bytes(1, 2, 3, 4)], 0);
    await file.writeAt([bytes(8, 9)], 1);
    await mustRead(file, 0, [1, 8, 9, 4]);
    await file.close();
  });

  check("a durable write is a write", async (disk) => {
    const file = await disk.open("a", { create: true });
    await file.writeAt([bytes(1, 2)], 0);
    await file.writeDurably([bytes(3), bytes(), bytes(4, 5)], 2);
    await file.writeDurably([bytes(9)], 1);
    await mustRead(file, 0, [1, 9, 3, 4, 5]);
    await file.truncate(3);
    await file.writeDurably([bytes(6)], 3);
    await mustRead(file, 0, [1, 9, 3, 6]);
    await file.close();
    let isRefused = false;
    await file.writeDurably([bytes(1)], 0).catch(() => {
      isRefused = true;
    });
    must(isRefused, "a closed file refuses");
  });

  check("many parts land one behind the other", async (disk) => {
    const file = await disk.open("a", { create: true });
    const parts = Array.from({ length: 3000 }, (_, i) => bytes(i % 251, i % 7));
    await file.writeAt(parts, 5);
    must((await file.size()) === 6005, "length of all parts");
    await mustRead(file, 5 + 2 * 2999, [2999 % 251, 2999 % 7]);
    await file.close();
  });

  check("reading behind the end gives nothing", async (disk) => {
    const file = await disk.open("a", { create: true });
    await file.writeAt([bytes(1, 2)], 0);
    must((await file.readAt(new Uint8Array(4), 2)) === 0, "nothing at the end");
    must((await file.readAt(new Uint8Array(4), 9)) === 0, "nothing behind the end");
    must((await file.readAt(new Uint8Array(4), 1)) === 1, "one byte before the end");
    await file.close();
  });

  check("a closed file refuses", async (disk) => {
    const file = await disk.open("a", { create: true });
    await file.close();
    await mustReject(() => file.writeAt([bytes(1)], 0), undefined);
    await mustReject(() => file.readAt(new Uint8Array(1), 0), undefined);
  });
}

function testLengths(check: Check): void {
  check("truncate shortens, and lengthens with zeros", async (disk) => {
    const file = await disk.open("a", { create: true });
    await file.writeAt([bytes(1, 2, 3)], 0);
    await file.truncate(1);
    must((await file.size()) === 1, "shorter");
    await file.truncate(3);
    await mustRead(file, 0, [1, 0, 0]);
    must((await file.size()) === 3, "longer");
    await file.close();
  });
}

function testNames(check: Check): void {
  check("a missing file is NOT_FOUND", async (disk) => {
    await mustReject(() => disk.open("a", { create: false }), "NOT_FOUND");
    await mustReject(() => disk.remove("a"), "NOT_FOUND");
    await mustReject(() => disk.rename("a", "b"), "NOT_FOUND");
    await mustReject(() => disk.open("no/a", { create: true }), "NOT_FOUND");
    must(!(await disk.exists("a")), "does not exist");
  });

  check("create keeps what is there", async (disk) => {
    await put(disk, "a", [5]);
    const file = await disk.open("a", { create: true });
    await mustRead(file, 0, [5]);
    await file.close();
  });

  check("a folder lists its own names in order", async (disk) => {
    await disk.makeFolder("f/g");
    await put(disk, "f/b", []);
    await put(disk, "f/a", []);
    await put(disk, "f/g/x", []);
    await put(disk, "z", []);
    mustEqual(await disk.list("f"), ["a", "b", "g"]);
    mustEqual(await disk.list(""), ["f", "z"]);
    mustEqual(await disk.list("none"), []);
    must((await disk.exists("f")) && (await disk.exists("f/g/x")), "folders and files exist");
  });

  check("making a folder twice is harmless", async (disk) => {
    await disk.makeFolder("f");
    await put(disk, "f/a", [1]);
    await disk.makeFolder("f");
    mustEqual(await disk.list("f"), ["a"]);
  });

  check("rename moves and replaces", async (disk) => {
    await disk.makeFolder("f");
    await put(disk, "a", [1]);
    await put(disk, "f/b", [2]);
    await disk.rename("a", "f/b");
    await disk.syncFolder("");
    await disk.syncFolder("f");
    must(!(await disk.exists("a")), "the old name is gone");
    const file = await disk.open("f/b", { create: false });
    await mustRead(file, 0, [1]);
    await file.close();
  });

  check("remove takes the name away", async (disk) => {
    await put(disk, "a", [1]);
    await disk.remove("a");
    await disk.syncFolder("");
    mustEqual(await disk.list(""), []);
  });

  check("space shows what there is", async (disk) => {
    const { totalBytes, freeBytes } = await disk.space();
    must(0 < totalBytes && 0 <= freeBytes && freeBytes <= totalBytes, "plausible space");
  });
}

async function put(disk: Disk, path: string, content: readonly number[]): Promise<void> {
  const file = await disk.open(path, { create: true });
  await file.writeAt([bytes(...content)], 0);
  await file.sync();
  await file.close();
}

async function mustRead(
  file: Awaited<ReturnType<Disk["open"]>>,
  position: number,
  expected: readonly number[],
): Promise<void> {
  const into = new Uint8Array(expected.length);
  const count = await file.readAt(into, position);
  mustEqual([...into.subarray(0, count)], expected);
}

async function mustReject(act: () => Promise<unknown>, code: string | undefined): Promise<void> {
  const error = await act().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  must(error !== undefined, "the call should have been refused");
  if (code !== undefined) {
    must(error instanceof LumeoError && error.code === code, `refused with ${code}: ${error}`);
  }
}

function mustEqual(actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  must(is === should, `is ${is}, should be ${should}`);
}

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`The disk breaks its contract: ${what}`);
}

function bytes(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values);
}
