// Backups of made-up states on a disk in memory: chains, damage, what is missing.

import { type ErrorCode, LumeoError } from "@lumeofs/base";
import { PairSum } from "@lumeofs/node";
import { MemoryDisk } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Backup, Pair } from "../src/backup.js";
import { readCatalogue } from "../src/catalogue.js";
import { chainOf, stateOf } from "../src/chain.js";
import { type Created, createBackup } from "../src/create-backup.js";
import type { ExportedState } from "../src/export-source.js";
import { verifyBackups } from "../src/verify-backups.js";

type State = Readonly<Record<string, string>>;

const bytes = (text: string): Uint8Array => Buffer.from(text);

function pairsOf(state: State): readonly Pair[] {
  const keys = Object.keys(state).sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
  return keys.map((key) => [bytes(key), bytes(state[key] as string)]);
}

/** A state as a master exports it. */
function exported(state: State, revision: number, mode: "full" | "index" = "full"): ExportedState {
  const pairs = pairsOf(state);
  const sum = new PairSum();
  for (const [key, value] of pairs) sum.add(key, value);
  const totals = sum.totals();
  return {
    origin: { clusterId: "c", mode, revision, atMs: 1_000 },
    pairs: (async function* () {
      yield* pairs;
    })(),
    totals: () => totals,
    close: async () => {},
  };
}

function save(
  disk: MemoryDisk,
  state: State,
  revision: number,
  isIncremental = false,
): Promise<Created> {
  return createBackup(disk, exported(state, revision), { isIncremental });
}

async function load(disk: MemoryDisk, backup: Backup): Promise<State> {
  const { backups } = await readCatalogue(disk);
  const state: Record<string, string> = {};
  for await (const [key, value] of stateOf(disk, chainOf(backup, backups))) {
    state[Buffer.from(key).toString()] = Buffer.from(value).toString();
  }
  return state;
}

async function verdicts(disk: MemoryDisk): Promise<readonly string[]> {
  const all: string[] = [];
  for await (const verdict of verifyBackups(disk)) all.push(verdict.kind);
  return all;
}

async function flip(disk: MemoryDisk, name: string, position: number): Promise<void> {
  const file = await disk.open(name, { create: false });
  const one = new Uint8Array(1);
  await file.readAt(one, position);
  await file.writeAt([Uint8Array.of((one[0] as number) ^ 0x10)], position);
  await file.close();
}

async function refused(
  t: ExecutionContext,
  code: ErrorCode,
  run: Promise<unknown>,
): Promise<string> {
  const error = await t.throwsAsync(run, { instanceOf: LumeoError });
  t.is(error.code, code, error.message);
  return error.message;
}

const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 });
const state = fc.dictionary(key, fc.string({ maxLength: 40 }), {
  maxKeys: 30,
  noNullPrototype: true,
});

test("every backup of a chain gives the state that it was made of", async (t) => {
  const states = fc.array(state, { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(states, async (history) => {
      const disk = new MemoryDisk();
      for (const [i, one] of history.entries()) await save(disk, one, 10 + i, 0 < i);
      const { backups } = await readCatalogue(disk);
      t.is(backups.length, history.length);
      for (const [i, backup] of backups.entries()) {
        t.is(backup.base === undefined, i === 0);
        t.deepEqual(await load(disk, backup), history[i]);
      }
    }),
    { numRuns: 50 },
  );
});

test("an incremental backup holds what changed, and no more", async (t) => {
  const disk = new MemoryDisk();
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, `v${i}`]));
  await save(disk, many, 1);
  const { k7: _, ...rest } = many;
  const created = await save(disk, { ...rest, k8: "other", new: "one" }, 2, true);
  t.is(created.kind, "created");
  const { records, removed, totals, base } = created.backup;
  t.deepEqual([records, removed, totals.records, base?.revision], [3, 1, 500, 1]);
  const again = await save(disk, { ...rest, k8: "other", new: "one" }, 2, true);
  t.is(again.kind, "unchanged");
  t.is(again.backup.name, created.backup.name);
});

test("a flipped bit anywhere in a file is found", async (t) => {
  const disk = new MemoryDisk();
  const { backup } = await save(disk, { a: "1", b: "2".repeat(50) }, 1);
  await save(disk, { a: "1", b: "3" }, 2, true);
  t.deepEqual(await verdicts(disk), ["intact", "intact"]);
  for (let position = 0; position < backup.sizeBytes; position++) {
    await flip(disk, backup.name, position);
    const found = await verdicts(disk);
    t.true(
      found.every((verdict) => verdict === "damaged"),
      `bit at ${position}: ${found.join()}`,
    );
    await flip(disk, backup.name, position);
  }
  t.deepEqual(await verdicts(disk), ["intact", "intact"]);
});

test("a file that was cut off is found, at every length", async (t) => {
  const disk = new MemoryDisk();
  const { backup } = await save(disk, { a: "1", b: "2" }, 1);
  for (let length = 0; length < backup.sizeBytes; length++) {
    const copy = new MemoryDisk();
    await save(copy, { a: "1", b: "2" }, 1);
    const file = await copy.open(backup.name, { create: false });
    await file.truncate(length);
    await file.close();
    t.deepEqual(await verdicts(copy), ["damaged"], `${length} bytes`);
  }
});

test("a chain with a missing link is refused with the way out", async (t) => {
  const disk = new MemoryDisk();
  await save(disk, { a: "1" }, 1);
  const middle = await save(disk, { a: "2" }, 2, true);
  const last = await save(disk, { a: "3" }, 3, true);
  await disk.remove(middle.backup.name);
  t.deepEqual(await verdicts(disk), ["intact", "damaged"]);
  const message = await refused(t, "CORRUPT", load(disk, last.backup));
  t.regex(message, /revision 2 .*missing.*make a full one/);
  await refused(t, "CORRUPT", save(disk, { a: "4" }, 4, true));
});

test("another state of the same revision is no base", async (t) => {
  const [disk, other] = [new MemoryDisk(), new MemoryDisk()];
  await save(disk, { a: "1" }, 1);
  await save(disk, { a: "2" }, 2, true);
  await save(other, { a: "9" }, 1);
  const { backups } = await readCatalogue(disk);
  const stranger = (await readCatalogue(other)).backups[0] as Backup;
  const last = backups[1] as Backup;
  t.throws(() => chainOf(last, [stranger, last]), { instanceOf: LumeoError });
});

test("an incremental backup without a full one, or behind the newest, is refused", async (t) => {
  const disk = new MemoryDisk();
  t.regex(await refused(t, "NOT_FOUND", save(disk, {}, 5, true)), /make a full one first/);
  await save(disk, {}, 5);
  await refused(t, "CONFLICT", save(disk, {}, 4, true));
});

test("what breaks off leaves nothing behind", async (t) => {
  const disk = new MemoryDisk();
  const whole = exported({ a: "1" }, 1);
  const broken: ExportedState = {
    ...whole,
    pairs: (async function* () {
      yield [bytes("a"), bytes("1")] as const;
      throw new LumeoError("CONNECTION_LOST", "cut");
    })(),
  };
  await refused(t, "CONNECTION_LOST", createBackup(disk, broken, { isIncremental: false }));
  t.deepEqual(await disk.list(""), []);
});

test("backups of both modes share a folder, each with its own chain", async (t) => {
  const disk = new MemoryDisk();
  await save(disk, { a: "full" }, 1);
  await createBackup(disk, exported({ p: "index" }, 1, "index"), { isIncremental: false });
  const next = await createBackup(disk, exported({ p: "x" }, 2, "index"), { isIncremental: true });
  t.deepEqual(await load(disk, next.backup), { p: "x" });
  t.deepEqual(await verdicts(disk), ["intact", "intact", "intact"]);
});
