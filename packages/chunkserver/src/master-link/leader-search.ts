// Which master to turn to next. A hint by a master comes first; else they are asked in turn.

import { invariant } from "@lumeofs/base";

const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 1_000;

export class LeaderSearch {
  readonly #given: readonly string[];
  #masters: readonly string[];
  #turn = 0;
  #hint: string | undefined;
  #failures = 0;

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
    if (hint !== undefined) return hint;
    const address = this.#masters[this.#turn % this.#masters.length] as string;
    this.#turn++;
    return address;
  }

  /** @param leader  Address that the refusing master named, if it did. */
  failed(leader: string | undefined): void {
    this.#hint = leader;
    this.#failures++;
  }

  /** The leader was found; after a break it is asked first. */
  found(address: string): void {
    this.#failures = 0;
    this.#hint = address;
  }

  /** How long to wait before the next try: nothing while hints lead on, longer with each round. */
  pauseMs(fraction: number): number {
    if (this.#failures <= 1 && this.#hint !== undefined) return 0;
    const rounds = Math.floor(this.#failures / this.#masters.length);
    const ceiling = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(rounds, 10));
    return ceiling * (0.5 + fraction / 2);
  }
}
