import type { ChunkHandle, EpochGrant, ServerId } from "@lumeofs/base";
import type { ChainLink } from "@lumeofs/node/frames";

/** Members by their numbers, the own server among them. */
export type Members = ReadonlyMap<ServerId, ChainLink>;

/** What the masters order. */
export interface EpochOrder {
  readonly handle: ChunkHandle;
  readonly grant: EpochGrant;
  /** With those of the set that was active last. */
  readonly members: Members;
  readonly token: Uint8Array | undefined;
}
