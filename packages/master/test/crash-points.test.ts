// Every point at which the power can fail, tried one by one: raft.md 3.4.
//
// A run is repeated with the failure at its first call of the disk or of a database, at its second,
// and so on to its last; each time with all unsynced bytes lost, all kept, and some kept. After
// each the member must start, stand at one place that its log fits, and be able to go on.

import test, { type ExecutionContext } from "ava";
import { StorageQueue } from "../src/consensus/storage-queue.js";
import { type Entry, logIndex, type SnapshotMeta } from "../src/raft/entry.js";
import { append, entries, meta } from "./contract/log-store.js";
import { CrashMachine, type CrashWay, POWER_FAILED, type Stores } from "./crash-machine.js";

const WAYS: readonly CrashWay[] = [
  { loss: "all", lands: true, seed: 1 },
  { loss: "all", lands: false, seed: 2 },
  { loss: "none", lands: true, seed: 3 },
  { loss: "some", lands: false, seed: 4 },
  { loss: "some", lands: true, seed: 5 },
  { loss: "some", lands: false, seed: 6 },
];

const OLD_ENTRIES = 12;
const OLD_APPLIED = 10;
const SNAPSHOT = meta(40, 3);
/** Runs longer than this are a mistake in the test. */
const CALLS_MAX = 400;

/** What the run before a crash has been told. */
interface Promised {
  last: number;
  installed: boolean;
  durable: number;
}

interface Run {
  readonly name: string;
  readonly act: (stores: Stores, promised: Promised) => Promise<void>;
}

async function prepared(way: CrashWay): Promise<CrashMachine> {
  const machine = new CrashMachine(way);
  await machine.run(async () => {
    const { log, machine: state } = await machine.boot();
    await log.write(append(...entries(1, OLD_ENTRIES, 1)));
    state.apply(entries(1, OLD_APPLIED, 1));
    await state.flush();
  });
  machine.powerOff();
  return machine;
}

/** The image of a state that has applied everything up to the snapshot. */
async function image(): Promise<Uint8Array> {
  const other = new CrashMachine({ loss: "all", lands: true, seed: 9 });
  const { machine } = await other.boot();
  machine.apply(entries(1, SNAPSHOT.index - 1, 1));
  machine.apply([{ ...entries(SNAPSHOT.index, SNAPSHOT.index, 3)[0] } as Entry]);
  await machine.flush();
  const pieces: Uint8Array[] = [];
  const frozen = await machine.image();
  for await (const piece of frozen.pieces()) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* inPieces(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 500) yield bytes.subarray(at, at + 500);
}

/** Takes the snapshot as it comes from a leader, and installs it behind what is being written. */
async function install(stores: Stores, whole: Uint8Array, promised: Promised): Promise<void> {
  const { log, machine: state, snapshots } = stores;
  const written = await snapshots.write(SNAPSHOT, inPieces(whole));
  await snapshots.remove(written);
  const { signal } = new AbortController();
  const arrival = { offset: 0, pieces: inPieces(whole), signal };
  const stored = await snapshots.receive(written, arrival);
  if (stored === undefined) throw new Error("the snapshot was not taken");
  await new Promise<void>((resolve, reject) => {
    const queue = new StorageQueue({ log, state, snapshots }, 1 << 20, {
      writing: () => () => {},
      persisted: () => {
        promised.last = Math.max(promised.last, log.last);
      },
      installed: () => {
        promised.installed = true;
        promised.durable = SNAPSHOT.index;
      },
      compacted: () => {},
      hold: () => {},
      idle: resolve,
      failed: reject,
    });
    queue.push(persist(1, entries(log.last + 1, log.last + 1, 1)));
    queue.push({ kind: "installSnapshot", meta: SNAPSHOT, then: [] });
    queue.push(persist(2, entries(SNAPSHOT.index + 1, SNAPSHOT.index + 2, 3)));
  });
}

/** Applies, flushes, makes a snapshot, forgets the log: what a member does all its life. */
async function live(stores: Stores, promised: Promised): Promise<void> {
  const { log, machine: state, snapshots } = stores;
  for (const [from, to] of [
    [13, 20],
    [21, 25],
  ] as const) {
    await log.write(append(...entries(from, to, 1)));
    promised.last = to;
    state.apply(entries(state.applied + 1, to, 1));
    await state.flush();
    promised.durable = to;
    const frozen = await state.image();
    const made = meta(frozen.index, 1);
    await snapshots.write(made, frozen.pieces());
    await frozen.close();
    await snapshots.prune(made.index);
    await log.compact(made, logIndex(to - 3));
  }
}

function persist(write: number, added: readonly Entry[]) {
  return { kind: "persist", write, ...append(...added), then: [] } as const;
}

/** What must hold after any crash; returns where the member stands. */
async function check(
  t: ExecutionContext,
  machine: CrashMachine,
  promised: Promised,
  what: string,
): Promise<Stores> {
  machine.powerOff();
  const stores = await machine.boot();
  const { log, machine: state, snapshots } = stores;
  const { durable } = state;
  t.true(promised.durable <= durable, `${what}: the state lost what it had promised`);
  t.true(promised.last <= log.last, `${what}: the log lost what it had promised`);
  t.true(log.first - 1 <= durable && durable <= log.last, `${what}: log and state do not fit`);
  if (promised.installed) t.is<number, number>(durable, SNAPSHOT.index, what);
  t.is(log.termAt(durable), state.durableTerm, what);
  const pairs = await state.reader.range(new Uint8Array([1]), new Uint8Array([0x80]), 1_000);
  t.deepEqual(
    pairs.map(([, value]) => new TextDecoder().decode(value)),
    Array.from({ length: durable }, (_, i) => `entry ${i + 1}`),
    `${what}: the applied index without its effects, or the other way round`,
  );
  if (durable < log.last) state.apply(log.entries(logIndex(durable + 1), log.last, 1 << 20));
  t.deepEqual(
    machine.paths().filter((path) => path.endsWith(".part")),
    [],
    `${what}: something half done was left`,
  );
  t.is(machine.states.length, 1, `${what}: ${machine.states.join(", ")}`);
  if (snapshots.newest !== undefined) await readWhole(snapshots, snapshots.newest.meta);
  return stores;
}

async function readWhole(snapshots: Stores["snapshots"], of: SnapshotMeta): Promise<void> {
  const stored = snapshots.find(of);
  if (stored === undefined) throw new Error("no such snapshot");
  let bytes = 0;
  for await (const piece of snapshots.read(stored)) bytes += piece.byteLength;
  if (bytes !== stored.sizeBytes) throw new Error("the snapshot is cut short");
}

/** Tries every crash point of a run, and goes on with the run after it; returns how many. */
async function enumerate(t: ExecutionContext, run: Run): Promise<number> {
  let points = 0;
  for (const way of WAYS) {
    for (let crashAt = 1; ; crashAt++) {
      t.true(crashAt < CALLS_MAX, "the run ends");
      const machine = await prepared(way);
      const promised = { last: OLD_ENTRIES, installed: false, durable: OLD_APPLIED };
      const ended = await machine.run(async () => run.act(await machine.boot(), promised), crashAt);
      const what = `${run.name}, ${JSON.stringify(way)}, call ${crashAt}`;
      await check(t, machine, promised, what);
      points += 1;
      if (ended !== POWER_FAILED) break;
    }
  }
  return points;
}

test("3.4.36: no crash while a snapshot comes and is installed leaves half of it", async (t) => {
  const whole = await image();
  const act: Run["act"] = (stores, promised) => install(stores, whole, promised);
  const points = await enumerate(t, { name: "install", act });
  t.log(`${points} crash points`);
  t.true(100 < points);
});

test("3.4.36: a crash while a crash is being recovered from does no more harm", async (t) => {
  const whole = await image();
  let points = 0;
  for (const way of WAYS) {
    let first = 1;
    for (let isOver = false; !isOver; first += 3) {
      for (let second = 1; ; second += 2) {
        const machine = await prepared(way);
        const promised = { last: OLD_ENTRIES, installed: false, durable: OLD_APPLIED };
        const act = async () => install(await machine.boot(), whole, promised);
        isOver = (await machine.run(act, first)) !== POWER_FAILED;
        const again = await machine.run(() => machine.boot(), second);
        await check(t, machine, promised, `${JSON.stringify(way)}, ${first} and ${second}`);
        points += 1;
        if (again !== POWER_FAILED) break;
      }
    }
  }
  t.log(`${points} pairs of crash points`);
  t.true(100 < points);
});

test("3.4.36: after a crash in an installation the snapshot can be installed again", async (t) => {
  const whole = await image();
  for (const way of WAYS) {
    for (let crashAt = 1; ; crashAt += 5) {
      const machine = await prepared(way);
      const promised = { last: OLD_ENTRIES, installed: false, durable: OLD_APPLIED };
      const act = async () => install(await machine.boot(), whole, promised);
      const ended = await machine.run(act, crashAt);
      const stores = await check(t, machine, promised, `call ${crashAt}`);
      if (stores.machine.durable < SNAPSHOT.index) {
        const told = { last: 0, installed: false, durable: 0 };
        await machine.run(() => install(stores, whole, told));
        t.true(told.installed);
        await check(t, machine, told, `call ${crashAt}, installed again`);
      }
      if (ended !== POWER_FAILED) break;
    }
  }
});

test("3.4.40: no crash while a member applies, compacts and makes snapshots separates the applied index from its effects", async (t) => {
  const points = await enumerate(t, { name: "live", act: live });
  t.log(`${points} crash points`);
  t.true(100 < points);
});

test("3.4.35: a new member that crashes while it is founded starts as a new one", async (t) => {
  let points = 0;
  for (const way of WAYS) {
    for (let crashAt = 1; ; crashAt++) {
      const machine = new CrashMachine(way);
      const ended = await machine.run(() => machine.boot(), crashAt);
      machine.powerOff();
      const { log, machine: state } = await machine.boot();
      t.is<number, number>(log.last, 0);
      t.is<number, number>(state.durable, 0);
      points += 1;
      if (ended !== POWER_FAILED) break;
    }
  }
  t.true(50 < points);
});
