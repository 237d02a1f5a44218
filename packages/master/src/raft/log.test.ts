import { integerBetween, SeededRandom } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { type Entry, type LogIndex, logIndex, type Term, term } from "./entry.js";
import { type LogChange, RaftLog } from "./log.js";
import type { LogReader } from "./message.js";

/** The disk: takes changes when the test says so. */
class Durable implements LogReader {
  kept: Entry[] = [];
  readonly first = logIndex(1);

  get last(): LogIndex {
    return logIndex(this.kept.length);
  }

  termAt(index: LogIndex): Term {
    return this.kept[index - 1]?.term ?? term(0);
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    const found: Entry[] = [];
    for (let bytes = 0, index = from - 1; index < to; index++) {
      const entry = this.kept[index];
      if (entry === undefined) break;
      bytes += entry.data.byteLength;
      if (bytesMax < bytes && 0 < found.length) break;
      found.push(entry);
    }
    return found;
  }

  write(change: LogChange): void {
    if (change.truncateFrom !== undefined) this.kept.length = change.truncateFrom - 1;
    this.kept.push(...change.entries);
  }
}

function entry(index: number, inTerm: number, bytes = 8): Entry {
  return {
    index: logIndex(index),
    term: term(inTerm),
    kind: "command",
    data: new Uint8Array(bytes),
  };
}

test("RaftLog reads as one log, whatever of it is written, under way or forgotten", (t) => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = new SeededRandom(seed);
      const disk = new Durable();
      const log = new RaftLog(disk);
      const model: Entry[] = [];
      const changes: { write: number; change: LogChange }[] = [];
      let [write, inTerm] = [0, 1];
      for (let i = 0; i < 60; i++) {
        const dice = random.fraction();
        if (dice < 0.4) {
          // Large enough that older entries are forgotten and read back.
          const news = entry(model.length + 1, inTerm, 2 ** integerBetween(random, 0, 22));
          model.push(news);
          log.append([news]);
        } else if (dice < 0.5 && 0 < model.length) {
          const from = integerBetween(random, 1, model.length);
          model.length = from - 1;
          inTerm++;
          log.truncate(logIndex(from));
        } else if (dice < 0.75) changes.push({ write: ++write, change: log.hand(write) });
        else {
          const done = changes.shift();
          if (done === undefined) continue;
          disk.write(done.change);
          log.persisted(done.write);
        }
        check(log, model, disk);
      }
    }),
    { numRuns: 60 },
  );
  t.pass();
});

function check(log: RaftLog, model: readonly Entry[], disk: Durable): void {
  if (log.last !== model.length) throw new Error("another length");
  for (let index = log.first; index <= log.last; index = logIndex(index + 1)) {
    if (log.termAt(index) !== model[index - 1]?.term) throw new Error("another term");
  }
  if (0 < model.length) {
    let next = log.first;
    while (next <= log.last) {
      for (const read of log.slice(next, log.last, 1024 * 1024)) {
        if (read !== model[next - 1]) throw new Error("another entry");
        next = logIndex(next + 1);
      }
    }
  }
  for (let index = 0; index < log.durable; index++) {
    if (disk.kept[index] !== model[index]) throw new Error("not durable");
  }
}

test("L4: a write vouches for nothing that was overwritten while it was under way", (t) => {
  const disk = new Durable();
  const log = new RaftLog(disk);
  log.append([entry(1, 1), entry(2, 1)]);
  log.hand(1);
  log.truncate(logIndex(2));
  log.append([entry(2, 2)]);
  log.hand(2);
  log.truncate(logIndex(2));
  log.append([entry(2, 3)]);
  log.hand(3);
  log.persisted(1);
  t.is(log.durable, logIndex(1));
  log.persisted(2);
  t.is(log.durable, logIndex(1));
  log.persisted(3);
  t.is(log.durable, logIndex(2));
});

test("lastWithTermAtMost() finds the last entry of a term, or gives the low end", (t) => {
  const log = new RaftLog(new Durable());
  log.append([1, 1, 3, 3, 3, 6].map((inTerm, i) => entry(i + 1, inTerm)));
  const find = (inTerm: number, low: number, high: number) =>
    log.lastWithTermAtMost(term(inTerm), logIndex(low), logIndex(high));
  t.is(find(3, 0, 6), logIndex(5));
  t.is(find(2, 0, 6), logIndex(2));
  t.is(find(0, 1, 6), logIndex(1));
  t.is(find(9, 0, 6), logIndex(6));
  t.is(find(3, 0, 4), logIndex(4));
});

test("slice() returns at least one entry, however small the limit", (t) => {
  const log = new RaftLog(new Durable());
  log.append([entry(1, 1, 1000), entry(2, 1, 1000)]);
  t.is(log.slice(logIndex(1), logIndex(2), 1).length, 1);
  t.is(log.slice(logIndex(1), logIndex(2), 10_000).length, 2);
});

test("restart() leaves nothing of the log, and later writes count from the snapshot on", (t) => {
  const log = new RaftLog(new Durable());
  log.append([entry(1, 1), entry(2, 1), entry(3, 1)]);
  log.hand(1);
  log.restart(logIndex(2), term(2));
  t.is(log.last, logIndex(2));
  t.is(log.first, logIndex(3));
  t.is(log.lastTerm, term(2));
  log.persisted(1);
  t.is(log.durable, logIndex(2));
  log.append([entry(3, 2)]);
  t.deepEqual(log.hand(2), { truncateFrom: undefined, entries: [entry(3, 2)] });
});

test("append() refuses a gap and a falling term", (t) => {
  const log = new RaftLog(new Durable());
  log.append([entry(1, 2)]);
  t.throws(() => log.append([entry(3, 2)]), { message: /gap/ });
  t.throws(() => log.append([entry(2, 1)]), { message: /terms fall/ });
});
