// A bit flips, anywhere in any file of a store that is at rest.
//
// F1. What is served under an epoch is what was written under it. (An older epoch that has come
//     back is reported as any loss is, and is never what a reader asks for: masters name the
//     epoch.)
// F2. Whatever is not served is known as damaged, or the loss is reported when the store opens, or
//     the store does not open and says why. The one exception is a flip in the last batch of the
//     newest segment while the index is lost too: it looks like a torn write (docs/formats/wal.md).
// F3. The store never takes another identity, and is never empty without a word.

import { chunkHandle, LumeoError, readRecordPrefix } from "@lumeofs/base";
import { auditIdentity } from "./audit.js";
import { emptyTally, type Tally } from "./enumeration.js";
import { bytesOf, Ledger } from "./ledger.js";
import { type Region, regionsOf } from "./regions.js";
import { runScript, same, served } from "./script.js";
import {
  type MachineMoment,
  StoreMachine,
  type StoreParts,
  type StoreProcess,
} from "./store-machine.js";

/** What became of the flips in the regions of one name. */
export interface FlipCount extends Tally {
  readonly region: string;
  /** Noticed: a chunk is called damaged, a loss is reported, or the store does not open. */
  detected: number;
  /** Everything is served as before. */
  harmless: number;
  /** Taken for a torn write, as F2 says. */
  torn: number;
}

export interface FlipLimits {
  /** Flips for each name of a region and state of the index. */
  readonly flipsMax: number;
}

interface Flip {
  readonly region: Region;
  readonly position: number;
  readonly bit: number;
  readonly index: "kept" | "lost";
}

/** Flips bits one at a time in every region of every file (F1 to F3). */
export async function enumerateFlips(
  parts: StoreParts,
  limits: FlipLimits,
): Promise<readonly FlipCount[]> {
  const ledger = new Ledger();
  const machine = StoreMachine.blank({ parts });
  await runScript(await machine.boot(), ledger);
  const moment = machine.moment();
  const last = await lastBatch(machine);
  const counts: FlipCount[] = [];
  for (const [region, regions] of await regionsByName(machine)) {
    const count = { ...emptyTally(), region, detected: 0, harmless: 0, torn: 0 };
    counts.push(count);
    for (const index of ["kept", "lost"] as const) {
      for (const flip of flipsIn(regions, index, limits.flipsMax)) {
        await tryFlip({ parts, moment, ledger, count, last }, flip);
      }
    }
  }
  return counts;
}

interface Trial {
  readonly parts: StoreParts;
  readonly moment: MachineMoment;
  readonly ledger: Ledger;
  readonly count: FlipCount;
  readonly last: LastBatch;
}

/** The records of the newest segment that were written last, in one piece. */
interface LastBatch {
  readonly path: string;
  readonly start: number;
}

async function tryFlip({ parts, moment, ledger, count, last }: Trial, flip: Flip): Promise<void> {
  const { region, position, bit, index } = flip;
  const machine = StoreMachine.after({ parts }, { moment, keeps: () => true, index });
  machine.disk.flipBit(region.path, position, bit);
  count.points++;
  count.machines++;
  const outcome = await outcomeOf(machine, ledger).catch((error: unknown) => [String(error)]);
  if (outcome === "detected") count.detected++;
  else if (outcome === "harmless") count.harmless++;
  else if (outcome === "unreported" && index === "lost" && isInLastBatch(flip, last)) count.torn++;
  else count.faults.push(`${region.name}, ${region.path} byte ${position}, ${index}: ${outcome}`);
}

type Outcome = "detected" | "harmless" | "unreported" | readonly string[];

async function outcomeOf(machine: StoreMachine, ledger: Ledger): Promise<Outcome> {
  let process: StoreProcess;
  try {
    process = await machine.boot();
  } catch (error) {
    if (error instanceof LumeoError && error.code === "CORRUPT") return "detected";
    throw error;
  }
  const faults = [...auditIdentity(process, ledger)];
  let isWhole = true;
  for (const handle of ledger.handles) {
    const { settled } = ledger.of(handle);
    const found = await served(process, handle);
    await process.store.verify(chunkHandle(handle));
    if (typeof found === "object") {
      const written = ledger.everWritten(handle).filter(({ epoch }) => epoch === found.epoch);
      const isRight = written.some((chunk) => same(found.bytes, bytesOf(chunk)));
      if (!isRight) faults.push(`chunk ${handle} is served wrong`);
      isWhole &&= settled?.epoch === found.epoch;
    } else isWhole &&= settled === undefined;
  }
  await process.store.close();
  if (0 < faults.length) return faults;
  const isReported = 0 < process.alarms.length || 0 < process.store.damaged().length;
  if (isReported) return "detected";
  return isWhole ? "harmless" : "unreported";
}

async function regionsByName(machine: StoreMachine): Promise<ReadonlyMap<string, Region[]>> {
  const byName = new Map<string, Region[]>();
  for (const path of machine.disk.paths()) {
    for (const region of regionsOf(path, await contentOf(machine, path))) {
      byName.set(region.name, [...(byName.get(region.name) ?? []), region]);
    }
  }
  return byName;
}

/** All bits of the regions, or so many of them, evenly spread. */
function* flipsIn(
  regions: readonly Region[],
  index: "kept" | "lost",
  flipsMax: number,
): Generator<Flip, void, void> {
  const bits = regions.reduce((sum, { start, end }) => sum + 8 * (end - start), 0);
  // An odd step meets every bit of a byte in turn.
  const step = bits <= flipsMax ? 1 : Math.ceil(bits / flipsMax) | 1;
  let next = 0;
  let before = 0;
  for (const region of regions) {
    const here = 8 * (region.end - region.start);
    for (; next < before + here; next += step) {
      const at = next - before;
      yield { region, position: region.start + Math.floor(at / 8), bit: at % 8, index };
    }
    before += here;
  }
}

async function lastBatch(machine: StoreMachine): Promise<LastBatch> {
  const path =
    machine.disk
      .paths()
      .filter((name) => name.startsWith("log/"))
      .at(-1) ?? "";
  const bytes = await contentOf(machine, path);
  const records = regionsOf(path, bytes).filter(({ name }) => name === "record magic");
  const prefix = readRecordPrefix(bytes, records.at(-1)?.start ?? 0);
  return { path, start: prefix?.durableTo ?? 0 };
}

function isInLastBatch({ region, position }: Flip, last: LastBatch): boolean {
  return region.path === last.path && last.start <= position;
}

async function contentOf(machine: StoreMachine, path: string): Promise<Uint8Array> {
  const file = await machine.disk.mount().open(path, { create: false });
  const bytes = new Uint8Array(await file.size());
  await file.readAt(bytes, 0);
  await file.close();
  return bytes;
}
