// One run of a simulated process. Whatever it waits for comes through here: after its end nothing
// reaches it any more, and while it is paused everything waits, as it does for a stopped process.

import { type Alarm, invariant } from "@lumeofs/base";
import type { World } from "./world.js";

export class Lifetime {
  #state: "running" | "paused" | "ended" = "running";
  #held: (() => void)[] = [];
  readonly #world: World;
  readonly #reached: () => void;

  /** @param reached Called whenever something reaches the process, before it does. */
  constructor(world: World, reached: () => void = () => {}) {
    this.#world = world;
    this.#reached = reached;
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  get isPaused(): boolean {
    return this.#state === "paused";
  }

  get hasEnded(): boolean {
    return this.#state === "ended";
  }

  /** Like `World.after`, but never after the end of this process and never while it is paused. */
  after(delayMs: number, run: () => void): Alarm {
    return this.#world.after(delayMs, () => this.deliver(run));
  }

  /** Runs now, when the pause is over, or never. */
  deliver(run: () => void): void {
    if (this.#state === "running") {
      this.#reached();
      run();
    } else if (this.#state === "paused") this.#held.push(run);
  }

  pause(): void {
    if (this.#state === "running") this.#state = "paused";
  }

  /** What was held back runs in its order, each as an event of its own. */
  resume(): void {
    invariant(this.#state === "paused", "only a paused process can go on");
    this.#state = "running";
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.after(0, run);
  }

  end(): void {
    this.#state = "ended";
    this.#held = [];
  }
}
