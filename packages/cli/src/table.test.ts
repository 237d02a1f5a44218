import test from "ava";
import { table } from "./table.js";

const HEAD = ["NODE", "STATE", "JOBS"];
const ROWS = [
  ["cs1", "alive", ""],
  ["cs10", "suspect, lost", "3 4"],
];

test("a table has columns as wide as their longest value", async (t) => {
  const expected = ["NODE  STATE          JOBS", "cs1   alive", "cs10  suspect, lost  3 4"];
  t.is(await table(HEAD, ROWS, undefined), expected.join("\n"));
  t.is(await table(HEAD, ROWS, 25), expected.join("\n"), "it just fits");
});

test("a table that does not fit the terminal becomes a block for each row", async (t) => {
  const expected = ["NODE   cs1", "STATE  alive", "", "NODE   cs10", "STATE  suspect, lost"];
  t.is(await table(HEAD, ROWS, 24), [...expected, "JOBS   3 4"].join("\n"));
  t.is(await table(HEAD, [], 5), "NODE STATE JOBS");
});
