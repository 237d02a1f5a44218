// Stops a member before its disk is full.
//
// A write that fails for want of space ends the member, and LevelDB may lose acknowledged writes
// when space comes back. So there are two marks, and a file that only takes up room:
//
// G1. Below `reserveBytes` a leader refuses new commands: what is left is for entries of other
//     members, flushes of the state and compaction.
// G2. Below a quarter of it the member is `critical`: it removes the file, hands the leadership
//     over, and writes nothing more to its log until there is room again (`SpaceListener`). What
//     the file took up is left for flushes and compaction, which end what is under way.
// G3. It is over when `reserveBytes` and the file's room are free: no flapping at the mark.

import { type Alarm, type Closable, type Disk, LumeoError, MiB, type Timers } from "@lumeofs/base";

/** How often the disk is asked: a fast writer beside us fills the reserve in a few seconds. */
const LOOK_MS = 1_000;
const CRITICAL_PART = 0.25;
/** While it lasts, `critical` is repeated after so many looks. */
const REPEAT_LOOKS = 15;
const BALLAST = "ballast";
const PIECE_BYTES = 1 * MiB;

export interface SpaceLimits {
  /** New commands are refused while less is free. */
  readonly reserveBytes: number;
  /** Size of the file that is removed in need; 0 for none. */
  readonly ballastBytes: number;
}

export interface SpaceListener {
  /** Hardly any room: write nothing that can wait, and let others lead. Repeated now and then. */
  critical(): void;
  /** There is room again. */
  eased(): void;
  /** The disk cannot even be asked. */
  failed(error: unknown): void;
}

export class SpaceGuard implements Closable {
  readonly #disk: Disk;
  readonly #limits: SpaceLimits;
  readonly #listener: SpaceListener;
  #freeBytes = Number.POSITIVE_INFINITY;
  #isCritical = false;
  #criticalLooks = 0;
  #hasBallast = false;
  #alarm: Alarm | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  constructor(disk: Disk, limits: SpaceLimits, listener: SpaceListener) {
    this.#disk = disk;
    this.#limits = limits;
    this.#listener = listener;
  }

  /** Asks now, and from now on. */
  async start(timers: Timers): Promise<void> {
    this.#hasBallast = await this.#disk.exists(BALLAST);
    await this.#look();
    this.#alarm = timers.every(LOOK_MS, () => {
      this.#looking ??= this.#look()
        .then(() => this.#makeBallast())
        .catch((error: unknown) => this.#listener.failed(error))
        .finally(() => {
          this.#looking = undefined;
        });
    });
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Nothing may be written that can wait. */
  get isCritical(): boolean {
    return this.#isCritical;
  }

  /** What a caller who wants to add something is told; undefined while there is room. */
  refusal(): LumeoError | undefined {
    const { reserveBytes } = this.#limits;
    if (reserveBytes <= this.#freeBytes && !this.#isCritical) return undefined;
    return new LumeoError(
      "NO_SPACE",
      `Cannot accept changes: the disk of the leading master has ${inMiB(this.#freeBytes)} left, ` +
        `and ${inMiB(reserveBytes)} must stay free. Make room on it`,
    );
  }

  /** Ends the looking; the file stays for the next start. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#alarm?.cancel();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { reserveBytes, ballastBytes } = this.#limits;
    this.#freeBytes = (await this.#disk.space()).freeBytes;
    if (!this.#isCritical) {
      if (CRITICAL_PART * reserveBytes <= this.#freeBytes) return;
      this.#isCritical = true;
      this.#criticalLooks = 0;
      this.#listener.critical();
      await this.#removeBallast();
      return;
    }
    if (reserveBytes + ballastBytes <= this.#freeBytes) {
      this.#isCritical = false;
      this.#listener.eased();
      return;
    }
    this.#criticalLooks += 1;
    if (this.#criticalLooks % REPEAT_LOOKS === 0) this.#listener.critical();
  }

  /** Takes the room while there is plenty; not being able to is no reason to stop. */
  async #makeBallast(): Promise<void> {
    const { reserveBytes, ballastBytes } = this.#limits;
    const isPlenty = reserveBytes + 2 * ballastBytes <= this.#freeBytes;
    if (this.#hasBallast || ballastBytes === 0 || !isPlenty) return;
    const file = await this.#disk.open(BALLAST, { create: true });
    try {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, ballastBytes));
      for (let at = 0; at < ballastBytes && !this.#isClosed; at += piece.byteLength) {
        await file.writeAt([piece], at);
      }
      await file.sync();
      this.#hasBallast = true;
    } catch (error) {
      if (!(error instanceof LumeoError && error.code === "NO_SPACE")) throw error;
      await this.#disk.remove(BALLAST);
    } finally {
      await file.close();
    }
  }

  async #removeBallast(): Promise<void> {
    if (!this.#hasBallast) return;
    this.#hasBallast = false;
    await this.#disk.remove(BALLAST);
    await this.#disk.syncFolder("");
  }
}

function inMiB(bytes: number): string {
  return `${Math.floor(bytes / MiB)} MiB`;
}
