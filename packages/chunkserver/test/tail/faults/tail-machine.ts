// One machine with a store and a log of tails on it. Every call of its disk has a number, and may
// fail; at every call one may take what a loss of power would leave, as another machine.

import { KiB, type LumeoError, SeededRandom, SILENT_LOGGER } from "@lumeofs/base";
import { nativeCrc32c, SystemClock } from "@lumeofs/node";
import { type DiskCall, type DiskFault, type DiskMoment, SimDisk } from "@lumeofs/testkit";
import type { ChunkStore } from "../../../src/store/chunk-store.js";
import { DiskChunkStore } from "../../../src/store/disk-chunk-store.js";
import { MemoryIndex } from "../../../src/store/memory-index.js";
import { TailStore } from "../../../src/tail/tail-store.js";
import type { Survival } from "../../faults/store-machine.js";
import { HandTimers } from "../../store-fixture.js";

/** The part of the product that a deliberate bug may be in. */
export interface TailParts {
  readonly TailStore: typeof TailStore;
}

export const REAL_TAILS: TailParts = { TailStore };

export interface TailHooks {
  readonly faultOf?: (call: DiskCall) => DiskFault | undefined;
  readonly began?: (call: DiskCall) => void;
}

export interface TailProcess {
  readonly store: ChunkStore;
  readonly tails: TailStore;
  readonly timers: HandTimers;
  readonly failures: readonly LumeoError[];
  readonly alarms: readonly string[];
}

/** Segments are short and little is spared, so that a small script moves and frees much. */
const SEGMENT_BYTES = 24 * KiB;
const SPARE_BYTES = 48 * KiB;
const AHEAD_STEP_BYTES = 20 * KiB;

export class TailMachine {
  readonly #parts: TailParts;
  readonly #disk: SimDisk;
  #calls = 0;

  constructor(
    parts: TailParts,
    hooks: TailHooks = {},
    from?: { moment: DiskMoment; keeps: Survival },
  ) {
    this.#parts = parts;
    const options = {
      random: new SeededRandom(1, "tails"),
      faultOf: (call: DiskCall) => {
        this.#calls++;
        return hooks.faultOf?.(call);
      },
      began: (call: DiskCall) => hooks.began?.(call),
    };
    this.#disk =
      from === undefined ? new SimDisk(options) : from.moment.aftermath(from.keeps, options);
  }

  get calls(): number {
    return this.#calls;
  }

  get disk(): SimDisk {
    return this.#disk;
  }

  moment(): DiskMoment {
    return this.#disk.moment();
  }

  /** Starts both, or rejects as a process that ends at its start. The index is lost each time. */
  async boot(): Promise<TailProcess> {
    const disk = this.#disk.mount();
    const timers = new HandTimers();
    const failures: LumeoError[] = [];
    const alarms: string[] = [];
    const owner = new Uint8Array(16).fill(3);
    const logger = { ...SILENT_LOGGER, error: (message: string) => void alarms.push(message) };
    const common = {
      ...{ disk, owner, crc32c: nativeCrc32c, timers, logger, segmentBytes: SEGMENT_BYTES },
      onFailure: (error: LumeoError) => void failures.push(error),
    };
    const store = await DiskChunkStore.open({
      ...common,
      ...{ index: new MemoryIndex(), capacityBytes: undefined, lowWaterBytes: 0 },
    });
    const tails = await this.#parts.TailStore.open({
      ...common,
      ...{
        store,
        clock: new SystemClock(),
        spareBytes: SPARE_BYTES,
        aheadStepBytes: AHEAD_STEP_BYTES,
      },
      reserve: (bytes) => store.space.reserve(bytes),
      onDamage: () => undefined,
    });
    return { store, tails, timers, failures, alarms };
  }
}
