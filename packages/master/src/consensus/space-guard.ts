import { type Alarm, type Disk, LumeoError, MiB, type Timers } from "@lumeofs/base";

/** How often the disk is asked. */
const LOOK_MS = 5_000;

/**
 * Refuses new commands before the disk is full.
 *
 * A write that fails for want of space ends the member, and LevelDB may lose acknowledged writes
 * when space comes back. So the last bytes are kept for what is already on its way: entries of
 * other members, flushes of the state, compaction.
 */
export class SpaceGuard {
  readonly #disk: Disk;
  readonly #reserveBytes: number;
  readonly #onFailure: (error: unknown) => void;
  #freeBytes = Number.POSITIVE_INFINITY;
  #alarm: Alarm | undefined;

  /** @param onFailure  The disk cannot even be asked. */
  constructor(disk: Disk, reserveBytes: number, onFailure: (error: unknown) => void) {
    this.#disk = disk;
    this.#reserveBytes = reserveBytes;
    this.#onFailure = onFailure;
  }

  /** Asks now, and from now on. */
  async start(timers: Timers): Promise<void> {
    await this.#look();
    this.#alarm = timers.every(LOOK_MS, () => {
      this.#look().catch(this.#onFailure);
    });
  }

  /** What a caller who wants to add something is told; undefined while there is room. */
  refusal(): LumeoError | undefined {
    if (this.#reserveBytes <= this.#freeBytes) return undefined;
    return new LumeoError(
      "NO_SPACE",
      `Cannot accept changes: the disk of the leading master has ${inMiB(this.#freeBytes)} left, ` +
        `and ${inMiB(this.#reserveBytes)} must stay free. Make room on it`,
    );
  }

  async close(): Promise<void> {
    this.#alarm?.cancel();
  }

  async #look(): Promise<void> {
    this.#freeBytes = (await this.#disk.space()).freeBytes;
  }
}

function inMiB(bytes: number): string {
  return `${Math.floor(bytes / MiB)} MiB`;
}
