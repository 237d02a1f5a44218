// When things go wrong in a world: each kind of fault comes at random times, by chance of its own,
// and what it has broken is mended after a while. After `end`, nothing comes and nothing is mended.

import type { SeededRandom } from "@lumeofs/base";
import type { World } from "./world.js";

/** Mean time between two faults of a kind; undefined: never. */
export type FaultPause = number | undefined;

/** See the head of this file. */
export class FaultSchedule {
  #isOver = false;
  readonly #world: World;
  readonly #faultMsMax: number;

  /** @param faultMsMax  How long a fault lasts at most, if nothing else is said of it. */
  constructor(world: World, faultMsMax: number) {
    this.#world = world;
    this.#faultMsMax = faultMsMax;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** For good. */
  end(): void {
    this.#isOver = true;
  }

  /** @param kind  For the trace; its chance has the same name. */
  often(kind: string, pauseMs: FaultPause, act: (random: SeededRandom) => void): void {
    if (pauseMs === undefined) return;
    const random = this.#world.random(`nemesis ${kind}`);
    const next = (): void => {
      this.#world.after(-Math.log(1 - random.fraction()) * pauseMs, () => {
        if (this.#isOver) return;
        this.#world.record(() => `fault: ${kind}`);
        act(random);
        next();
      });
    };
    next();
  }

  /** What a fault is followed by, unless all has been mended by then. */
  after(ms: number, act: () => void): void {
    this.#world.after(ms, () => {
      if (!this.#isOver) act();
    });
  }

  /** The same, when the fault has lasted for a while. */
  later(random: SeededRandom, act: () => void): void {
    this.after(random.fraction() * this.#faultMsMax, act);
  }
}
