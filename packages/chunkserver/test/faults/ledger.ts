// What a store has promised, and what it may have done besides: whoever checks a store after a
// failure knows from here what must, may and must not be in it.

import { sample } from "../replicas.js";

/** A chunk as somebody wrote it; `seed` and `length` say which bytes. */
export interface WrittenChunk {
  readonly epoch: number;
  readonly length: number;
  readonly seed: number;
}

/** Undefined: it is not there. */
export type ChunkState = WrittenChunk | undefined;

interface Account {
  readonly settled: ChunkState;
  /** What it becomes if the call that is under way has its effect. */
  readonly next: { readonly state: ChunkState } | undefined;
}

const NOTHING: Account = { settled: undefined, next: undefined };
const BYTES = new Map<string, Uint8Array>();

/** One handle has one call under way at a time. */
export class Ledger {
  readonly #accounts: Map<number, Account>;
  readonly #written: Map<number, readonly WrittenChunk[]>;
  #version = 0;
  #uuid: string | undefined;
  #isJoined = false;

  constructor(from?: Ledger) {
    this.#accounts = from === undefined ? new Map() : new Map(from.#accounts);
    this.#written = from === undefined ? new Map() : new Map(from.#written);
  }

  /** Rises with each change. */
  get version(): number {
    return this.#version;
  }

  /** Who the store is, once it has been opened. */
  get uuid(): string | undefined {
    return this.#uuid;
  }

  opened(uuid: string): void {
    this.#version++;
    this.#uuid ??= uuid;
  }

  /** Whether the store has been told its number in the cluster. */
  get isJoined(): boolean {
    return this.#isJoined;
  }

  join(): void {
    this.#version++;
    this.#isJoined = true;
  }

  get handles(): readonly number[] {
    return [...this.#accounts.keys()];
  }

  begin(handle: number, state: ChunkState): void {
    if (state !== undefined) this.#written.set(handle, [...this.everWritten(handle), state]);
    this.#set(handle, { ...this.of(handle), next: { state } });
  }

  /** The call was acknowledged. */
  settle(handle: number): void {
    const { settled, next } = this.of(handle);
    this.#set(handle, { settled: next === undefined ? settled : next.state, next: undefined });
  }

  of(handle: number): Account {
    return this.#accounts.get(handle) ?? NOTHING;
  }

  /** All that somebody has begun to write under a handle. */
  everWritten(handle: number): readonly WrittenChunk[] {
    return this.#written.get(handle) ?? [];
  }

  copy(): Ledger {
    const copy = new Ledger(this);
    if (this.#uuid !== undefined) copy.opened(this.#uuid);
    if (this.#isJoined) copy.join();
    return copy;
  }

  #set(handle: number, account: Account): void {
    this.#version++;
    this.#accounts.set(handle, account);
  }
}

/** The bytes of a chunk. They are kept: do not change them. */
export function bytesOf({ length, seed }: WrittenChunk): Uint8Array {
  const key = `${length} ${seed}`;
  const bytes = BYTES.get(key) ?? sample(length, seed);
  BYTES.set(key, bytes);
  return bytes;
}
