// What replicas of growing chunks have promised: every state that a chunk has been in, and the last
// one that somebody was told of. After a failure a chunk is in that one, or in a later one.

import type { ChunkHandle } from "@lumeofs/base";
import type { AppendRecord } from "../../../src/replication/append-record.js";
import { emptyReplica, type ReplicaState } from "../../../src/replication/replica.js";

export type TailState =
  /** Never heard of, or forgotten. */
  | { readonly kind: "nothing" }
  | { readonly kind: "replica"; readonly state: ReplicaState }
  /** Sealed and kept in the store; only the table is left of it. */
  | { readonly kind: "sealed"; readonly last: ReplicaState };

export interface Account {
  readonly states: readonly TailState[];
  /** Place of the last one that was answered. */
  readonly told: number;
}

const NEW: Account = { states: [{ kind: "nothing" }], told: 0 };

/** Bytes of a record: each has its own. */
export function bytesOf(record: AppendRecord): Uint8Array {
  const { content, seq, epoch } = record;
  const length = content.kind === "data" ? content.lengthBytes : 0;
  return new Uint8Array(length).fill((7 * seq + 31 * epoch) % 251);
}

export class TailLedger {
  readonly #accounts: Map<ChunkHandle, Account>;

  constructor(from?: TailLedger) {
    this.#accounts = new Map(from === undefined ? [] : from.#accounts);
  }

  get handles(): readonly ChunkHandle[] {
    return [...this.#accounts.keys()];
  }

  of(handle: ChunkHandle): Account {
    return this.#accounts.get(handle) ?? NEW;
  }

  /** The newest state, whether it was answered or not. */
  newest(handle: ChunkHandle): ReplicaState {
    const last = this.of(handle).states.at(-1);
    if (last?.kind === "sealed") return last.last;
    return last?.kind === "replica" ? last.state : emptyReplica();
  }

  /** Something was asked for that leads to this state; returns its place. */
  begin(handle: ChunkHandle, state: TailState): number {
    const { states, told } = this.of(handle);
    this.#accounts.set(handle, { states: [...states, state], told });
    return states.length;
  }

  /** It was answered. */
  told(handle: ChunkHandle, place: number): void {
    const { states, told } = this.of(handle);
    this.#accounts.set(handle, { states, told: Math.max(told, place) });
  }

  /** From now on the chunk is in just this state. */
  decide(handle: ChunkHandle, state: TailState): void {
    this.#accounts.set(handle, { states: [state], told: 0 });
  }

  copy(): TailLedger {
    return new TailLedger(this);
  }
}
