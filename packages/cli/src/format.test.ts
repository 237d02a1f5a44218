import test from "ava";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatLifetime,
  formatRate,
  plural,
} from "./format.js";

test("formatBytes() chooses the unit", (t) => {
  t.deepEqual([0, 1023, 1536, 200 * 2 ** 20, 2 ** 31].map(formatBytes), [
    ...["0 B", "1023 B", "1.5 KiB", "200 MiB", "2.0 GiB"],
  ]);
});

test("formatDuration() chooses the unit", (t) => {
  t.deepEqual([0, 999, 1_500, 61_500, 7_260_000].map(formatDuration), [
    ...["0 ms", "999 ms", "1.5 s", "1m 02s", "2h 1m"],
  ]);
});

test("formatLifetime() counts days as people write them", (t) => {
  const hour = 3_600_000;
  t.deepEqual([7 * 24 * hour, 36 * hour, 47.9 * hour, 2 * hour].map(formatLifetime), [
    ...["7d", "1d 12h", "2d", "2h 0m"],
  ]);
});

test("formatRate() and plural() read well", (t) => {
  t.is(formatRate(3 * 2 ** 20, 1_500), "2.0 MiB/s");
  t.is(formatRate(5, 0), "0 B/s");
  t.is(plural(1, "file"), "1 file");
  t.is(plural(5_321, "file"), "5,321 files");
  t.is(plural(2, "entry"), "2 entries");
  t.is(formatCount(1_234_567), "1,234,567");
});
