// When a second replica is asked for what the first one does not send. Pure.
//
// H1. The delay follows how long pieces are really waited for: a little more than what 95 of 100
//     of them take, within the limits.
// H2. Hedges are a share of the reads: each read adds `share` of one, up to `burst`. So a cluster
//     that is slow as a whole is not asked for everything twice.
// H3. Beyond `msMax` the silence counts as a failure, and hedges are not counted any more.

export interface HedgeLimits {
  readonly msMin: number;
  readonly msMax: number;
  /** Hedges for each read, on average, at most. */
  readonly share: number;
}

export const HEDGE_DEFAULT: HedgeLimits = { msMin: 10, msMax: 1_000, share: 0.1 };

/** Hedges that may come at once after a quiet time: one for each span that a reading fetches. */
const BURST = 16;
/** Waits that are looked at. */
const WAITS_MAX = 256;
/** How many new ones there are before the delay is computed again. */
const WAITS_PER_LOOK = 32;
const QUANTILE = 0.95;
const MARGIN = 1.5;
/** Before so many waits are known, nothing is known: this delay, within the limits. */
const WAITS_MIN = 16;
const FIRST_MS = 100;

export class HedgePolicy {
  readonly #limits: HedgeLimits | undefined;
  readonly #waits: number[] = [];
  #next = 0;
  #sinceLook = 0;
  #delayMs: number;
  #allowance = BURST;

  /** @param limits  Undefined: never hedge. */
  constructor(limits: HedgeLimits | undefined) {
    this.#limits = limits;
    this.#delayMs = limits === undefined ? Infinity : within(limits, FIRST_MS);
  }

  /** How long to wait for the next piece before another replica is asked (H1). */
  get delayMs(): number {
    return this.#delayMs;
  }

  /** After so long a silence another replica is asked in any case (H3). */
  get patienceMs(): number {
    return this.#limits?.msMax ?? Infinity;
  }

  /** A read begins (H2). */
  readBegan(): void {
    const { share = 0 } = this.#limits ?? {};
    this.#allowance = Math.min(BURST, this.#allowance + share);
  }

  /** A piece came after so long. */
  waited(ms: number): void {
    this.#waits[this.#next] = ms;
    this.#next = (this.#next + 1) % WAITS_MAX;
    if (++this.#sinceLook < WAITS_PER_LOOK && WAITS_MIN < this.#waits.length) return;
    this.#look();
  }

  /** Takes a hedge out of the allowance, if there is one. */
  tryHedge(): boolean {
    if (this.#limits === undefined || this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }

  #look(): void {
    if (this.#limits === undefined || this.#waits.length < WAITS_MIN) return;
    this.#sinceLook = 0;
    const sorted = [...this.#waits].sort((a, b) => a - b);
    const slow = sorted[Math.floor(QUANTILE * (sorted.length - 1))] as number;
    this.#delayMs = within(this.#limits, MARGIN * slow);
  }
}

function within({ msMin, msMax }: HedgeLimits, ms: number): number {
  return Math.min(msMax, Math.max(msMin, ms));
}
