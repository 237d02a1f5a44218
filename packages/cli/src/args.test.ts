import test from "ava";
import fc from "fast-check";
import {
  parseCount,
  parseDuration,
  parseEndpoints,
  parseRange,
  parseSize,
  UsageError,
} from "./args.js";

test("parseSize() reads bytes and powers of 1024", (t) => {
  t.is(parseSize("0"), 0);
  t.is(parseSize("4096"), 4096);
  t.is(parseSize("64K"), 65_536);
  t.is(parseSize("64M"), 67_108_864);
  t.is(parseSize("1GiB"), 1_073_741_824);
  t.is(parseSize("1.5g"), 1_610_612_736);
});

test("parseDuration() reads units, and seconds without one", (t) => {
  t.is(parseDuration("250ms"), 250);
  t.is(parseDuration("30"), 30_000);
  t.is(parseDuration("30s"), 30_000);
  t.is(parseDuration("5m"), 300_000);
  t.is(parseDuration("0.5h"), 1_800_000);
});

test("sizes, durations, counts and ranges refuse everything else as wrong usage", (t) => {
  for (const text of ["", "x", "-1", "1T", "1 2", "0x10", "1.5", "9999999999999G"]) {
    t.throws(() => parseSize(text), { instanceOf: UsageError }, text);
  }
  for (const text of ["", "0", "1w", "-1s", "99999h"]) {
    t.throws(() => parseDuration(text), { instanceOf: UsageError }, text);
  }
  for (const text of ["", "0", "8", "1.5", "2x"]) {
    t.throws(() => parseCount(text, 1, 7), { instanceOf: UsageError }, text);
  }
  for (const text of ["", "-", "-5", "5", "9-3", "1-2-3"]) {
    t.throws(() => parseRange(text), { instanceOf: UsageError }, text);
  }
});

test("parseRange() includes both ends, as HTTP does", (t) => {
  t.deepEqual(parseRange("0-99"), { start: 0, end: 100 });
  t.deepEqual(parseRange("1K-"), { start: 1024 });
});

test("parseEndpoints() joins repeated flags and comma-separated lists", (t) => {
  t.deepEqual(parseEndpoints(["a:1,b:2", "lumeo://c:3"]), ["a:1", "b:2", "c:3"]);
  t.deepEqual(parseEndpoints([""]), []);
  t.deepEqual(parseEndpoints(["[::1]:7400"]), ["[::1]:7400"]);
  for (const text of ["a", "a:0", "a:65536", ":7400", "http://a:1"]) {
    t.throws(() => parseEndpoints([text]), { instanceOf: UsageError }, text);
  }
});

test("parseSize() never answers with something that is not a safe number of bytes", (t) => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        return Number.isSafeInteger(parseSize(text));
      } catch (error) {
        return error instanceof UsageError;
      }
    }),
  );
  t.pass();
});
