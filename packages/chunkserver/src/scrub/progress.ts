// How far the scrub is: a row of rounds, each of which reads every replica once, by rising handles.
// Values only; scrub.ts moves them on and keeps them.
//
// G1. A replica that was here when a complete round began, and still is, has been read since then.
// G2. Within a round the position only rises: what lies at or below it has been read in this round.

import { ByteReader, ByteWriter, type ChunkHandle, type WallMs, wallMs } from "@lumeofs/base";

export interface ScrubProgress {
  /** Rounds that are complete. */
  readonly roundCount: number;
  /** When the round under way began; undefined between two rounds. */
  readonly roundBeganAt: WallMs | undefined;
  /** When the last complete round began and ended; undefined before the first one has. */
  readonly lastRound: { readonly beganAt: WallMs; readonly endedAt: WallMs } | undefined;
  /** The highest handle that the round under way has read; 0 at its beginning. */
  readonly position: number;
  /** Since the store was formatted, or since the file of the progress was lost. */
  readonly readCount: number;
  readonly readBytes: number;
  /** Replicas found damaged that nobody had found before. */
  readonly foundCount: number;
}

export const NOTHING_SCRUBBED: ScrubProgress = {
  roundCount: 0,
  roundBeganAt: undefined,
  lastRound: undefined,
  position: 0,
  readCount: 0,
  readBytes: 0,
  foundCount: 0,
};

/** Room for an encoded progress. */
export const PROGRESS_BYTES_MAX = 128;

/** A new round begins. */
export function began(progress: ScrubProgress, at: WallMs): ScrubProgress {
  return { ...progress, roundBeganAt: at, position: 0 };
}

/** The round has come past a chunk. */
export function passed(
  progress: ScrubProgress,
  chunk: { readonly handle: ChunkHandle; readonly readBytes: number; readonly isFound: boolean },
): ScrubProgress {
  return {
    ...progress,
    position: Math.max(progress.position, chunk.handle),
    readCount: progress.readCount + 1,
    readBytes: progress.readBytes + chunk.readBytes,
    foundCount: progress.foundCount + (chunk.isFound ? 1 : 0),
  };
}

/** The round has read everything. */
export function ended(progress: ScrubProgress, at: WallMs): ScrubProgress {
  const beganAt = progress.roundBeganAt ?? at;
  return {
    ...progress,
    roundCount: progress.roundCount + 1,
    roundBeganAt: undefined,
    lastRound: { beganAt, endedAt: at },
    position: 0,
  };
}

export function encodeProgress(progress: ScrubProgress): Uint8Array {
  const { roundCount, roundBeganAt, lastRound, position } = progress;
  const writer = new ByteWriter(PROGRESS_BYTES_MAX).u53(roundCount).u53(roundBeganAt ?? 0);
  writer
    .u53(lastRound?.beganAt ?? 0)
    .u53(lastRound?.endedAt ?? 0)
    .u53(position);
  writer.u53(progress.readCount).u53(progress.readBytes).u53(progress.foundCount);
  return writer.finish();
}

/** @throws LumeoError CORRUPT if the bytes are no progress. */
export function decodeProgress(bytes: Uint8Array): ScrubProgress {
  const reader = new ByteReader(bytes);
  const roundCount = reader.u53();
  const roundBeganAt = reader.u53();
  const last = { beganAt: wallMs(reader.u53()), endedAt: wallMs(reader.u53()) };
  return {
    roundCount,
    roundBeganAt: roundBeganAt === 0 ? undefined : wallMs(roundBeganAt),
    lastRound: last.endedAt === 0 ? undefined : last,
    position: reader.u53(),
    readCount: reader.u53(),
    readBytes: reader.u53(),
    foundCount: reader.u53(),
  };
}
