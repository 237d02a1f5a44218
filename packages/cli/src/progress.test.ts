import test from "ava";
import { plainText } from "./progress.js";

const MIB = 2 ** 20;

test("plainText() tells files, bytes, rate and what is left", (t) => {
  const counts = {
    ...{ filesTotal: 40, filesDone: 12, isBounded: true },
    ...{ bytesTotal: 300 * MIB, bytesDone: 100 * MIB },
  };
  t.is(plainText(counts, 5_000), "12 of 40 files, 100 MiB of 300 MiB, 20.0 MiB/s, 10.0 s left");
});

test("plainText() promises no end where the size is not known, or nothing has moved", (t) => {
  const counts = { filesTotal: 1, filesDone: 0, bytesTotal: 0, bytesDone: MIB, isBounded: false };
  t.is(plainText(counts, 500), "0 of 1 file, 1.0 MiB, 2.0 MiB/s");
  const still = { ...counts, bytesDone: 0, bytesTotal: MIB, isBounded: true };
  t.is(plainText(still, 500), "0 of 1 file, 0 B of 1.0 MiB, 0 B/s");
});
