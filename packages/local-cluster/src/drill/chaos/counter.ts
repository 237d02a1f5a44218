// A number that one caller counts up and others read, with every consistency. The number is in the
// metadata of a file.
//
// R1. A read that is linearizable, or by lease, shows at least what was acknowledged, or shown to
//     such a reader, before it began.
// R2. A stale read shows at least what was acknowledged longer before it began than the age that it
//     admits.
// R3. No read shows what nobody has begun to write.

import type { Consistency, Lumeo } from "@lumeofs/client";
import type { Ledger } from "../ledger.js";
import { rest } from "../rest.js";

const EMPTY = new Uint8Array(0);
/** Ages are told in whole milliseconds, and two processes read the clock. */
const AGE_STEP_MS = 2;
const REST_MS = 10;
const CONSISTENCIES: readonly Consistency[] = ["linearizable", "lease", "stale"];

interface Mark {
  readonly value: number;
  readonly atMs: number;
}

export class Counter {
  readonly #path: string;
  readonly #ledger: Ledger;
  /** What was acknowledged, and what readers were shown for the newest there is, rising. */
  readonly #known: Mark[] = [{ value: 0, atMs: 0 }];
  #begun = 0;

  constructor(path: string, ledger: Ledger) {
    this.#path = path;
    this.#ledger = ledger;
  }

  /** Makes the counter. */
  async begin(client: Lumeo): Promise<void> {
    await client.put(this.#path, EMPTY, { metadata: { n: "0" } });
  }

  /** Counts until told to end. Only one may. */
  async count(client: Lumeo, end: AbortSignal): Promise<void> {
    while (!end.aborted) {
      const value = ++this.#begun;
      const write = () => client.put(this.#path, EMPTY, { metadata: { n: String(value) } });
      const outcome = await this.#ledger.call("count", this.#path, write);
      if (outcome.kind === "ok") this.#learn(value);
      if (outcome.kind === "refused") this.#ledger.anomaly(`counting: ${outcome.code}`);
      await rest(REST_MS, end);
    }
  }

  /** Reads until told to end, with each consistency in turn. */
  async read(client: Lumeo, end: AbortSignal): Promise<void> {
    for (let turn = 0; !end.aborted; turn++) {
      const consistency = CONSISTENCIES[turn % CONSISTENCIES.length] ?? "linearizable";
      await this.#readOnce(client, consistency);
      await rest(REST_MS, end);
    }
  }

  /** After all: a fresh look must show everything. */
  async check(client: Lumeo): Promise<void> {
    await this.#readOnce(client, "linearizable");
  }

  async #readOnce(client: Lumeo, consistency: Consistency): Promise<void> {
    const beganMs = this.#ledger.elapsedMs;
    const known = this.#knownAt(beganMs);
    const read = async () => {
      const found = await client.stat(this.#path, { consistency });
      return { value: Number(found.metadata["n"] ?? 0), ageMs: found.freshness?.ageMs ?? 0 };
    };
    const isStale = consistency === "stale";
    // A master that has just joined may not know of the file yet.
    const isMissing = (code: string): boolean => isStale && code === "LUMEO_NOT_FOUND";
    const outcome = await this.#ledger.call(`read ${consistency}`, this.#path, read, isMissing);
    if (outcome.kind !== "ok") return;
    const { value, ageMs } = outcome.value;
    const floor = isStale ? this.#knownAt(beganMs - ageMs - AGE_STEP_MS) : known;
    const what = `a ${consistency} read of age ${ageMs} ms shows ${value}`;
    if (value < floor) this.#ledger.anomaly(`${what}, ${floor} was known before`);
    if (this.#begun < value) this.#ledger.anomaly(`${what}, nobody has written that`);
    if (!isStale) this.#learn(value);
  }

  #learn(value: number): void {
    if (value <= (this.#known.at(-1)?.value ?? 0)) return;
    this.#known.push({ value, atMs: this.#ledger.elapsedMs });
  }

  #knownAt(timeMs: number): number {
    return this.#known.findLast(({ atMs }) => atMs <= timeMs)?.value ?? 0;
  }
}
