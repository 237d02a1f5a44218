import { chunkHandle, GiB } from "@lumeofs/base";
import test from "ava";
import { chooseDisk, type DiskRoom } from "./choose-disk.js";

function rooms(...free: readonly number[]): readonly DiskRoom[] {
  return free.map((freeBytes, i) => ({ uuid: `disk-${i}`, freeBytes, isOpen: true }));
}

function shares(of: readonly DiskRoom[], count: number): readonly number[] {
  const counts = of.map(() => 0);
  for (let handle = 64; handle < 64 + count; handle++) {
    const at = chooseDisk(chunkHandle(handle), of);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts.map((one) => one / count);
}

test("chooseDisk() spreads chunks in proportion to the room of the disks", (t) => {
  for (const [found, expected] of [
    [shares(rooms(GiB, GiB), 20_000), [0.5, 0.5]],
    [shares(rooms(3 * GiB, GiB), 20_000), [0.75, 0.25]],
    [shares(rooms(4 * GiB, 4 * GiB, 2 * GiB), 20_000), [0.4, 0.4, 0.2]],
  ] as const) {
    for (const [i, share] of expected.entries()) {
      t.true(Math.abs((found[i] ?? 0) - share) < 0.02, `${found} for ${expected}`);
    }
  }
});

test("chooseDisk() chooses the same again, wherever a disk stands in the list", (t) => {
  const all = rooms(GiB, 2 * GiB, 5 * GiB);
  const reversed = all.toReversed();
  for (let handle = 1; handle < 500; handle++) {
    const one = all[chooseDisk(chunkHandle(handle), all)];
    t.is(reversed[chooseDisk(chunkHandle(handle), reversed)], one);
  }
});

test("chooseDisk() moves no other chunk when one disk goes", (t) => {
  const all = rooms(GiB, GiB, GiB);
  const left = all.slice(0, 2);
  for (let handle = 1; handle < 500; handle++) {
    const before = all[chooseDisk(chunkHandle(handle), all)];
    const after = left[chooseDisk(chunkHandle(handle), left)];
    if (before !== all[2]) t.is(after, before);
  }
});

test("chooseDisk() takes a full disk only if all are full", (t) => {
  const full = rooms(GiB, GiB).map((one) => ({ ...one, isOpen: false }));
  const [a, b] = full as [DiskRoom, DiskRoom];
  for (let handle = 1; handle < 200; handle++) {
    t.is(chooseDisk(chunkHandle(handle), [a, { ...b, isOpen: true }]), 1);
    t.true([0, 1].includes(chooseDisk(chunkHandle(handle), full)));
  }
  t.is(chooseDisk(chunkHandle(5), rooms(0)), 0);
});
