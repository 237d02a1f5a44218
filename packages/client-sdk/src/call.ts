// One call of the SDK from its beginning to its end: its deadline, its signal, how often it tried,
// and the only loop that tries again.
//
// C1. Once the signal has aborted, no step begins, and waits end at once.
// C2. A step that changes something is repeated only as one that cannot double its effect.
// C3. What a step inside another has given up, the outer one gives up too: patience does not
//     multiply.
// C4. At its deadline a call ends, whatever it is waiting for.

import { setMaxListeners } from "node:events";
import {
  type Alarm,
  type Cancellation,
  CancelSource,
  LumeoError,
  type MonotonicMs,
  unlessAborted,
} from "@lumeofs/base";
import { aborted, type LumeoError as PublicError, toPublic } from "./error.js";
import type { Events } from "./events.js";
import type { Freshness, ReadWish } from "./operations.js";
import type { Ports } from "./ports.js";
import { afterFailure, isRedirect, type RetryPolicy } from "./retry.js";

/** A step that has no limit of its own, beside the policy's. */
export const UNLIMITED = (): number => Infinity;

/** What a caller may say about any call, with the client's defaults filled in. */
export interface CallSettings {
  readonly method: string;
  readonly path: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** For one attempt of one step. */
  readonly timeoutMs: number;
  /** For the whole call; Infinity for none. */
  readonly deadlineMs: number;
  readonly policy: RetryPolicy;
  /** How fresh its queries are. */
  readonly wish: ReadWish;
  /** The caller is to be told how fresh they were. */
  readonly tellsFreshness: boolean;
}

/** How one step of a call is repeated. */
export interface StepOptions {
  /** Repeating it cannot double its effect. */
  readonly idempotent: boolean;
  /** No repetition begins later than this after the step's beginning; asked after each failure. */
  readonly limitMs: () => number;
  /** Hears of each attempt that failed, before it is decided whether another one follows. */
  readonly onFailure?: (error: LumeoError) => void;
  /** Failures that no attempt follows, whatever their code says. */
  readonly isFinal?: ((error: LumeoError) => boolean) | undefined;
}

export class Call {
  readonly method: string;
  readonly path: string | undefined;
  readonly timeoutMs: number;
  /** The most attempts that any step of this call took. */
  attempts = 1;
  /** Bytes of files sent or received. */
  bytes = 0;
  readonly startedAt: MonotonicMs;
  #freshness: Freshness | undefined;
  readonly #settings: CallSettings;
  readonly #ports: Ports;
  readonly #events: Events;
  readonly #cancelled = new CancelSource();
  /** Made for those who ask for it: few calls need a whole AbortSignal. */
  #controller: AbortController | undefined;
  /** Failures that no attempt follows (C3). */
  #givenUp: WeakSet<LumeoError> | undefined;
  readonly #deadline: Alarm | undefined;
  readonly #userAborted: (() => void) | undefined;

  constructor(settings: CallSettings, ports: Ports, events: Events) {
    this.method = settings.method;
    this.path = settings.path;
    this.timeoutMs = settings.timeoutMs;
    this.startedAt = ports.clock.monotonicMs();
    this.#settings = settings;
    this.#ports = ports;
    this.#events = events;
    this.#deadline = this.#armDeadline();
    const user = settings.signal;
    if (user === undefined) return;
    const abort = (): void => this.cancel(aborted(user));
    this.#userAborted = abort;
    if (user.aborted) abort();
    setMaxListeners(0, user); // one for each call that shares it
    user.addEventListener("abort", abort, { once: true });
  }

  /** Aborts with the caller's signal, or when the client is closed; its reason is a LumeoError. */
  get cancellation(): Cancellation {
    return this.#cancelled;
  }

  /** The same, for those who need an AbortSignal. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      setMaxListeners(0, this.#controller.signal); // one for each request under way, all bounded
      if (this.#cancelled.aborted) this.#controller.abort(this.#cancelled.reason);
    }
    return this.#controller.signal;
  }

  get wish(): ReadWish {
    return this.#settings.wish;
  }

  /** Of the least fresh answer so far, if the caller is to be told. */
  get freshness(): Freshness | undefined {
    return this.#settings.tellsFreshness ? this.#freshness : undefined;
  }

  /** A query of the call was answered so fresh. */
  read({ appliedIndex, ageMs }: Freshness): void {
    const before = this.#freshness ?? { appliedIndex, ageMs };
    this.#freshness = {
      appliedIndex: Math.min(before.appliedIndex, appliedIndex),
      ageMs: Math.max(before.ageMs, ageMs),
    };
  }

  get elapsedMs(): number {
    return this.#ports.clock.monotonicMs() - this.startedAt;
  }

  /** Ends the call early. */
  cancel(reason: LumeoError): void {
    this.#cancelled.abort(reason);
    this.#controller?.abort(this.#cancelled.reason);
  }

  /** The call is over: lets go of the caller's signal. */
  end(): void {
    this.#deadline?.cancel();
    if (this.#userAborted === undefined) return;
    this.#settings.signal?.removeEventListener("abort", this.#userAborted);
  }

  /** What the caller sees of a failure. */
  toPublic(thrown: unknown): unknown {
    const cause = this.#cancelled.aborted ? this.#cancelled.reason : thrown;
    return toPublic(cause, this.path, this.attempts);
  }

  /**
   * Runs a step, and again while the policy allows it.
   *
   * @param step  Gets the number of the attempt, from 1.
   * @throws LumeoError of the last attempt; what is not a LumeoError passes at once.
   */
  run<T>(options: StepOptions, step: (attempt: number) => Promise<T>): Promise<T> {
    if (this.#cancelled.aborted) return Promise.reject(this.#cancelled.reason);
    const began = this.#ports.clock.monotonicMs();
    // The first attempt is mostly the only one, and needs no loop.
    const again = (thrown: unknown): Promise<T> => {
      return this.#runAgain(options, step, { began, thrown });
    };
    try {
      return step(1).catch(again);
    } catch (thrown) {
      return again(thrown);
    }
  }

  /** Goes on after the first attempt has failed. */
  async #runAgain<T>(
    options: StepOptions,
    step: (attempt: number) => Promise<T>,
    first: { readonly began: MonotonicMs; readonly thrown: unknown },
  ): Promise<T> {
    const { began } = first;
    let { thrown } = first;
    let redirects = 0;
    for (let count = 1; ; count++) {
      if (!(thrown instanceof LumeoError)) throw thrown;
      options.onFailure?.(thrown);
      if (options.isFinal?.(thrown)) throw thrown;
      this.#cancelled.throwIfAborted();
      if (this.#givenUp?.has(thrown)) throw thrown;
      if (isRedirect(thrown)) redirects++;
      await this.#waitOrThrow(thrown, { ...options, count, redirects, began });
      this.#cancelled.throwIfAborted();
      this.attempts = Math.max(this.attempts, count + 1);
      try {
        return await step(count + 1);
      } catch (again) {
        thrown = again;
      }
    }
  }

  /** Waits; rejects with the signal's reason if it aborts meanwhile (C1). */
  pause(ms: number): Promise<void> {
    this.#cancelled.throwIfAborted();
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        this.#cancelled.removeEventListener("abort", abort);
        resolve();
      };
      const alarm = this.#ports.timers.after(ms, wake);
      const abort = (): void => {
        alarm.cancel();
        reject(this.#cancelled.reason);
      };
      this.#cancelled.addEventListener("abort", abort, { once: true });
    });
  }

  /** What the promise gives, unless the signal aborts first: then it is left alone (C1). */
  unlessAborted<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(promise, this.#cancelled);
  }

  #armDeadline(): Alarm | undefined {
    const { deadlineMs, method } = this.#settings;
    if (deadlineMs === Infinity) return undefined;
    return this.#ports.timers.after(deadlineMs, () => {
      this.cancel(new LumeoError("TIMEOUT", `No answer to "${method}" within ${deadlineMs} ms`));
    });
  }

  async #waitOrThrow(error: LumeoError, failed: FailedStep): Promise<void> {
    const { policy, deadlineMs } = this.#settings;
    const now = this.#ports.clock.monotonicMs();
    const remainingMs = Math.min(
      failed.limitMs() - (now - failed.began),
      deadlineMs - (now - this.startedAt),
    );
    const { count, redirects, idempotent } = failed;
    const elapsedMs = now - failed.began;
    const retry = afterFailure(
      { error, count, redirects, idempotent, elapsedMs, remainingMs },
      policy,
      this.#ports.random,
    );
    if (retry.kind === "giveUp") {
      this.#givenUp ??= new WeakSet();
      this.#givenUp.add(error);
      throw error;
    }
    const shown = toPublic(error, this.path, count) as PublicError;
    this.#events.emit("retry", {
      method: this.method,
      attempt: count,
      delayMs: retry.ms,
      error: shown,
    });
    if (0 < retry.ms) await this.pause(retry.ms);
  }
}

interface FailedStep extends StepOptions {
  readonly count: number;
  readonly redirects: number;
  readonly began: MonotonicMs;
}
