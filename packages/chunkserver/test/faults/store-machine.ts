// One machine with a store on it, as a chunkserver puts it together: volume, log, chunk files and
// index. Every call of the disk and of the index has a number, and may fail; at every call one may
// take what a loss of power would leave, as another machine.
//
// M1. Calls are numbered from 1 over disk and index together, in their order.
// M2. A write of the index is two calls, before and after it lands.

import { type Disk, KiB, type LumeoError, SeededRandom, SILENT_LOGGER } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import {
  type DiskFault,
  type DiskMoment,
  SimDisk,
  type SimDiskOptions,
  type UnsyncedPiece,
} from "@lumeofs/testkit";
import { DiskChunkStore } from "../../src/store/disk-chunk-store.js";
import { Volume } from "../../src/store/volume.js";
import { HandTimers } from "../store-fixture.js";
import { EMPTY_INDEX, type IndexContents, type IndexMachine, SimIndex } from "./sim-index.js";

/** The parts of the product that a deliberate bug may be in. */
export interface StoreParts {
  readonly DiskChunkStore: typeof DiskChunkStore;
  readonly Volume: typeof Volume;
}

export const REAL_PARTS: StoreParts = { DiskChunkStore, Volume };

export interface MachineCall {
  readonly number: number;
  /** Of the disk, or "index". */
  readonly kind: string;
  readonly path: string;
}

export interface MachineHooks {
  /** Asked at each call. */
  readonly faultOf?: (call: MachineCall) => DiskFault | undefined;
  /** Told of each call when nothing of it is durable. */
  readonly began?: (call: MachineCall) => void;
}

/** A running store, until the machine is thrown away. */
export interface StoreProcess {
  readonly volume: Volume;
  readonly store: DiskChunkStore;
  readonly timers: HandTimers;
  /** What the store has said of its end. */
  readonly failures: readonly LumeoError[];
  /** What it has logged as errors. */
  readonly alarms: readonly string[];
}

export interface MachineOptions {
  readonly parts: StoreParts;
  readonly hooks?: MachineHooks;
  readonly seed?: number;
}

/** Segments are short, so that a small workload meets everything that happens at their borders. */
const SEGMENT_BYTES = 24 * KiB;

/** What a loss of power at one moment could leave. */
export interface MachineMoment {
  readonly disk: DiskMoment;
  readonly index: IndexContents;
  /** Uuids given out so far. */
  readonly uuids: number;
}

/** What of a moment a machine begins with. */
export interface Origin {
  readonly moment: MachineMoment;
  readonly keeps: Survival;
  /** As it was then, empty, or as it was at some earlier time. */
  readonly index: "kept" | "lost" | IndexContents;
}

export class StoreMachine {
  readonly #options: MachineOptions;
  readonly #disk: SimDisk;
  readonly #index: IndexMachine;
  #calls = 0;
  #uuids = 0;

  private constructor(options: MachineOptions, origin: Origin | undefined) {
    this.#options = options;
    const diskOptions: SimDiskOptions = {
      random: new SeededRandom(options.seed ?? 1, "machine"),
      faultOf: ({ kind, path }) => this.#count(kind, path),
      began: ({ kind, path }) => this.#began(kind, path),
    };
    this.#disk = origin
      ? origin.moment.disk.aftermath(origin.keeps, diskOptions)
      : new SimDisk(diskOptions);
    this.#uuids = origin?.moment.uuids ?? 0;
    this.#index = {
      contents: origin === undefined ? EMPTY_INDEX : indexOf(origin),
      call: (what) => {
        const fault = this.#count("index", what);
        this.#began("index", what);
        return fault;
      },
    };
  }

  get calls(): number {
    return this.#calls;
  }

  /** For tests that damage the machine or look at it behind the store's back. */
  get disk(): SimDisk {
    return this.#disk;
  }

  /** Bytes of all segments of the log. */
  get logBytes(): number {
    const segments = this.#disk.paths().filter((path) => path.endsWith(".wal"));
    return segments.reduce((sum, path) => sum + this.#disk.length(path), 0);
  }

  get indexContents(): IndexContents {
    return this.#index.contents;
  }

  /** The process ends as if killed: nothing it waits for comes back. */
  kill(): void {
    this.#disk.kill();
  }

  /** What a loss of power now could leave; this machine goes on undisturbed. */
  moment(): MachineMoment {
    const { contents } = this.#index;
    return { disk: this.#disk.moment(), index: contents, uuids: this.#uuids };
  }

  /** A machine with an empty disk. */
  static blank(options: MachineOptions): StoreMachine {
    return new StoreMachine(options, undefined);
  }

  /** The machine after its power was lost at a moment. */
  static after(options: MachineOptions, origin: Origin): StoreMachine {
    return new StoreMachine(options, origin);
  }

  /** Starts a store, or rejects as a process that ends at its start. */
  async boot(): Promise<StoreProcess> {
    const disk: Disk = this.#disk.mount();
    const volume = await this.#options.parts.Volume.open(disk, () => this.#newUuid(), nativeCrc32c);
    const timers = new HandTimers();
    const failures: LumeoError[] = [];
    const alarms: string[] = [];
    const store = await this.#options.parts.DiskChunkStore.open({
      disk,
      index: new SimIndex(this.#index),
      owner: volume.owner,
      crc32c: nativeCrc32c,
      timers,
      logger: { ...SILENT_LOGGER, error: (message) => void alarms.push(message) },
      capacityBytes: undefined,
      lowWaterBytes: 0,
      segmentBytes: SEGMENT_BYTES,
      onFailure: (error) => failures.push(error),
    });
    return { volume, store, timers, failures, alarms };
  }

  #count(kind: string, path: string): DiskFault | undefined {
    const number = ++this.#calls;
    return this.#options.hooks?.faultOf?.({ number, kind, path });
  }

  #began(kind: string, path: string): void {
    this.#options.hooks?.began?.({ number: this.#calls, kind, path });
  }

  /** Never the same, so that a second identity is noticed. */
  #newUuid(): string {
    this.#uuids++;
    return `00000000-0000-4000-8000-${String(this.#uuids).padStart(12, "0")}`;
  }
}

/** What of the unsynced a loss of power keeps. */
export type Survival = (piece: UnsyncedPiece) => boolean;

function indexOf({ moment, index }: Origin): IndexContents {
  if (index === "kept") return moment.index;
  return index === "lost" ? EMPTY_INDEX : index;
}
