import { hashBytes, inodeId } from "@lumeofs/base";
import test from "ava";
import { entryKey, inodeKey } from "../metadata/keys.js";
import { FreshNames } from "./fresh-names.js";

const LAST = 10;

function nameOf(parent: number, n: number): Uint8Array {
  return entryKey(inodeId(parent), `file-${n}`);
}

function mayHold(names: FreshNames, key: Uint8Array): boolean {
  return names.mayHold(key, hashBytes(key));
}

test("every name that was noted may be there, and of the others nearly none", (t) => {
  const names = new FreshNames(LAST);
  const count = 50_000; // several filters
  for (let n = 0; n < count; n++) names.add(nameOf(11 + (n % 3), n), LAST);
  let missing = 0;
  let mistaken = 0;
  for (let n = 0; n < count; n++) {
    if (!mayHold(names, nameOf(11 + (n % 3), n))) missing++;
    if (mayHold(names, nameOf(11 + (n % 3), n + count))) mistaken++;
  }
  t.is(missing, 0);
  t.true(mistaken < count / 50, `${mistaken} of ${count}`);
});

test("what is no name, or in a directory from before, has to be looked for", (t) => {
  const names = new FreshNames(LAST);
  t.true(mayHold(names, nameOf(LAST, 1)));
  t.true(mayHold(names, inodeKey(inodeId(11))));
  t.false(mayHold(names, nameOf(LAST + 1, 1)));
});

test("with too many names the filter begins again behind the directories that are there", (t) => {
  const names = new FreshNames(LAST);
  const key = nameOf(11, 0);
  for (let n = 0; n <= 2 ** 22; n++) names.add(key, 500);
  t.true(mayHold(names, nameOf(11, 1)));
  t.true(mayHold(names, nameOf(500, 1)));
  t.false(mayHold(names, nameOf(501, 1)));
});
