import type { ChunkHandle, Crc32c, Disk, Logger, LumeoError, Timers } from "@lumeofs/base";
import type { ChunkIndex } from "./chunk-index.js";

/** What a store on one disk works with. */
export interface StoreOptions {
  readonly disk: Disk;
  readonly index: ChunkIndex;
  /** 16 bytes: the store's uuid. */
  readonly owner: Uint8Array;
  readonly crc32c: Crc32c;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly capacityBytes: number | undefined;
  /** What is left free on the disk in any case. */
  readonly lowWaterBytes: number;
  readonly segmentBytes?: number;
  /** How fast living records are moved out of old segments; 0 for never. */
  readonly compactBytesPerSecond?: number;
  /** Called when a chunk is found to be other bytes than were written. */
  readonly onDamage?: (handle: ChunkHandle) => void;
  /** Called once (K3). */
  readonly onFailure: (error: LumeoError) => void;
}
