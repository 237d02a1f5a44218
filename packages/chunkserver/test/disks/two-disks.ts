// A machine with two disks and what a chunkserver keeps on them, without its network. Every call of
// a disk, or of its index, has a number of that disk, and may fail, alone or with all after it.

import {
  type Disk,
  epoch,
  type File,
  KiB,
  type Logger,
  LumeoError,
  SeededRandom,
  SILENT_LOGGER,
  wallMs,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { type DiskFault, SimDisk } from "@lumeofs/testkit";
import { ChunkDisks } from "../../src/disks/chunk-disks.js";
import { DiskSet } from "../../src/disks/disk-set.js";
import { EMPTY_INDEX, type IndexMachine, SimIndex } from "../faults/sim-index.js";
import { HandTimers } from "../store-fixture.js";

export const FOLDERS = ["/a", "/b"] as const;
export type Folder = (typeof FOLDERS)[number];

/** Asked at each call of a disk. */
export type FaultOf = (folder: Folder, number: number) => DiskFault | undefined;

/** A process that uses the disks, until the next one starts. */
export interface DisksProcess {
  readonly set: DiskSet;
  readonly store: ChunkDisks;
  readonly timers: HandTimers;
  /** What has ended the process, if anything has. */
  readonly failures: readonly LumeoError[];
}

/** The parts of the product that a deliberate bug may be in. */
export interface DiskParts {
  readonly DiskSet: typeof DiskSet;
  readonly ChunkDisks: typeof ChunkDisks;
}

export const REAL_DISKS: DiskParts = { DiskSet, ChunkDisks };

export class TwoDisks {
  faultOf: FaultOf = () => undefined;
  /** Folders that are not there. */
  readonly missing = new Set<Folder>();
  /** Calls of these disks do not reach them before this. */
  readonly hanging = new Map<Folder, Promise<void>>();
  nowMs = 1_000_000;
  readonly #disks = new Map<Folder, SimDisk>();
  readonly #indexes = new Map<Folder, IndexMachine>();
  readonly #calls = new Map<Folder, number>();
  readonly #parts: DiskParts;
  #uuids = 0;

  constructor(parts = REAL_DISKS) {
    this.#parts = parts;
    for (const folder of FOLDERS) this.replace(folder);
  }

  /** Calls of a disk and its index so far. */
  callsOf(folder: Folder): number {
    return this.#calls.get(folder) ?? 0;
  }

  /** An empty disk takes the place of this one. */
  replace(folder: Folder): void {
    const disk = new SimDisk({
      random: new SeededRandom(1, folder),
      faultOf: () => this.#count(folder),
    });
    this.#disks.set(folder, disk);
    this.#indexes.set(folder, { contents: EMPTY_INDEX, call: () => this.#count(folder) });
  }

  /** What one disk is put where the other one was. */
  swap(): void {
    for (const one of [this.#disks, this.#indexes] as Map<Folder, unknown>[]) {
      const [a, b] = FOLDERS.map((folder) => one.get(folder));
      one.set("/a", b);
      one.set("/b", a);
    }
  }

  diskOf(folder: Folder): SimDisk {
    const disk = this.#disks.get(folder);
    if (disk === undefined) throw new Error(`no disk at ${folder}`);
    return disk;
  }

  /** The process before, if any, ends as if killed. */
  async start({
    folders = FOLDERS,
    retired = [],
    logger = SILENT_LOGGER,
  }: {
    readonly folders?: readonly string[];
    readonly retired?: readonly string[];
    readonly logger?: Logger;
  } = {}): Promise<DisksProcess> {
    for (const disk of this.#disks.values()) disk.kill();
    const timers = new HandTimers();
    const failures: LumeoError[] = [];
    const set = await this.#parts.DiskSet.open({
      ...{ folders, retired, logger, crc32c: nativeCrc32c },
      clock: { wallMs: () => wallMs(this.nowMs) },
      host: {
        timers,
        newUuid: () => this.#newUuid(),
        openDisk: async (folder) => this.#mount(folder),
        openIndex: async (folder) => new SimIndex(this.#indexOf(folder)),
      },
      store: {
        capacityBytes: undefined,
        lowWaterBytes: 0,
        compactBytesPerSecond: 0,
        segmentBytes: SEGMENT_BYTES,
        onDamage: () => undefined,
      },
      watch: { suspectMs: 3_000, stuckMs: 6_000, threads: 8 },
      onFailure: (error) => failures.push(error),
    });
    return { set, store: new this.#parts.ChunkDisks(set), timers, failures };
  }

  #mount(folder: string) {
    const known = FOLDERS.find((one) => one === folder);
    if (known === undefined || this.missing.has(known)) {
      throw new LumeoError("NOT_FOUND", `Cannot open folder "${folder}": it is missing`);
    }
    return hangable(this.diskOf(known).mount(), () => this.hanging.get(known));
  }

  #indexOf(folder: string): IndexMachine {
    const index = this.#indexes.get(folder as Folder);
    if (index === undefined) throw new Error(`no index at ${folder}`);
    return index;
  }

  #count(folder: Folder): DiskFault | undefined {
    const number = this.callsOf(folder) + 1;
    this.#calls.set(folder, number);
    return this.faultOf(folder, number);
  }

  #newUuid(): string {
    this.#uuids++;
    return `00000000-0000-4000-8000-${String(this.#uuids).padStart(12, "0")}`;
  }
}

function hangable(disk: Disk, gate: () => Promise<void> | undefined): Disk {
  const files = (file: File): File => gated(file, gate, (result) => result);
  return gated(disk, gate, (result, name) => {
    return name === "open" ? (result as Promise<File>).then(files) : result;
  });
}

/** Its methods wait for the gate, if there is one when they are called. */
function gated<T extends object>(
  target: T,
  gate: () => Promise<void> | undefined,
  seen: (result: unknown, name: string | symbol) => unknown,
): T {
  return new Proxy(target, {
    get(_, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...args: unknown[]) => {
        const call = () => seen(Reflect.apply(method, target, args), name);
        return gate()?.then(call) ?? call();
      };
    },
  });
}

const SEGMENT_BYTES = 24 * KiB;

/** Of all chunks of these tests. */
export const FIRST_EPOCH = epoch(1);
