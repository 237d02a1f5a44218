// Random lives of a store whose segments are short: chunks of both kinds come, are replaced,
// removed and come again, while old segments are emptied; restarts, lost indexes and losses of
// power between. Nothing is lost, nothing comes back, and the space of what is dead does.

import { SeededRandom } from "@lumeofs/base";
import fc from "fast-check";
import { audit, auditIdentity, settledBy } from "./audit.js";
import { emptyTally, type Tally } from "./enumeration.js";
import { Ledger } from "./ledger.js";
import { StoreUser } from "./script.js";
import { StoreMachine, type StoreParts, type StoreProcess } from "./store-machine.js";

const SEGMENT_BYTES = 24 * 1_024;

type Step =
  | { readonly kind: "put"; readonly handle: number; readonly length: number }
  | { readonly kind: "remove"; readonly handle: number }
  | { readonly kind: "replace"; readonly handle: number; readonly length: number }
  | { readonly kind: "house" }
  /** Steps at once, some time after housekeeping has begun. */
  | { readonly kind: "rush"; readonly handles: readonly number[]; readonly delay: number }
  | { readonly kind: "restart"; readonly index: "kept" | "lost" }
  | { readonly kind: "powerLoss"; readonly index: "kept" | "lost"; readonly seed: number };

/** Small chunks mostly. */
const handle = fc.integer({ min: 1, max: 40 }).map((n) => (n % 2 === 1 && 9 < n ? n + 1 : n));
const length = fc.integer({ min: 1_000, max: 9_000 });
const index = fc.constantFrom("kept" as const, "lost" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("put" as const), handle, length }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("remove" as const), handle }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("replace" as const), handle, length }) },
  { weight: 3, arbitrary: fc.constant({ kind: "house" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("rush" as const),
      delay: fc.nat(120),
      handles: fc.uniqueArray(handle, { minLength: 2, maxLength: 12 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), index }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("powerLoss" as const), index, seed: fc.nat(1_000) }),
  },
);

/** One store from machine to machine. */
class Life {
  readonly #parts: StoreParts;
  #machine: StoreMachine;
  #ledger = new Ledger();
  #process: StoreProcess;
  #seed = 0;

  private constructor(parts: StoreParts, machine: StoreMachine, process: StoreProcess) {
    this.#parts = parts;
    this.#machine = machine;
    this.#process = process;
    this.#ledger.opened(process.volume.uuid);
  }

  static async begin(parts: StoreParts): Promise<Life> {
    const machine = StoreMachine.blank({ parts });
    return new Life(parts, machine, await machine.boot());
  }

  get logBytes(): number {
    return this.#machine.logBytes;
  }

  /** What the living small chunks need in the log, and the records of the large ones, or more. */
  get liveBytes(): number {
    const living = this.#ledger.handles.flatMap((one) => {
      const { settled } = this.#ledger.of(one);
      return settled === undefined ? [] : [300 + (one % 2 === 0 ? settled.length : 0)];
    });
    return living.reduce((sum, bytes) => sum + bytes, 0);
  }

  async live(step: Step): Promise<void> {
    const user = new StoreUser(this.#process, this.#ledger);
    switch (step.kind) {
      case "put":
        return this.#put(user, step.handle, step.length);
      case "remove":
        return user.remove(step.handle);
      case "replace":
        return user.replace(step.handle, this.#lengthFor(step.handle, step.length));
      case "house":
        return user.flush();
      case "rush":
        return this.#rush(user, step);
      case "restart":
        await this.#process.store.close();
        return this.#restart(step.index, () => true);
      case "powerLoss":
        return this.#losePower(user, step);
    }
  }

  /** Lets the store do what it wants to do behind. */
  async rest(): Promise<void> {
    const user = new StoreUser(this.#process, this.#ledger);
    for (let round = 0; round < 40; round++) await user.flush();
  }

  async check(): Promise<readonly string[]> {
    const identity = auditIdentity(this.#process, this.#ledger);
    return [...identity, ...(await audit(this.#process, this.#ledger))];
  }

  #put(user: StoreUser, one: number, bytes: number): Promise<void> {
    const settled = this.#ledger.of(one).settled;
    if (settled !== undefined) return user.repeat(one);
    const seed = 10_000 + this.#seed++;
    return user.put(one, { epoch: 1, length: this.#lengthFor(one, bytes), seed });
  }

  async #rush(
    user: StoreUser,
    { handles, delay }: { readonly handles: readonly number[]; readonly delay: number },
  ): Promise<void> {
    const house = user.flush();
    for (let i = 0; i < delay; i++) await Promise.resolve();
    const works = handles.map((one) => {
      if (this.#ledger.of(one).settled === undefined) return this.#put(user, one, 200 * one);
      const bytes = this.#lengthFor(one, 300 * one);
      return one % 3 === 0 ? user.replace(one, bytes) : user.remove(one);
    });
    await user.all([house, ...works]);
  }

  async #losePower(
    user: StoreUser,
    { index, seed }: { readonly index: "kept" | "lost"; readonly seed: number },
  ): Promise<void> {
    const house = user.flush();
    const random = new SeededRandom(seed, "loss");
    for (let i = 0; i < seed % 7; i++) await Promise.resolve();
    await this.#restart(index, () => random.fraction() < 0.5);
    this.#ledger = await settledBy(this.#process, this.#ledger);
    await house;
  }

  async #restart(index: "kept" | "lost", keeps: () => boolean): Promise<void> {
    const moment = this.#machine.moment();
    this.#machine = StoreMachine.after({ parts: this.#parts }, { moment, keeps, index });
    this.#process = await this.#machine.boot();
  }

  #lengthFor(one: number, bytes: number): number {
    return one % 2 === 0 ? bytes : 65_536 + bytes;
  }
}

/** Lives so many random lives, the same in every run; ends with the first that goes wrong. */
export async function enumerateLives(parts: StoreParts, livesMax: number): Promise<Tally> {
  const tally = emptyTally();
  const steps = fc.array(step, { minLength: 60, maxLength: 160, size: "max" });
  const property = fc.asyncProperty(steps, async (life) => {
    tally.points += life.length;
    tally.machines++;
    const faults = await lived(parts, life);
    if (0 < faults.length) throw new Error(faults.join("; "));
  });
  const details = await fc.check(property, { numRuns: livesMax, seed: 5, endOnFailure: true });
  if (details.failed) {
    const why = String(details.errorInstance);
    tally.faults.push(
      `life ${details.numRuns}: ${why} after ${JSON.stringify(details.counterexample)}`,
    );
  }
  return tally;
}

async function lived(parts: StoreParts, steps: readonly Step[]): Promise<readonly string[]> {
  const life = await Life.begin(parts);
  for (const one of steps) await life.live(one);
  const found = await life.check();
  if (0 < found.length) return found;
  await life.rest();
  const allowed = 1.5 * life.liveBytes + 3 * SEGMENT_BYTES;
  if (allowed < life.logBytes) return [`the log has ${life.logBytes} bytes, at most ${allowed}`];
  await life.live({ kind: "restart", index: "lost" });
  return life.check();
}
