// What the link to the masters needs to know of the store.

import type { ChunkHandle } from "@lumeofs/base";

export interface StoreUsage {
  readonly chunkCount: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  /** No new chunks: the disk is nearly full, or the store has failed. */
  readonly readOnly: boolean;
  readonly writesInFlight: number;
}

export type ReplicaVerdict =
  | { readonly kind: "intact"; readonly lengthBytes: number; readonly crc32c: number }
  | { readonly kind: "damaged"; readonly damage: string }
  | { readonly kind: "missing" };

export interface ReplicaStore {
  /** Made when the store was formatted. */
  readonly uuid: string;
  usage(): Promise<StoreUsage>;
  /** Every replica known to be damaged. */
  damaged(): readonly ChunkHandle[];
  /** Calls `listener` for each replica found damaged from now on; the result ends that. */
  onDamage(listener: (handle: ChunkHandle) => void): () => void;
  /** Handles above `after` in rising order, at most `countMax`; empty at the end. */
  page(after: number, countMax: number): Promise<readonly ChunkHandle[]>;
  /** Removes replicas for good; unknown handles are passed over. @returns How many there were. */
  remove(handles: readonly ChunkHandle[]): Promise<number>;
  /** Reads a replica from the disk and checks every block. */
  verify(handle: ChunkHandle): Promise<ReplicaVerdict>;
}
