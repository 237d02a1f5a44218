// One look at all chunks, a page at a time: what is left for each job, what each server holds, and
// how many chunks are not as they should be.
//
// What servers hold goes on being right when copies move while the look goes on, and afterwards:
// whoever ends moves says so (`moved`). So nothing has to stand still to be measured.

import type { ChunkHandle, MonotonicMs, ServerId } from "@lumeofs/base";
import type { Amount, JobId } from "../metadata/jobs.js";
import { memberLength, neededMembers } from "../metadata/member-content.js";
import type { Assessment, HeldChunk } from "./assess.js";
import type { Picture } from "./picture.js";

export interface RoundFigures {
  readonly chunks: number;
  /** Chunks that have fewer whole copies, or units, than members. */
  readonly underReplicated: number;
  /** Of these, those without any whole copy, or with too few units to be read. */
  readonly lost: number;
  /** Not lost, but so many of their servers are away that they cannot be read now. */
  readonly unreadable: number;
  readonly damaged: number;
  /** Of `chunks`, those whose bytes the masters keep themselves. */
  readonly inlineChunks: number;
  readonly inlineBytes: number;
}

const NO_FIGURES: RoundFigures = {
  chunks: 0,
  underReplicated: 0,
  lost: 0,
  unreadable: 0,
  damaged: 0,
  inlineChunks: 0,
  inlineBytes: 0,
};

/** What has left where, and where it is now. */
export interface MovedCopy {
  readonly handle: ChunkHandle;
  readonly leaving: ServerId | undefined;
  readonly target: ServerId;
}

export class Round {
  readonly startedAt: MonotonicMs;
  /** Jobs that were open at its beginning: only for these it says that nothing is left. */
  readonly jobs: ReadonlySet<JobId>;
  /** Servers that were lost at its beginning. */
  readonly lostServers: ReadonlySet<ServerId>;
  /** Where the next page begins. */
  cursor = 0;
  readonly #left = new Map<JobId, Amount>();
  readonly #unreadable = new Map<JobId, number>();
  readonly #away = new Map<JobId, number>();
  readonly #held = new Map<ServerId, Amount>();
  #figures = { ...NO_FIGURES };
  #widest = 0;

  constructor(picture: Picture, now: MonotonicMs) {
    this.startedAt = now;
    this.jobs = new Set(picture.jobs.map((job) => job.id));
    this.lostServers = new Set(lostServers(picture));
  }

  note(chunk: HeldChunk, found: Assessment): void {
    const { members } = chunk;
    this.#figures.chunks++;
    this.#widest = Math.max(this.#widest, members.length);
    if (chunk.isInline) {
      this.#figures.inlineChunks++;
      this.#figures.inlineBytes += chunk.lengthBytes;
    }
    if (found.whole < members.length) this.#figures.underReplicated++;
    if (found.whole < neededMembers(chunk)) this.#figures.lost++;
    else if (found.margin < 0) this.#figures.unreadable++;
    if ([...found.health.values()].includes("damaged")) this.#figures.damaged++;
    for (const member of members) add(this.#held, member, memberLength(chunk, member));
    const noted = new Set<JobId>();
    for (const { job, bytes, isAway } of found.jobs) {
      if (noted.has(job)) continue;
      noted.add(job);
      add(this.#left, job, bytes);
      if (found.margin < 0) this.#unreadable.set(job, this.unreadable(job) + 1);
      else if (isAway) this.#away.set(job, this.away(job) + 1);
    }
  }

  /**
   * A copy has moved, in the chunk table. Counts only for chunks that were looked at before: the
   * others are going to be seen as they are now.
   */
  moved({ handle, leaving, target }: MovedCopy, bytes: number): void {
    if (this.cursor < handle || leaving === target) return;
    if (leaving !== undefined) {
      const { chunks, bytes: before } = this.held(leaving);
      this.#held.set(leaving, {
        chunks: Math.max(0, chunks - 1), // a chunk may have come after its place was passed
        bytes: Math.max(0, before - bytes),
      });
    }
    add(this.#held, target, bytes);
  }

  /** One more chunk is to be moved for a job. */
  leave(job: JobId, bytes: number): void {
    add(this.#left, job, bytes);
  }

  /** Copies, or units, of the chunk that has the most of them. */
  get widest(): number {
    return this.#widest;
  }

  get figures(): RoundFigures {
    return this.#figures;
  }

  /** What is still to be done for a job. */
  left(job: JobId): Amount {
    return this.#left.get(job) ?? NOTHING;
  }

  /** Of these, chunks that cannot be read now: of which there is no copy, or too few units. */
  unreadable(job: JobId): number {
    return this.#unreadable.get(job) ?? 0;
  }

  /** Others, of which the copy that is to leave is on a server that does not answer now. */
  away(job: JobId): number {
    return this.#away.get(job) ?? 0;
  }

  /** Copies that the chunk table names on a server, for all that was looked at. */
  held(server: ServerId): Amount {
    return this.#held.get(server) ?? NOTHING;
  }
}

const NOTHING: Amount = { chunks: 0, bytes: 0 };

export function lostServers({ sites }: Picture): readonly ServerId[] {
  return [...sites.values()].flatMap((site) => (site.isLost ? [site.id] : []));
}

function add<K>(amounts: Map<K, Amount>, key: K, bytes: number): void {
  const before = amounts.get(key) ?? NOTHING;
  amounts.set(key, { chunks: before.chunks + 1, bytes: before.bytes + bytes });
}
