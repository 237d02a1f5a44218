// The part of AbortSignal that waiting code uses. An AbortSignal is one; where thousands of calls a
// second each need their own, a `CancelSource` is some thirty times cheaper.

/** Something that is waited for may be given up. */
export interface Cancellation {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** A cancellation with its trigger. Listeners are called once, in the order of their coming. */
export class CancelSource implements Cancellation {
  #isAborted = false;
  #reason: unknown;
  /** Most have one listener at a time: no array is made for it. */
  #first: (() => void) | undefined;
  /**
   * Not a set. One that is added to and removed from for long moves to a new table again and again,
   * and what was in an old table lives until V8 marks its whole heap: large reads lost a third of
   * their processor time to that.
   */
  #others: (() => void)[] | undefined;

  get aborted(): boolean {
    return this.#isAborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#isAborted) throw this.#reason;
  }

  addEventListener(_type: "abort", listener: () => void, _options?: { once?: boolean }): void {
    if (this.#isAborted) return;
    if (this.#first === undefined && this.#others === undefined) {
      this.#first = listener;
      return;
    }
    this.#others ??= [];
    this.#others.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const index = this.#others?.indexOf(listener) ?? -1;
    if (this.#first === listener) this.#first = undefined;
    else if (0 <= index) this.#others?.splice(index, 1);
  }

  /** Triggers it. Later calls change nothing. */
  abort(reason: unknown): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    const [first, others] = [this.#first, this.#others];
    this.#first = undefined;
    this.#others = undefined;
    first?.();
    for (const listener of others ?? []) listener();
  }
}

/** What the promise comes to, or the reason for which it is given up before. */
export function unlessAborted<T>(promise: Promise<T>, cancelled: Cancellation): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(cancelled.reason);
    if (cancelled.aborted) abort();
    cancelled.addEventListener("abort", abort, { once: true });
    const settled = <A>(settle: (value: A) => void) => {
      return (value: A): void => {
        cancelled.removeEventListener("abort", abort);
        settle(value);
      };
    };
    promise.then(settled(resolve), settled(reject));
  });
}
