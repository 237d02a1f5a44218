// The scrubs of all disks: each disk is read through by one of its own, at the same time.

import { type Closable, LumeoError } from "@lumeofs/base";
import { NOTHING_SCRUBBED } from "../scrub/progress.js";
import { Scrub, type ScrubConfig, type ScrubPorts, type ScrubStatus } from "../scrub/scrub.js";
import type { DiskSet } from "./disk-set.js";
import type { ServerDisk } from "./server-disk.js";

export type DiskScrubsPorts = Omit<ScrubPorts, "store" | "disk" | "onFailure">;

/** See the head of this file. */
export class DiskScrubs implements Closable {
  readonly #config: ScrubConfig;
  readonly #set: DiskSet;
  readonly #scrubs: Map<ServerDisk, Scrub>;

  private constructor(config: ScrubConfig, set: DiskSet, scrubs: Map<ServerDisk, Scrub>) {
    this.#config = config;
    this.#set = set;
    this.#scrubs = scrubs;
    set.onLoss((disk) => void this.#end(disk));
  }

  /** Goes on where the last process was. */
  static async start(
    config: ScrubConfig,
    set: DiskSet,
    ports: DiskScrubsPorts,
  ): Promise<DiskScrubs> {
    const scrubs = new Map<ServerDisk, Scrub>();
    for (const disk of set.serving) {
      const onFailure = (error: LumeoError) => disk.fail(error);
      try {
        const parts = { ...ports, store: disk.store, disk: disk.disk, onFailure };
        scrubs.set(disk, await Scrub.start(config, parts));
      } catch (error) {
        if (!(error instanceof LumeoError) || set.serving.length === 1) throw error;
        disk.fail(error);
      }
    }
    return new DiskScrubs(config, set, scrubs);
  }

  /** Of one disk that works. */
  statusOf(disk: ServerDisk): ScrubStatus | undefined {
    return this.#scrubs.get(disk)?.status();
  }

  /**
   * Of all of them: what it says was read, every disk has read. The rounds of several disks have no
   * common position: it is said only where there is one disk.
   */
  status(): ScrubStatus {
    const all = this.#set.serving.flatMap((disk) => this.statusOf(disk) ?? []);
    const [first, ...others] = all;
    if (first === undefined) {
      const { bytesPerSecond } = this.#config;
      return { ...NOTHING_SCRUBBED, bytesPerSecond, isYielding: false };
    }
    return others.length === 0 ? first : others.reduce(both, first);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#scrubs.values()].map((scrub) => scrub.close()));
  }

  async #end(disk: ServerDisk): Promise<void> {
    const scrub = this.#scrubs.get(disk);
    this.#scrubs.delete(disk);
    await scrub?.close().catch(() => undefined); // the failure of its disk is known
  }
}

function both(one: ScrubStatus, other: ScrubStatus): ScrubStatus {
  const [a, b] = [one.lastRound, other.lastRound];
  const older = a === undefined || b === undefined || a.beganAt < b.beganAt ? a : b;
  return {
    roundCount: Math.min(one.roundCount, other.roundCount),
    roundBeganAt: undefined,
    lastRound: b === undefined ? undefined : older,
    position: 0,
    readCount: one.readCount + other.readCount,
    readBytes: one.readBytes + other.readBytes,
    foundCount: one.foundCount + other.foundCount,
    bytesPerSecond: one.bytesPerSecond + other.bytesPerSecond,
    isYielding: one.isYielding || other.isYielding,
  };
}
