import type { ChunkHandle, Code, Epoch } from "@lumeofs/base";
import type { ChunkRecord } from "../../metadata/chunk-table.js";
import type { Server } from "../../metadata/servers.js";
import type { Holder, SourceFault } from "../orders.js";

/** An order to convert a chunk. */
export interface TranscodeOrder {
  readonly source: {
    readonly handle: ChunkHandle;
    readonly chunk: ChunkRecord;
    /**
     * Copies: asked in this order. Units: by their numbers, undefined for one that nobody has.
     */
    readonly holders: readonly (Holder | undefined)[];
  };
  readonly target: {
    readonly handle: ChunkHandle;
    readonly epoch: Epoch;
    /** Undefined: copies. */
    readonly code: Code | undefined;
    /** The primary first; of units by their numbers. */
    readonly holders: readonly Holder[];
  };
  /** For all that the worker copies and converts; 0 for none. */
  readonly bytesPerSecondMax: number;
  readonly signal: AbortSignal;
}

export type TranscodeOutcome =
  /** All targets have it durably. */
  | {
      readonly kind: "done";
      /** Of a coded target. */
      readonly unitCrcs: readonly number[];
      readonly faults: readonly SourceFault[];
    }
  | { readonly kind: "noSource"; readonly why: string; readonly faults: readonly SourceFault[] };

/** Conversions by chunkservers. */
export interface Transcoding {
  /**
   * Has `worker` read a chunk and write it to others under another handle. After a failure, what
   * was written is garbage.
   *
   * @throws LumeoError OVERLOADED if the worker converts as many as it can; an error that names
   *         the target that failed; TIMEOUT, UNAVAILABLE (the worker) and so on.
   */
  transcode(worker: Server, order: TranscodeOrder): Promise<TranscodeOutcome>;
}
