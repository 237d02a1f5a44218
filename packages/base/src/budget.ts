import type { Cancellation } from "./cancellation.js";
import { invariant } from "./invariant.js";

/** Permission to hold some of a bounded thing. Releasing twice is a bug. */
export interface Permit {
  release(): void;
}

interface Waiter {
  readonly amount: number;
  readonly granted: (permit: Permit) => void;
}

/**
 * A bounded amount (bytes, slots) that takers wait for, first come first served.
 *
 * An amount above the whole budget is granted alone, when all else has been given back, so that one
 * large item is slow instead of stuck.
 */
export class Budget {
  #used = 0;
  readonly #waiting: Waiter[] = [];

  constructor(readonly limit: number) {
    invariant(0 < limit, "budget must be positive", { limit });
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Waits until `amount` is free. Rejects with the signal's reason if aborted while waiting. */
  take(amount: number, signal?: Cancellation): Promise<Permit> {
    signal?.throwIfAborted();
    if (this.#waiting.length === 0 && this.#fits(amount)) {
      return Promise.resolve(this.#grant(amount));
    }
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason);
        this.#serve();
      };
      const waiter: Waiter = {
        amount,
        granted: (permit) => {
          signal?.removeEventListener("abort", abort);
          resolve(permit);
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** A permit now, or undefined. */
  tryTake(amount: number): Permit | undefined {
    return this.#waiting.length === 0 && this.#fits(amount) ? this.#grant(amount) : undefined;
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.limit;
  }

  #grant(amount: number): Permit {
    this.#used += amount;
    let held = true;
    return {
      release: () => {
        invariant(held, "permit released twice");
        held = false;
        this.#used -= amount;
        this.#serve();
      },
    };
  }

  #serve(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!this.#fits(first.amount)) return;
      this.#waiting.shift();
      first.granted(this.#grant(first.amount));
    }
  }
}
