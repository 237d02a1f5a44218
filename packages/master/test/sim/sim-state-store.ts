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

/** Keys and values with a digest of all of them. */
export class DigestedMap {
  #digest = 0;
  readonly #pairs = new Map<string, { readonly pair: Pair; readonly hash: number }>();

  /** Equal for equal contents; different with near certainty for different ones. */
  get digest(): number {
    return this.#digest;
  }

  get size(): number {
    return this.#pairs.size;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#pairs.get(textOf(key))?.pair[1];
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const text = textOf(key);
    const hash = hashOf(key, value);
    this.#add(hash - (this.#pairs.get(text)?.hash ?? 0));
    this.#pairs.set(text, { pair: [key.slice(), value.slice()], hash });
  }

  delete(key: Uint8Array): void {
    const text = textOf(key);
    this.#add(-(this.#pairs.get(text)?.hash ?? 0));
    this.#pairs.delete(text);
  }

  /** All pairs in the order of their keys. */
  pairs(): readonly Pair[] {
    const texts = [...this.#pairs.keys()].sort();
    return texts.map((text) => (this.#pairs.get(text) as { pair: Pair }).pair);
  }

  copy(): DigestedMap {
    const copied = new DigestedMap();
    for (const [text, value] of this.#pairs) copied.#pairs.set(text, value);
    copied.#digest = this.#digest;
    return copied;
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
  readonly changes: readonly (readonly [Uint8Array, Uint8Array | undefined])[];
}

/** Batches that wait before the store calls itself congested. */
const BATCHES_WAITING_MAX = 64;
const PIECES_MAX = 4;

export class SimStateStore implements StateStore {
  #applied: AppliedMark;
  #contents: DigestedMap;
  #changes: (readonly [Uint8Array, Uint8Array | undefined])[] = [];
  #waiting: Batch[] = [];
  #flushing: Promise<void> | undefined;
  #failure: unknown;
  #isClosed = false;
  readonly #medium: StateMedium;
  readonly #io: SimIo;
  readonly #lifetime: Lifetime;

  constructor(medium: StateMedium, io: SimIo, lifetime: Lifetime) {
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
    return BATCHES_WAITING_MAX <= this.#waiting.length;
  }

  get digest(): number {
    return this.#contents.digest;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#contents.get(key);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#mustWork();
    this.#contents.put(key, value);
    this.#changes.push([key.slice(), value.slice()]);
  }

  delete(key: Uint8Array): void {
    this.#mustWork();
    this.#contents.delete(key);
    this.#changes.push([key.slice(), undefined]);
  }

  async range(from: Uint8Array, to: Uint8Array, countMax: number): Promise<readonly Pair[]> {
    const [low, high] = [textOf(from), textOf(to)];
    const inside = this.#contents.pairs().filter(([key]) => {
      const text = textOf(key);
      return low <= text && text < high;
    });
    return inside.slice(0, countMax);
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
    const { mark } = this.#medium;
    const pairs = this.#medium.contents.pairs();
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
      for (const [key, value] of decode(piece)) contents.put(key, value);
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
      for (const [key, value] of changes) {
        if (value === undefined) contents.delete(key);
        else contents.put(key, value);
      }
      this.#medium.mark = mark;
    }
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

/** One character for each byte: sorts as the bytes do. */
function textOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function hashOf(key: Uint8Array, value: Uint8Array): number {
  let [low, high] = [0x811c9dc5, 0x1b873593];
  const mix = (byte: number): void => {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x85ebca6b) ^ (high >>> 13);
  };
  for (const byte of key) mix(byte);
  mix(key.byteLength);
  for (const byte of value) mix(byte);
  return (high >>> 16) * 2 ** 32 + (low >>> 0);
}
