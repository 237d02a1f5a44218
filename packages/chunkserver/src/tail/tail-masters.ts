// What chunkservers tell the masters of growing chunks, and what they ask them (the masters' side
// is TailService). Whoever implements it finds the leader; every call may fail and is made again.

import type { ChunkHandle, Epoch, SealedContent, ServerId } from "@lumeofs/base";
import type { TailReport } from "./tail-store.js";

/** What became of a compare-and-set: done, also by an earlier call; or the epoch is over. */
export type TailOutcome = "done" | "over";

export interface TailEpoch {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
}

/** How far a primary is. */
export interface TailProgress extends TailEpoch {
  readonly committedBytes: number;
  /** Whether the primary wants to serve reads. */
  readonly wantsLease: boolean;
}

export interface LeaseAnswer {
  readonly outcome: TailOutcome;
  readonly isGranted: boolean;
}

/** What the masters say to a page of reports. */
export interface ReportAnswer {
  readonly garbage: readonly ChunkHandle[];
  readonly superfluous: readonly TailEpoch[];
  /** With the epoch of the sealed chunk. */
  readonly sealed: readonly TailEpoch[];
  /** The newest grants of those in doubt. */
  readonly newest: readonly TailEpoch[];
}

/** Port. Every call rejects with LumeoError while no leader answers. */
export interface TailMasters {
  activateEpoch(tail: TailEpoch): Promise<TailOutcome>;
  /** @param chunkEpoch  Of the seal's record. */
  recordSeal(tail: TailEpoch, content: SealedContent, chunkEpoch: Epoch): Promise<TailOutcome>;
  /** Answers in the order of the tails. */
  renewLeases(tails: readonly TailProgress[]): Promise<readonly LeaseAnswer[]>;
  releaseLeases(tails: readonly TailEpoch[]): Promise<void>;
  /** A member of a sealed chunk may lack it: it is to be asked. */
  doubt(handle: ChunkHandle, server: ServerId): Promise<void>;
  endEpoch(tail: TailEpoch, why: string): Promise<void>;
  reportTails(tails: readonly TailReport[]): Promise<ReportAnswer>;
}
