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
