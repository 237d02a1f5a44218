// What chunkservers say of reading their own copies again: how far they are, and of which chunks
// two histories were found. Heartbeats bring all of it again to a new leader.

import type { ChunkHandle, DiskReport, ServerId } from "@lumeofs/base";

/** How far a server is with reading its copies. Times: milliseconds since 1970, 0 for none. */
export interface ScrubReport {
  /** Rounds over the whole store that are complete. */
  readonly roundCount: number;
  readonly roundBeganAtMs: number;
  /** What was there before this has been read since. */
  readonly lastRoundBeganAtMs: number;
  readonly lastRoundEndedAtMs: number;
  /** The highest handle that the round under way has read. */
  readonly position: number;
  readonly readCount: number;
  readonly readBytes: number;
  /** Copies found damaged that nobody had found before. */
  readonly foundCount: number;
  /** Slowed down, because requests are served. */
  readonly isYielding: boolean;
  /** 0 if it is switched off. */
  readonly bytesPerSecond: number;
}

/** Chunks with two histories that are remembered of one server. */
export const STOPPED_MAX = 10_000;

interface Told {
  readonly scrub: ScrubReport;
  readonly stopped: ReadonlySet<ChunkHandle>;
  readonly disks: readonly DiskReport[];
}

export class Checks {
  readonly #told = new Map<ServerId, Told>();

  reset(): void {
    this.#told.clear();
  }

  /** Takes what a server says. @returns The chunks that no server had stopped before. */
  told(
    server: ServerId,
    said: {
      readonly scrub: ScrubReport;
      readonly stopped: readonly ChunkHandle[];
      readonly disks?: readonly DiskReport[];
    },
  ): readonly ChunkHandle[] {
    const known = new Set(this.#all());
    const stopped = new Set(said.stopped.slice(0, STOPPED_MAX));
    this.#told.set(server, { scrub: said.scrub, stopped, disks: said.disks ?? [] });
    return [...stopped].filter((handle) => !known.has(handle));
  }

  /** Undefined if the server was not heard since this master leads. */
  scrubOf(server: ServerId): ScrubReport | undefined {
    return this.#told.get(server)?.scrub;
  }

  /** Lost ones included; empty if the server was not heard since this master leads. */
  disksOf(server: ServerId): readonly DiskReport[] {
    return this.#told.get(server)?.disks ?? [];
  }

  /** Of all servers that were heard. */
  disks(): readonly DiskReport[] {
    return [...this.#told.values()].flatMap(({ disks }) => disks);
  }

  /**
   * Since when a copy that is that old has been read from its disk: a round goes by rising handles,
   * so what lies at or below its position was read since it began. 0 if nothing is known.
   */
  readSince(server: ServerId, handle: ChunkHandle): number {
    const scrub = this.#told.get(server)?.scrub;
    if (scrub === undefined) return 0;
    const { roundBeganAtMs, position, lastRoundBeganAtMs } = scrub;
    return 0 < roundBeganAtMs && handle <= position ? roundBeganAtMs : lastRoundBeganAtMs;
  }

  /** Whether this server serves nothing of a chunk, because it has two histories. */
  isStopped(server: ServerId, handle: ChunkHandle): boolean {
    return this.#told.get(server)?.stopped.has(handle) ?? false;
  }

  /** Chunks of which this server serves nothing, because they have two histories. */
  stoppedOf(server: ServerId): readonly ChunkHandle[] {
    return [...(this.#told.get(server)?.stopped ?? [])];
  }

  /** Chunks that others have stopped and this server has not, if it has them at all. */
  stoppedElsewhere(server: ServerId): readonly ChunkHandle[] {
    const own = this.#told.get(server)?.stopped;
    const others = new Set(this.#all());
    return [...others].filter((handle) => own?.has(handle) !== true).slice(0, STOPPED_MAX);
  }

  *#all(): Generator<ChunkHandle, void, void> {
    for (const { stopped } of this.#told.values()) yield* stopped;
  }
}
