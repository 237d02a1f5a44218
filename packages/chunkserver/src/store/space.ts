// How much may still be written. Room is reserved before a write is accepted, so that a disk which
// fills up refuses new writes with NO_SPACE instead of failing one that is under way.
//
// free for us = min(free on the disk - low water, capacity - used) - reserved

import { type Disk, invariant, LumeoError } from "@lumeofs/base";

/** Room for one write. End it with `spend` or `release`. */
export interface Reservation {
  /** @throws LumeoError NO_SPACE */
  grow(bytes: number): Promise<void>;
  /** The bytes are on the disk now. */
  spend(): void;
  /** They are not, or not any more. Harmless after `spend`. */
  release(): void;
}

export interface SpaceOptions {
  readonly disk: Pick<Disk, "space">;
  /** Undefined: as much as the disk has. */
  readonly capacityBytes: number | undefined;
  /** What is left free on the disk in any case. */
  readonly lowWaterBytes: number;
  /** Bytes that the store takes on the disk now. */
  readonly usedBytes: () => number;
}

/** Keeps account of one disk. */
export class Space {
  readonly #options: SpaceOptions;
  #diskFreeBytes = 0;
  #reservedBytes = 0;
  /** Written since the disk was measured. */
  #spentBytes = 0;
  #measuring: Promise<void> | undefined;
  #besideBytes: () => number = () => 0;

  private constructor(options: SpaceOptions) {
    this.#options = options;
  }

  /** Counts what else the store has on this disk, from now on. */
  countBeside(bytes: () => number): void {
    this.#besideBytes = bytes;
  }

  static async open(options: SpaceOptions): Promise<Space> {
    const space = new Space(options);
    await space.measure();
    return space;
  }

  get capacityBytes(): number {
    const { capacityBytes, lowWaterBytes } = this.#options;
    return capacityBytes ?? this.#usedBytes + Math.max(0, this.#diskFreeBytes - lowWaterBytes);
  }

  /** What may still be reserved; never negative. */
  get freeBytes(): number {
    const { capacityBytes, lowWaterBytes } = this.#options;
    const onDisk = this.#diskFreeBytes - this.#spentBytes - lowWaterBytes;
    const underCapacity = capacityBytes === undefined ? Infinity : capacityBytes - this.#usedBytes;
    return Math.max(0, Math.min(onDisk, underCapacity) - this.#reservedBytes);
  }

  /** What the disk has free beyond all promises, low water included: for what gives space back. */
  get unreservedBytes(): number {
    return this.#diskFreeBytes - this.#spentBytes - this.#reservedBytes;
  }

  /** Asks the disk again. Calls at the same time share one question. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  /** @throws LumeoError NO_SPACE */
  async reserve(bytes: number): Promise<Reservation> {
    let held = 0;
    let isOver = false;
    const end = (): number => {
      const rest = isOver ? 0 : held;
      isOver = true;
      this.#reservedBytes -= rest;
      return rest;
    };
    const grow = async (more: number): Promise<void> => {
      invariant(!isOver, "reservation is over");
      if (this.freeBytes < more) await this.measure();
      if (this.freeBytes < more) throw this.#full(more);
      held += more;
      this.#reservedBytes += more;
    };
    await grow(bytes);
    return {
      grow,
      spend: () => {
        this.#spentBytes += end();
      },
      release: () => void end(),
    };
  }

  get #usedBytes(): number {
    return this.#options.usedBytes() + this.#besideBytes();
  }

  async #measure(): Promise<void> {
    const spentBefore = this.#spentBytes;
    const { freeBytes } = await this.#options.disk.space();
    this.#diskFreeBytes = freeBytes;
    this.#spentBytes -= spentBefore;
  }

  #full(bytes: number): LumeoError {
    const hint = "remove files or add chunkservers";
    const message = `Cannot write ${bytes} bytes: ${this.freeBytes} are free here; ${hint}`;
    return new LumeoError("NO_SPACE", message);
  }
}
