// What the leader asks of chunkservers about tails. The orders may be repeated.

import type { ActiveSet, ChunkHandle, Epoch } from "@lumeofs/base";
import type { Server } from "../../metadata/servers.js";
import type { Holder } from "../orders.js";

export interface EpochOrder {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  /** The primary first. */
  readonly members: readonly Holder[];
  /** Undefined for a tail that nobody has written yet. */
  readonly previous:
    | { readonly epoch: ActiveSet["epoch"]; readonly members: readonly Holder[] }
    | undefined;
  /** Lets the primary speak to the other members. */
  readonly token: Uint8Array;
}

/** Each throws a LumeoError if the server cannot be reached or refuses. */
export interface TailOrders {
  /**
   * Makes a server the primary of an epoch.
   *
   * @returns "ended" if that epoch is over for it (rule 12): another one is needed.
   */
  beginEpoch(primary: Server, order: EpochOrder): Promise<"begun" | "ended">;
  /**
   * Has the primary take no more records, and seal; it has told the masters then.
   *
   * @returns False if it is not the primary of that epoch any more.
   */
  sealTail(
    primary: Server,
    tail: { readonly handle: ChunkHandle; readonly epoch: Epoch },
    signal: AbortSignal,
  ): Promise<boolean>;
}
