// The log of base/wal by itself: group commit, torn tails, damage, resynchronisation.

import {
  type Disk,
  KiB,
  SEGMENT_HEADER_BYTES,
  SeededRandom,
  Wal,
  type WalMark,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { MemoryDisk, SimDisk } from "@lumeofs/testkit";
import test from "ava";
import fc from "fast-check";

const OWNER = new Uint8Array(16).fill(7);
const bytesOf = (text: string) => new TextEncoder().encode(text);

async function open(disk: Disk, from?: WalMark, segmentBytes = 1 * KiB) {
  const wal = await Wal.open(disk, {
    folder: "log",
    owner: OWNER,
    crc32c: nativeCrc32c,
    segmentBytes,
  });
  const found: string[] = [];
  let mark: WalMark | undefined = from;
  for await (const item of wal.replay(from)) {
    if (item.kind === "record") found.push(new TextDecoder().decode(item.body));
    else if (item.kind === "damage") found.push(`damage ${item.segment}`);
    else found.push("torn");
    if (item.kind !== "tornTail") mark = item.after;
  }
  return { wal, found, mark };
}

async function append(wal: Wal, text: string): Promise<WalMark> {
  let mark: WalMark | undefined;
  await wal.append([bytesOf(text)], (_place, after) => {
    mark = after;
  });
  return mark as WalMark;
}

test("a record is, byte for byte, what docs/formats/wal.md shows", async (t) => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await append(wal, "hi");
  await wal.close();
  const file = await disk.open("log/000000000001.wal", { create: false });
  const bytes = Buffer.alloc(96);
  t.is(await file.readAt(bytes, 0), 96);
  t.is(bytes.subarray(0, 8).toString(), "LUMEOWAL");
  t.is(
    bytes.subarray(SEGMENT_HEADER_BYTES).toString("hex"),
    "4c524543020000000000000040000000000000005850ec296869000000000000",
  );
});

test("everybody who waits shares one write and one sync, and is told in order", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(1) });
  const { wal } = await open(machine.mount(), undefined, 1_024 * KiB);
  await append(wal, "first");
  const before = machine.calls;
  const told: number[] = [];
  await Promise.all(
    Array.from({ length: 500 }, (_, i) => wal.append([bytesOf(`${i}`)], () => told.push(i))),
  );
  t.is(machine.calls - before, 2);
  t.deepEqual(
    told,
    Array.from({ length: 500 }, (_, i) => i),
  );
  await wal.close();
});

test("replay gives back what was appended, over segments and starts, and from any mark", async (t) => {
  const sizes = fc.array(fc.nat(700), { minLength: 1, maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), async (lengths, cut) => {
      const disk = new MemoryDisk();
      const texts = lengths.map((length, i) => `${i}`.padEnd(length, "x"));
      const marks: WalMark[] = [];
      const half = cut % texts.length;
      let opened = await open(disk);
      for (const text of texts.slice(0, half)) marks.push(await append(opened.wal, text));
      await opened.wal.close();
      opened = await open(disk);
      for (const text of texts.slice(half)) marks.push(await append(opened.wal, text));
      await opened.wal.close();
      t.deepEqual((await open(disk)).found, texts);
      const from = cut % marks.length;
      t.deepEqual((await open(disk, marks[from])).found, texts.slice(from + 1));
    }),
    { numRuns: 40 },
  );
});

test("a copy of a whole segment inside a record is not taken for records", async (t) => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk, undefined, 64 * KiB);
  for (let i = 0; i < 5; i++) await append(wal, `record ${i}`);
  const file = await disk.open("log/000000000001.wal", { create: false });
  const copy = Buffer.alloc(await file.size());
  await file.readAt(copy, 0);
  await wal.append([copy], () => undefined);
  await append(wal, "after");
  await file.writeAt([Uint8Array.of(0)], SEGMENT_HEADER_BYTES + 5 * 32 + 1); // the copy's record
  await wal.close();
  const { found } = await open(disk);
  t.deepEqual(found, [0, 1, 2, 3, 4].map((i) => `record ${i}`).concat("damage 1", "after"));
});

test("a damaged place is torn at the end of the log, and damage before a mark or another batch", async (t) => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk, undefined, 64 * KiB);
  await append(wal, "one");
  await append(wal, "two");
  const mark = await append(wal, "three");
  await wal.close();
  const file = await disk.open("log/000000000001.wal", { create: false });
  const size = await file.size();
  await file.writeAt([Uint8Array.of(0xff)], size - 4); // inside "three"
  t.deepEqual((await open(disk, mark)).found, []);
  t.deepEqual((await open(disk, { ...mark, position: SEGMENT_HEADER_BYTES, chain: 0 })).found, [
    "one",
    "two",
    "torn",
  ]);
  t.is(await file.size(), size - 32);
  await file.writeAt([Uint8Array.of(0xff)], SEGMENT_HEADER_BYTES + 26); // inside "one"
  t.deepEqual((await open(disk)).found, ["damage 1", "two"]);
});

test("a mark behind the end of the log means that the end was lost", async (t) => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk, undefined, 64 * KiB);
  await append(wal, "one");
  const mark = await append(wal, "two");
  await wal.close();
  const file = await disk.open("log/000000000001.wal", { create: false });
  await file.truncate(SEGMENT_HEADER_BYTES + 32);
  t.deepEqual((await open(disk, mark)).found, ["damage 1"]);
  await disk.remove("log/000000000001.wal");
  t.deepEqual((await open(disk, mark)).found, ["damage 1"]);
});

test("a lost end of an older segment is noticed by the header of the next", async (t) => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk, undefined, 128);
  for (const text of ["one", "two", "three", "four"]) await append(wal, text);
  await wal.close();
  const file = await disk.open("log/000000000001.wal", { create: false });
  await file.truncate(SEGMENT_HEADER_BYTES + 32);
  t.deepEqual((await open(disk)).found, ["one", "damage 2", "three", "four"]);
});

test("a segment of another store stops the start", async (t) => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await append(wal, "one");
  await wal.close();
  const other = { folder: "log", owner: new Uint8Array(16), crc32c: nativeCrc32c };
  const foreign = await Wal.open(disk, other);
  await t.throwsAsync(foreign.replay(undefined).next(), { code: "CORRUPT" });
});

test("after an error of the disk every append is refused", async (t) => {
  let isBroken = false;
  const faultOf = ({ kind }: { kind: string }) => (isBroken && kind === "sync" ? "EIO" : undefined);
  const machine = new SimDisk({ random: new SeededRandom(1), faultOf });
  const { wal } = await open(machine.mount());
  await append(wal, "one");
  isBroken = true;
  const waiting = ["two", "three"].map((text) => append(wal, text));
  for (const one of waiting) await t.throwsAsync(one, { code: "STORE_FAILED" });
  isBroken = false;
  await t.throwsAsync(append(wal, "four"), { code: "STORE_FAILED" });
  await wal.close();
});
