// The simulated state of a member: visible at once, durable behind, in whole batches.
//
// Every state has a digest that depends on what is in it and not on the way it came there; it is
// kept up to date with each change, so that comparing whole states after every entry costs nothing.

import { ByteReader, ByteWriter, invariant, LumeoError } from "@lumeofs/base";
import type { Lifetime } from "@lumeofs/testkit";
import type { StateImage } from "../../src/consensus/replicated-state.js";
import { logIndex, term } from "../../src/raft/entry.js";
import type { AppliedMark, StateStore } from "../../src/state/state-store.js";
import type { SimIo } from "./sim-io.js";

type Pair = readonly [Uint8Array, Uint8Array];

/** A pair with what is computed from it: made once, kept in many maps. */
interface Record {
  readonly text: string;
  readonly pair: Pair;
  readonly hash: number;
}

/** A change: a new record, or the text of a key that is gone. */
type Change = Record | string;

/** Keys and values with a digest of all of them. */
export class DigestedMap {
  #digest = 0;
  readonly #records = new Map<string, Record>();

  /** Equal for equal contents; different with near certainty for different ones. */
  get digest(): number {
    return this.#digest;
  }

  get size(): number {
    return this.#records.size;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#records.get(textOf(key))?.pair[1];
  }

  change(change: Change): void {
    const text = typeof change === "string" ? change : change.text;
    const old = this.#records.get(text);
    if (old !== undefined) this.#add(-old.hash);
    if (typeof change === "string") {
      this.#records.delete(text);
      return;
    }
    this.#add(change.hash);
    this.#records.set(text, change);
  }

  /** The pairs with from <= key < to in the order of their keys. */
  range(from: Uint8Array, to: Uint8Array): readonly Pair[] {
    const [low, high] = [textOf(from), textOf(to)];
    return this.#sorted((text) => low <= text && text < high);
  }

  /** All pairs in the order of their keys. */
  pairs(): readonly Pair[] {
    return this.#sorted(() => true);
  }

  copy(): DigestedMap {
    const copied = new DigestedMap();
    for (const [text, value] of this.#records) copied.#records.set(text, value);
    copied.#digest = this.#digest;
    return copied;
  }

  #sorted(isWanted: (text: string) => boolean): readonly Pair[] {
    const texts: string[] = [];
    for (const text of this.#records.keys()) if (isWanted(text)) texts.push(text);
    return texts.sort().map((text) => (this.#records.get(text) as Record).pair);
  }

  #add(hash: number): void {
    this.#digest = (this.#digest + hash + DIGEST_RANGE) % DIGEST_RANGE;
  }
}

const DIGEST_RANGE = 2 ** 48;

/** What is durable of one member's state. */
export class StateMedium {
  mark: AppliedMark = { index: logIndex(0), term: term(0) };
  contents = new DigestedMap();
}

interface Batch {
  readonly mark: AppliedMark;
  readonly changes: readonly Change[];
}

const PIECES_MAX = 4;

export class SimStateStore implements StateStore {
  #applied: AppliedMark;
  #contents: DigestedMap;
  #changes: Change[] = [];
  #waiting: Batch[] = [];
  #flushing: Promise<void> | undefined;
  #failure: unknown;
  #isClosed = false;
  readonly #medium: StateMedium;
  readonly #io: SimIo;
  readonly #lifetime: Lifetime;
  readonly #batchesWaitingMax: number;

  /** @param batchesWaitingMax So many may wait before the store calls itself congested. */
  constructor(medium: StateMedium, io: SimIo, lifetime: Lifetime, batchesWaitingMax: number) {
    this.#batchesWaitingMax = batchesWaitingMax;
    this.#medium = medium;
    this.#io = io;
    this.#lifetime = lifetime;
    this.#applied = medium.mark;
    this.#contents = medium.contents.copy();
  }

  get applied(): AppliedMark {
    return this.#applied;
  }

  get durable(): AppliedMark {
    return this.#medium.mark;
  }

  get congested(): boolean {
    return this.#batchesWaitingMax <= this.#waiting.length;
  }

  get digest(): number {
    return this.#contents.digest;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#contents.get(key);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#mustWork();
    this.#change(recordOf(key, value));
  }

  delete(key: Uint8Array): void {
    this.#mustWork();
    this.#change(textOf(key));
  }

  async range(from: Uint8Array, to: Uint8Array, countMax: number): Promise<readonly Pair[]> {
    return this.#contents.range(from, to).slice(0, countMax);
  }

  commit(mark: AppliedMark): void {
    this.#mustWork();
    invariant(mark.index === this.#applied.index + 1, "marks are consecutive", { ...mark });
    this.#waiting.push({ mark, changes: this.#changes });
    this.#changes = [];
    this.#applied = mark;
    this.#flushing ??= this.#persist();
    // Whoever waits for it hears of a failure; so does every later call.
    this.#flushing.catch(() => {});
  }

  async flush(): Promise<void> {
    this.#mustWork();
    const { index } = this.#applied;
    while (this.#medium.mark.index < index) {
      await this.#flushing;
      this.#mustWork();
    }
  }

  async image(): Promise<StateImage> {
    this.#mustWork();
    return this.#imageOf(this.#medium.mark, this.#medium.contents);
  }

  capture(): StateImage {
    this.#mustWork();
    return this.#imageOf(this.#applied, this.#contents);
  }

  #imageOf(mark: AppliedMark, contents: DigestedMap): StateImage {
    const pairs = contents.pairs();
    const pieceCount = this.#io.upTo(PIECES_MAX);
    return {
      index: mark.index,
      term: mark.term,
      async *pieces() {
        const each = Math.ceil(pairs.length / pieceCount);
        for (let at = 0; at < pairs.length; at += each) yield encode(pairs.slice(at, at + each));
      },
      close: async () => {},
    };
  }

  async install(mark: AppliedMark, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    this.#mustWork();
    const contents = new DigestedMap();
    for await (const piece of pieces) {
      for (const [key, value] of decode(piece)) contents.change(recordOf(key, value));
    }
    // What was still to be written is part of the past that the image replaces.
    this.#waiting = [];
    await this.#flushing;
    await this.#io.call(this.#lifetime, "install a state", () => {
      this.#medium.contents = contents;
      this.#medium.mark = mark;
    });
    this.#contents = contents.copy();
    this.#applied = mark;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  async #persist(): Promise<void> {
    try {
      while (0 < this.#waiting.length) {
        const batches = this.#waiting;
        this.#waiting = [];
        await this.#io.call(this.#lifetime, "write the state", () => this.#land(batches));
      }
    } catch (error) {
      this.#failure = error;
      throw error;
    } finally {
      this.#flushing = undefined;
    }
  }

  #land(batches: readonly Batch[]): void {
    const { contents } = this.#medium;
    for (const { mark, changes } of batches) {
      for (const change of changes) contents.change(change);
      this.#medium.mark = mark;
    }
  }

  #change(change: Change): void {
    this.#contents.change(change);
    this.#changes.push(change);
  }

  #mustWork(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) throw new LumeoError("CLOSED", "Cannot use the state: it is closed");
  }
}

function encode(pairs: readonly Pair[]): Uint8Array {
  const writer = new ByteWriter();
  for (const [key, value] of pairs) writer.sized(key).sized(value);
  return writer.finish();
}

function decode(piece: Uint8Array): readonly Pair[] {
  const reader = new ByteReader(piece);
  const pairs: Pair[] = [];
  while (0 < reader.remaining) pairs.push([reader.sized().slice(), reader.sized().slice()]);
  return pairs;
}

function recordOf(key: Uint8Array, value: Uint8Array): Record {
  return { text: textOf(key), pair: [key, value], hash: hashOf(key, value) };
}

/** One character for each byte: sorts as the bytes do. */
function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function hashOf(key: Uint8Array, value: Uint8Array): number {
  let [low, high] = [0x811c9dc5, 0x1b873593];
  const mix = (byte: number): void => {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x85ebca6b) ^ (high >>> 13);
  };
  for (let i = 0; i < key.length; i++) mix(key[i] as number);
  mix(key.byteLength);
  for (let i = 0; i < value.length; i++) mix(value[i] as number);
  return (high >>> 16) * 2 ** 32 + (low >>> 0);
}
