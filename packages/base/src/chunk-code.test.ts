import test from "ava";
import { CODE_DEFAULT, faultOfCode, formatCode, isSameCode, parseCode } from "./chunk-code.js";
import { KiB, MiB } from "./units.js";

test("a code is written as people write it, and read back", (t) => {
  t.is(formatCode(CODE_DEFAULT), "4+2");
  t.deepEqual(parseCode("4+2"), CODE_DEFAULT);
  const small = { data: 8, parity: 3, cellBytes: 256 * KiB };
  t.is(formatCode(small), "8+3/256KiB");
  t.deepEqual(parseCode("8+3/256KiB"), small);
  t.deepEqual(parseCode("2+1/2MiB"), { data: 2, parity: 1, cellBytes: 2 * MiB });
});

test("what is no code is not read as one", (t) => {
  for (const text of ["", "4", "4+", "0+2", "4+0", "30+3", "4+2/1KiB", "4+2/96KiB", "4+2/5MiB"]) {
    t.is(parseCode(text), undefined, text);
  }
  t.regex(faultOfCode({ ...CODE_DEFAULT, parity: 29 }) ?? "", /together 32 at most/);
});

test("codes are the same if all their numbers are", (t) => {
  t.true(isSameCode(CODE_DEFAULT, { ...CODE_DEFAULT }));
  t.false(isSameCode(CODE_DEFAULT, { ...CODE_DEFAULT, cellBytes: 64 * KiB }));
  t.true(isSameCode(undefined, undefined));
  t.false(isSameCode(CODE_DEFAULT, undefined));
});
