// A bit flips in a file of the index, a real LevelDB, while the store is at rest. The index is a
// copy: whatever becomes of it, the log has everything.

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KiB, SILENT_LOGGER } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { DiskChunkStore } from "../../src/store/disk-chunk-store.js";
import { LevelIndex } from "../../src/store/level-index.js";
import { Volume } from "../../src/store/volume.js";
import { HandTimers } from "../store-fixture.js";
import { audit } from "./audit.js";
import { emptyTally, judge, type Tally } from "./enumeration.js";
import { Ledger } from "./ledger.js";
import { runScript } from "./script.js";
import {
  type MachineMoment,
  REAL_PARTS,
  StoreMachine,
  type StoreProcess,
} from "./store-machine.js";

interface Filled {
  readonly folder: string;
  readonly moment: MachineMoment;
  readonly ledger: Ledger;
}

/**
 * Flips bits one at a time in every file of the index.
 *
 * @param flipsMax  About so many in all.
 */
export async function enumerateIndexFlips(flipsMax: number): Promise<Tally> {
  const scratch = await mkdtemp(join(tmpdir(), "lumeo-flips-"));
  try {
    const filled = await fill(join(scratch, "filled"));
    const tally = emptyTally();
    for (const { name, position, bit } of await flipsIn(filled.folder, flipsMax)) {
      tally.points++;
      await judge(tally, `index ${name} byte ${position} bit ${bit}`, async () => {
        const folder = join(scratch, "flipped");
        await rm(folder, { recursive: true, force: true });
        await cp(filled.folder, folder, { recursive: true });
        const bytes = await readFile(join(folder, name));
        bytes[position] = (bytes[position] ?? 0) ^ (1 << bit);
        await writeFile(join(folder, name), bytes);
        return auditWith(folder, filled);
      });
    }
    return tally;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function auditWith(folder: string, filled: Filled): Promise<readonly string[]> {
  const { moment, ledger } = filled;
  const origin = { moment, keeps: () => true, index: "lost" } as const;
  const process = await open(StoreMachine.after({ parts: REAL_PARTS }, origin), folder);
  const faults = await audit(process, ledger);
  await process.store.close();
  return faults;
}

async function fill(folder: string): Promise<Filled> {
  const machine = StoreMachine.blank({ parts: REAL_PARTS });
  const ledger = new Ledger();
  await runScript(await open(machine, folder), ledger);
  return { folder, moment: machine.moment(), ledger };
}

async function open(machine: StoreMachine, folder: string): Promise<StoreProcess> {
  const disk = machine.disk.mount();
  const uuid = "00000000-0000-4000-8000-000000000001";
  const volume = await Volume.open(disk, () => uuid, nativeCrc32c);
  const timers = new HandTimers();
  const index = await LevelIndex.open(folder, nativeCrc32c, SILENT_LOGGER);
  try {
    const store = await DiskChunkStore.open({
      disk,
      index,
      owner: volume.owner,
      crc32c: nativeCrc32c,
      timers,
      logger: SILENT_LOGGER,
      capacityBytes: undefined,
      lowWaterBytes: 0,
      segmentBytes: 24 * KiB,
      onFailure: () => undefined,
    });
    return { volume, store, timers, failures: [], alarms: [] };
  } catch (error) {
    await index.close();
    throw error;
  }
}

interface Flip {
  readonly name: string;
  readonly position: number;
  readonly bit: number;
}

async function flipsIn(folder: string, flipsMax: number): Promise<readonly Flip[]> {
  const flips: Flip[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const { byteLength } = await readFile(join(folder, name));
    for (let at = 0; at < 8 * byteLength; at++) {
      flips.push({ name, position: Math.floor(at / 8), bit: at % 8 });
    }
  }
  const step = Math.ceil(flips.length / flipsMax) | 1;
  return flips.filter((_, n) => n % step === 0);
}
