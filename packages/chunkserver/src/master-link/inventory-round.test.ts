import { chunkHandle } from "@lumeofs/base";
import test from "ava";
import { InventoryRound } from "./inventory-round.js";

const PAGE = 3;

/** The next page of a store with these handles. */
function tell(round: InventoryRound, held: readonly number[]): readonly number[] {
  const after = round.next(Math.max(0, ...held)) ?? 0;
  const page = held.filter((handle) => after < handle).slice(0, PAGE);
  const replicas = page.map((handle) => ({ handle: chunkHandle(handle) }));
  round.passed(replicas, PAGE);
  return page;
}

test("a round tells all that is held, page by page, and begins anew", (t) => {
  const round = new InventoryRound();
  const held = [2, 3, 5, 7, 11];
  t.deepEqual(
    [1, 2, 3].map(() => tell(round, held)),
    [
      [2, 3, 5],
      [7, 11],
      [2, 3, 5],
    ],
  );
  t.deepEqual(tell(new InventoryRound(), []), []);
});

test("a round begins anew though more is written all the time than a page can tell", (t) => {
  for (const pace of [1, PAGE, 2 * PAGE]) {
    const round = new InventoryRound();
    const held = [1, 2, 3, 4, 5, 6, 7];
    let firsts = 0;
    for (let pages = 0; pages < 40; pages++) {
      if (tell(round, held)[0] === 1) firsts++;
      for (let i = 0; i < pace; i++) held.push(held.length + 1);
    }
    // What grows by a page or more for each page that is told takes ever longer rounds.
    t.true(3 <= firsts, `${firsts} rounds began while ${pace} were written for each page`);
  }
});

test("a page that is whole and ends the round is followed by the first one", (t) => {
  const round = new InventoryRound();
  const held = [1, 2, 3];
  t.deepEqual([tell(round, held), tell(round, held)], [held, held]);
});

test("a round is whole when each of its pages was judged and obeyed", (t) => {
  const round = new InventoryRound();
  const held = [1, 2, 3, 4, 5];
  t.deepEqual([round.begun, round.whole], [0, 0]);
  tell(round, held);
  round.told();
  t.deepEqual([round.begun, round.whole], [1, 0]);
  tell(round, held);
  t.is(round.whole, 0, "the last page is on its way");
  round.told();
  t.deepEqual([round.begun, round.whole], [1, 1]);
});

test("a page that was not judged spoils its round, wherever it is, and no other one", (t) => {
  for (const missing of [0, 1, 2]) {
    const round = new InventoryRound();
    const held = [1, 2, 3, 4, 5, 6, 7];
    const pages = (lost: number | undefined): void => {
      for (let page = 0; page < 3; page++) {
        tell(round, held);
        if (page !== lost) round.told();
      }
    };
    pages(undefined);
    t.is(round.whole, 1);
    pages(missing);
    t.deepEqual([round.begun, round.whole], [2, 1], `page ${missing}`);
    pages(undefined);
    t.deepEqual([round.begun, round.whole], [3, 3], `page ${missing}`);
  }
});

test("rounds of a store that is empty are whole", (t) => {
  const round = new InventoryRound();
  for (let i = 0; i < 3; i++) {
    tell(round, []);
    round.told();
  }
  t.deepEqual([round.begun, round.whole], [3, 3]);
});
