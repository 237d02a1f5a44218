// `npm run bench -- scale` starts this once for each stage, so that every stage has memory of its
// own: node main.js STAGE --dir FOLDER --files N [--inline BYTES]. Prints one line of JSON.

import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { MiB } from "@lumeofs/base";
import { FileDisk, folderBytes } from "@lumeofs/node";
import { DRIVER_LIMITS_DEFAULT } from "../../src/consensus/config.js";
import { SnapshotPace } from "../../src/consensus/snapshot-pace.js";
import { SnapshotStore } from "../../src/consensus/snapshot-store.js";
import { nameOf } from "../../src/metadata/keys.js";
import { entryPage, stat } from "../../src/metadata/queries.js";
import { term } from "../../src/raft/entry.js";
import { founders } from "../../src/raft/membership.js";
import { packEntries } from "../../src/rpc/listing-wire.js";
import { openLevelState } from "../../src/state/level-state.js";
import { directoryOf, FILES_PER_DIRECTORY, FileMaker, pathOf } from "./files.js";
import { clock, startMember, timers } from "./member.js";

const IN_FLIGHT = 1_024;
const FEW_IN_FLIGHT = 16;
const PAGE_NAMES = 4_000;
const STATS = 20_000;
/** Files created beside a snapshot, and as many without one. */
const BESIDE_FILES = 20_000;

type Figures = Record<string, unknown>;

interface Settings {
  readonly dir: string;
  readonly files: number;
  /** Bytes of each file that are kept with it; 0: none. */
  readonly inlineBytes: number;
}

const STAGES: Readonly<Record<string, (settings: Settings) => Promise<Figures>>> = {
  load,
  restart,
  read,
  snapshot,
  install,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: "string" },
    files: { type: "string", default: "100000" },
    inline: { type: "string", default: "0" },
  },
});
const stage = STAGES[positionals[0] ?? ""];
if (stage === undefined || values.dir === undefined) {
  throw new Error(`Cannot run: expected ${Object.keys(STAGES).join(", ")} and --dir`);
}
const settings = {
  dir: values.dir,
  files: Number(values.files),
  inlineBytes: Number(values.inline),
};
console.log(JSON.stringify(await stage(settings)));
// As if the machine had lost power: nothing is flushed or closed.
process.exit(0);

function fatal(error: unknown): never {
  console.error(error);
  process.exit(1);
}

/** Creates all files; the process ends without closing anything. */
async function load({ dir, files, inlineBytes }: Settings): Promise<Figures> {
  const { consensus } = await startMember(join(dir, "m1"), fatal);
  const maker = new FileMaker(consensus, inlineBytes);
  await maker.begin();
  const empty = process.memoryUsage.rss();
  const begin = clock.monotonicMs();
  const before = process.cpuUsage();
  await maker.create({ from: 0, to: files }, IN_FLIGHT);
  const seconds = (clock.monotonicMs() - begin) / 1_000;
  const { user, system } = process.cpuUsage(before);
  const { durable, applied } = consensus.status;
  return {
    seconds,
    perSecond: files / seconds,
    cpuMicrosPerFile: (user + system) / files,
    emptyRssMiB: empty / MiB,
    ...memory(),
    notDurable: applied - durable,
    ...(await sizes(dir)),
  };
}

async function restart({ dir }: Settings): Promise<Figures> {
  const member = await startMember(join(dir, "m1"), fatal);
  const { startedMs, replayed, consensus } = member;
  const { logFirst, logLast } = consensus.status;
  return {
    ...startedMs,
    totalMs: startedMs.state + startedMs.log + startedMs.leading,
    replayed,
    logEntries: logLast - logFirst + 1,
    ...memory(),
    ...(await sizes(dir)),
  };
}

/** Makes the answers that list every directory, and looks up names all over the place. */
async function read({ dir, files }: Settings): Promise<Figures> {
  const { state } = await startMember(join(dir, "m1"), fatal);
  let names = 0;
  let begin = clock.monotonicMs();
  for (let n = 0; n < files; n += FILES_PER_DIRECTORY) {
    for (let after = "", more = true; more; ) {
      const request = { path: directoryOf(n), after, countMax: PAGE_NAMES };
      const page = await entryPage(state.reader, request);
      if (page.kind === "refused") throw new Error(page.message);
      packEntries(state.reader, page);
      names += page.pairs.length;
      const last = page.pairs.at(-1);
      after = last === undefined ? "" : nameOf(last[0]);
      more = page.hasMore;
    }
  }
  const listed = clock.monotonicMs() - begin;
  begin = clock.monotonicMs();
  for (let i = 0; i < STATS; i++) {
    const found = stat(state.reader, pathOf((i * 7_919) % files));
    if (found.kind === "refused") throw new Error(found.message);
  }
  const looked = clock.monotonicMs() - begin;
  return {
    names,
    namesPerSecond: (1_000 * names) / listed,
    statsPerSecond: (1_000 * STATS) / looked,
    ...memory(),
  };
}

/** Creates files without and with a snapshot being made beside. */
async function snapshot({ dir, files, inlineBytes }: Settings): Promise<Figures> {
  const { consensus, state } = await startMember(join(dir, "m1"), fatal);
  const maker = new FileMaker(consensus, inlineBytes);
  await maker.begin();
  const middle = files + BESIDE_FILES;
  const alone = await latencies((seen) =>
    maker.create({ from: files, to: middle }, FEW_IN_FLIGHT, seen),
  );
  const store = await SnapshotStore.open(await FileDisk.open(join(dir, "copy")));
  const pace = new SnapshotPace(DRIVER_LIMITS_DEFAULT.snapshotBytesPerSecond, timers);
  const finish = new AbortController();
  let made: Figures = {};
  const making = async (): Promise<void> => {
    const begin = clock.monotonicMs();
    const image = await state.image();
    const meta = { index: image.index, term: image.term, membership: founders({}) };
    const stored = await store.write(meta, pace.slowed(image.pieces()));
    await image.close();
    finish.abort();
    made = { ms: clock.monotonicMs() - begin, bytes: stored.sizeBytes };
  };
  let created = 0;
  const beside = await latencies(async (seen) => {
    const writing = making();
    for (let at = middle; !finish.signal.aborted; at += FEW_IN_FLIGHT * 8) {
      await maker.create({ from: at, to: at + FEW_IN_FLIGHT * 8 }, FEW_IN_FLIGHT, seen);
      created += FEW_IN_FLIGHT * 8;
    }
    await writing;
  });
  return { made, alone, beside, created, ...memory() };
}

/** Installs the snapshot that was made into a new state. */
async function install({ dir }: Settings): Promise<Figures> {
  const folder = join(dir, "installed");
  const disk = await FileDisk.open(folder);
  const state = await openLevelState({ folder, disk, timers });
  const store = await SnapshotStore.open(await FileDisk.open(join(dir, "copy")));
  const { newest } = store;
  if (newest === undefined) throw new Error("there is no snapshot");
  const begin = clock.monotonicMs();
  const { index } = newest.meta;
  await state.install({ index, term: term(newest.meta.term) }, store.read(newest));
  const ms = clock.monotonicMs() - begin;
  const { maxRSS } = process.resourceUsage();
  await state.close();
  return { ms, mibPerSecond: newest.sizeBytes / MiB / (ms / 1_000), peakRssMiB: maxRSS / 1_024 };
}

async function latencies(run: (seen: (ms: number) => void) => Promise<void>): Promise<Figures> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const all: number[] = [];
  const begin = clock.monotonicMs();
  await run((ms) => all.push(ms));
  const seconds = (clock.monotonicMs() - begin) / 1_000;
  delay.disable();
  all.sort((a, b) => a - b);
  const at = (part: number): number => all[Math.floor(part * (all.length - 1))] ?? 0;
  return {
    perSecond: all.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    loopBlockedMaxMs: delay.max / 1e6,
  };
}

function memory(): Figures {
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    rssMiB: rss / MiB,
    // Without the tables of LevelDB, which are mapped: the kernel takes their pages back at will.
    ownMiB: anonymousBytes() / MiB,
    heapMiB: heapUsed / MiB,
    externalMiB: external / MiB,
  };
}

function anonymousBytes(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1_024;
}

async function sizes(dir: string): Promise<Figures> {
  const folder = join(dir, "m1");
  const names = await readdir(folder);
  const state = names.find((name) => name.startsWith("state-")) ?? "";
  return {
    stateBytes: await folderBytes(join(folder, state)),
    logBytes: (await folderBytes(join(folder, "log"))) + (await folderBytes(join(folder, "wal"))),
    snapshotBytes: await folderBytes(join(folder, "snapshots")),
  };
}
