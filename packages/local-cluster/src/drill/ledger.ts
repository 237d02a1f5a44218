// What the callers of the drill experienced: every call with its kind, outcome and time.
//
// An anomaly is an answer that cannot be: content that nobody wrote, an acknowledged file that is
// not found, a condition that two callers fulfilled. One anomaly fails the drill.

import { LumeoError, type LumeoErrorCode } from "@lumeofs/client";

export type Outcome<T> =
  | { readonly kind: "ok"; readonly value: T }
  /** The call surely had no effect. */
  | { readonly kind: "refused"; readonly code: LumeoErrorCode }
  /** Nobody knows whether it had its effect. */
  | { readonly kind: "unknown"; readonly code: LumeoErrorCode };

/** A call that failed although nothing was wrong with what it asked. */
export interface Failure {
  readonly atMs: number;
  readonly kind: string;
  readonly path: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  readonly durationMs: number;
  /** Faults under way when it failed. */
  readonly faults: string;
}

export interface Tally {
  readonly kind: string;
  readonly ok: number;
  /** As the caller expected: a condition that did not hold. */
  readonly refused: number;
  readonly failed: number;
  readonly slowestMs: number;
  /** When that call ended. */
  readonly slowestEndedAtMs: number;
}

/** A call under way. */
interface Running {
  readonly kind: string;
  readonly path: string;
  readonly beganMs: number;
}

/** A time in which nobody was told of success. */
export interface Gap {
  readonly ms: number;
  readonly endedAtMs: number;
}

const SHOWN_MAX = 200;
const GAPS_MAX = 8;
/** Shorter ones are the callers' own rests. */
const GAP_MS_MIN = 500;

/** Answers that say for sure that nothing was changed. */
const WITHOUT_EFFECT: ReadonlySet<LumeoErrorCode> = new Set([
  "LUMEO_NOT_FOUND",
  "LUMEO_EXISTS",
  "LUMEO_PRECONDITION",
  "LUMEO_CONFLICT",
  "LUMEO_LOCKED",
  "LUMEO_NOT_EMPTY",
  "LUMEO_IS_DIRECTORY",
  "LUMEO_NOT_DIRECTORY",
  "LUMEO_INVALID_ARGUMENT",
  "LUMEO_NO_SPACE",
]);

export class Ledger {
  readonly #began = performance.now();
  readonly #tallies = new Map<string, { -readonly [K in keyof Tally]: Tally[K] }>();
  readonly #running = new Set<Running>();
  readonly #faults: () => string;
  readonly failures: Failure[] = [];
  readonly anomalies: string[] = [];
  readonly codes = new Map<string, number>();
  /** Longest times without any acknowledged change, the longest first. */
  readonly gaps: Gap[] = [];
  #lastChangeMs = 0;

  /** @param faults  Says which faults are under way. */
  constructor(faults: () => string) {
    this.#faults = faults;
  }

  get elapsedMs(): number {
    return performance.now() - this.#began;
  }

  get tallies(): readonly Tally[] {
    return [...this.#tallies.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1));
  }

  /** Calls that have not ended, as text with their age. */
  get underWay(): readonly string[] {
    return [...this.#running].map(({ kind, path, beganMs }) => {
      return `${kind} ${path} for ${((this.elapsedMs - beganMs) / 1000).toFixed(1)} s`;
    });
  }

  /**
   * Makes a call and notes how it ended.
   *
   * @param isRight  Which refusals are right answers, asked when one has come; others are failures.
   */
  async call<T>(
    kind: string,
    path: string,
    action: () => Promise<T>,
    isRight: (code: LumeoErrorCode) => boolean = () => false,
  ): Promise<Outcome<T>> {
    const running = { kind, path, beganMs: this.elapsedMs };
    const tally = this.#tally(kind);
    this.#running.add(running);
    try {
      const value = await action();
      tally.ok++;
      return { kind: "ok", value };
    } catch (error) {
      if (!LumeoError.is(error)) throw error;
      const { code } = error;
      if (isRight(code)) tally.refused++;
      else this.#fail(running, error);
      return WITHOUT_EFFECT.has(code) ? { kind: "refused", code } : { kind: "unknown", code };
    } finally {
      this.#running.delete(running);
      const now = this.elapsedMs;
      if (tally.slowestMs < now - running.beganMs) {
        Object.assign(tally, { slowestMs: now - running.beganMs, slowestEndedAtMs: now });
      }
    }
  }

  /** A change was acknowledged. */
  changed(): void {
    const now = this.elapsedMs;
    const ms = now - this.#lastChangeMs;
    this.#lastChangeMs = now;
    if (ms < GAP_MS_MIN) return;
    this.gaps.push({ ms, endedAtMs: now });
    this.gaps.sort((a, b) => b.ms - a.ms).splice(GAPS_MAX);
  }

  anomaly(text: string): void {
    const at = (this.elapsedMs / 1000).toFixed(1);
    this.anomalies.push(`${at} s: ${text} [faults: ${this.#faults() || "none"}]`);
  }

  #fail({ kind, path, beganMs }: Running, error: LumeoError): void {
    const { code, message, attempts } = error;
    this.#tally(kind).failed++;
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
    if (SHOWN_MAX <= this.failures.length) return;
    const atMs = this.elapsedMs;
    const durationMs = atMs - beganMs;
    const faults = this.#faults();
    this.failures.push({ atMs, kind, path, code, message, attempts, durationMs, faults });
  }

  #tally(kind: string): { -readonly [K in keyof Tally]: Tally[K] } {
    const known = this.#tallies.get(kind);
    if (known !== undefined) return known;
    const fresh = { kind, ok: 0, refused: 0, failed: 0, slowestMs: 0, slowestEndedAtMs: 0 };
    this.#tallies.set(kind, fresh);
    return fresh;
  }
}
