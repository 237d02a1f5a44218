import { type Alarm, invariant, type Timers } from "@lumeofs/base";

/** One piece of work that waits for the next turn of the event loop, or until it is wanted. */
export class NextTurn {
  readonly #timers: Timers;
  readonly #failed: (error: unknown) => void;
  #waiting: { readonly work: () => void; readonly alarm: Alarm } | undefined;

  /** @param failed  Hears what the work throws in its turn; `hurry` throws it. */
  constructor(timers: Timers, failed: (error: unknown) => void) {
    this.#timers = timers;
    this.#failed = failed;
  }

  put(work: () => void): void {
    invariant(this.#waiting === undefined, "work waits for the next turn already");
    const alarm = this.#timers.after(0, () => {
      try {
        this.hurry();
      } catch (error) {
        this.#failed(error);
      }
    });
    this.#waiting = { work, alarm };
  }

  /** Does now what waits. */
  hurry(): void {
    const waiting = this.#waiting;
    this.cancel();
    waiting?.work();
  }

  /** Forgets what waits. */
  cancel(): void {
    this.#waiting?.alarm.cancel();
    this.#waiting = undefined;
  }
}
