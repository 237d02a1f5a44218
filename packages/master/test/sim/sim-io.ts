// Storage calls of one simulated machine: each takes virtual time, and each is a place where the
// machine may lose power or the device may fail.
//
// I1. A call changes what is durable at one moment (`land`), as a whole.
// I2. If power goes while a call is under way, chance decides whether it had landed.
// I3. A failed call may have landed too; whoever made it learns only that it failed.

import { integerBetween, LumeoError, type Random } from "@lumeofs/base";
import type { DiskFault, Lifetime, World } from "@lumeofs/testkit";

export interface IoSettings {
  readonly latencyMsMin: number;
  /** Mean of what is added to the minimum. */
  readonly latencyMsMean: number;
  /** Calls fail so often; 0 while the devices are healthy. */
  readonly failureRate: number;
  /** The machine loses power at so many calls. */
  readonly crashRate: number;
}

export class SimIo {
  settings: IoSettings;
  /** Called when a call meets a power failure; ends the process. */
  powerFailed: () => void = () => {};
  #calls = 0;
  #slowFactor = 1;
  #stalledUntil = 0;
  #fullUntil = 0;
  readonly #world: World;
  readonly #random: Random;
  readonly #underWay = new Set<() => void>();

  constructor(world: World, name: string, settings: IoSettings) {
    this.#world = world;
    this.#random = world.random(`io ${name}`);
    this.settings = settings;
  }

  get calls(): number {
    return this.#calls;
  }

  /** Everything takes so many times longer. */
  slowDown(factor: number): void {
    this.#slowFactor = factor;
  }

  /** Nothing ends before then. */
  stallUntil(timeMs: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, timeMs);
  }

  /** Nothing can be written before then, and what fails so has not landed. */
  fillUntil(timeMs: number): void {
    this.#fullUntil = Math.max(this.#fullUntil, timeMs);
  }

  /** The owner has found room. */
  free(): void {
    this.#fullUntil = 0;
  }

  get #isFull(): boolean {
    return this.#world.now < this.#fullUntil;
  }

  /** Carries out one call; never ends if the power goes. */
  call(lifetime: Lifetime, what: string, land: () => void): Promise<void> {
    // The rest of a turn in which the power went.
    if (lifetime.hasEnded) return new Promise(() => {});
    this.#calls++;
    const { failureRate, crashRate } = this.settings;
    const fate = this.#random.fraction();
    const delay = this.#delay();
    this.#underWay.add(land);
    if (fate < crashRate) {
      this.powerFailed();
      return new Promise(() => {});
    }
    const isFull = this.#isFull;
    const hasFailed = isFull || fate < crashRate + failureRate;
    return new Promise((resolve, reject) => {
      // The device goes on while the process is paused: only the news of it waits.
      this.#world.after(delay, () => {
        if (!this.#underWay.delete(land)) return;
        if (!hasFailed || (!isFull && this.#random.fraction() < 0.5)) this.#land(land);
        const end = (): void => {
          const why = isFull ? "ENOSPC" : "EIO";
          if (hasFailed) reject(new LumeoError("STORE_FAILED", `Cannot ${what}: ${why}`));
          else resolve();
        };
        lifetime.deliver(end);
      });
    });
  }

  /** What befalls the next call of a file; only some of them need room. */
  fateOfFileCall(needsRoom: boolean): DiskFault | undefined {
    this.#calls++;
    const { failureRate, crashRate } = this.settings;
    const fate = this.#random.fraction();
    if (fate < crashRate) return "crash";
    if (needsRoom && this.#isFull) return "ENOSPC";
    return fate < crashRate + failureRate ? "EIO" : undefined;
  }

  /** The power has failed: what was under way has landed or not. */
  settle(): void {
    const underWay = [...this.#underWay];
    this.#underWay.clear();
    for (const land of underWay) if (this.#random.fraction() < 0.5) this.#land(land);
    this.#slowFactor = 1;
    this.#stalledUntil = 0;
  }

  /** A number from 1 to `most`, for whoever cuts something into pieces. */
  upTo(most: number): number {
    return integerBetween(this.#random, 1, most);
  }

  /** What a checker of the media finds ends the simulation, whoever would have caught it. */
  #land(land: () => void): void {
    try {
      land();
    } catch (error) {
      this.#world.fail(error);
    }
  }

  #delay(): number {
    const { latencyMsMin, latencyMsMean } = this.settings;
    const ms = latencyMsMin - Math.log(1 - this.#random.fraction()) * latencyMsMean;
    return Math.max(ms * this.#slowFactor, this.#stalledUntil - this.#world.now);
  }
}
