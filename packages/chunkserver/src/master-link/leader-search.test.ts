import test from "ava";
import { LeaderSearch } from "./leader-search.js";

test("LeaderSearch asks the masters in turn", (t) => {
  const search = new LeaderSearch(["a", "b"]);
  const asked = [0, 1, 2].map(() => {
    const address = search.next();
    search.failed(undefined);
    return address;
  });
  t.deepEqual(asked, ["a", "b", "a"]);
});

test("LeaderSearch follows a hint at once, and only once", (t) => {
  const search = new LeaderSearch(["a", "b", "c"]);
  search.next();
  search.failed("c");
  t.is(search.pauseMs(0.5), 0);
  t.is(search.next(), "c");
  search.failed("c");
  t.true(0 < search.pauseMs(0.5));
});

test("LeaderSearch turns to the last leader first after a break", (t) => {
  const search = new LeaderSearch(["a", "b", "c"]);
  search.found("c");
  t.is(search.next(), "c");
  search.failed(undefined);
  t.is(search.next(), "a");
});

test("LeaderSearch passes over one that stood still, though others name it, but not for ever", (t) => {
  const search = new LeaderSearch(["a", "b", "c"]);
  search.found("b");
  t.is(search.next(), "b");
  search.stoodStill("b");
  const asked: string[] = [];
  while (asked.length < 20 && asked.at(-1) !== "b") {
    asked.push(search.next());
    search.failed("b");
  }
  t.deepEqual(asked, ["a", "c", "a", "c", "a", "c", "a", "c", "b"]);
  search.found("c");
  search.stoodStill("c");
  search.found("a");
  search.failed("c");
  t.is(search.next(), "c", "it leads again, as somebody says who leads");

  const lone = new LeaderSearch(["a"]);
  lone.stoodStill("a");
  t.is(lone.next(), "a", "there is no other");
});

test("LeaderSearch asks the masters that it hears of, and those it was given behind them", (t) => {
  const search = new LeaderSearch(["a", "b"]);
  search.follow(["c", "b"]);
  search.follow([]);
  const asked = [0, 1, 2, 3].map(() => {
    const address = search.next();
    search.failed(undefined);
    return address;
  });
  t.deepEqual(asked, ["c", "b", "a", "c"]);
});
