// Which master to turn to next. A hint by a master comes first; else they are asked in turn. One
// that stood still is passed over for a while, though others may still take it for the leader: they
// notice later.

import { invariant } from "@lumeofs/base";

const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 1_000;
/** So many tries in vain, and one that stood still is asked again like the others. */
const STILL_TRIES = 8;

export class LeaderSearch {
  readonly #given: readonly string[];
  #masters: readonly string[];
  #turn = 0;
  #hint: string | undefined;
  #failures = 0;
  #still: { readonly address: string; readonly until: number } | undefined;

  /** @param masters  Addresses, at least one. */
  constructor(masters: readonly string[]) {
    invariant(0 < masters.length, "a chunkserver needs at least one master address");
    this.#given = masters;
    this.#masters = masters;
  }

  /** The masters are these now. The ones given first are asked too, behind them. */
  follow(masters: readonly string[]): void {
    if (masters.length === 0) return;
    const given = this.#given.filter((address) => !masters.includes(address));
    this.#masters = [...masters, ...given];
  }

  next(): string {
    const hint = this.#hint;
    this.#hint = undefined;
    if (hint !== undefined && !this.#isStill(hint)) return hint;
    const address = this.#inTurn();
    return this.#isStill(address) ? this.#inTurn() : address;
  }

  /** @param leader  Address that the refusing master named, if it did. */
  failed(leader: string | undefined): void {
    this.#hint = leader;
    this.#failures++;
  }

  /** This one gave no answer at all. */
  stoodStill(address: string): void {
    this.failed(undefined);
    this.#still = { address, until: this.#failures + STILL_TRIES };
  }

  /** The leader was found; after a break it is asked first. */
  found(address: string): void {
    this.#failures = 0;
    this.#still = undefined;
    this.#hint = address;
  }

  /** How long to wait before the next try: nothing while hints lead on, longer with each round. */
  pauseMs(fraction: number): number {
    if (this.#failures <= 1 && this.#hint !== undefined) return 0;
    const rounds = Math.floor(this.#failures / this.#masters.length);
    const ceiling = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(rounds, 10));
    return ceiling * (0.5 + fraction / 2);
  }

  #inTurn(): string {
    const address = this.#masters[this.#turn % this.#masters.length] as string;
    this.#turn++;
    return address;
  }

  #isStill(address: string): boolean {
    const still = this.#still;
    if (still === undefined || this.#masters.length === 1) return false;
    return still.address === address && this.#failures < still.until;
  }
}
