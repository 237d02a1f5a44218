// One look at all chunks, a page at a time: what is left for each job, what each server holds, and
// how many chunks are not as they should be.

import type { MonotonicMs, ServerId } from "@lumeofs/base";
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
}

export class Round {
  readonly startedAt: MonotonicMs;
  /** Nothing moved when it began, and nothing was chosen in it: it says what servers hold. */
  readonly isMeasure: boolean;
  /** Jobs that were open at its beginning: only for these it says that nothing is left. */
  readonly jobs: ReadonlySet<JobId>;
  /** Servers that were lost at its beginning. */
  readonly lostServers: ReadonlySet<ServerId>;
  /** Where the next page begins. */
  cursor = 0;
  readonly #left = new Map<JobId, Amount>();
  readonly #unreadable = new Map<JobId, number>();
  readonly #held = new Map<ServerId, Amount>();
  #figures = { chunks: 0, underReplicated: 0, lost: 0, unreadable: 0, damaged: 0 };

  constructor(picture: Picture, begin: { readonly now: MonotonicMs; readonly isMeasure: boolean }) {
    this.startedAt = begin.now;
    this.isMeasure = begin.isMeasure;
    this.jobs = new Set(picture.jobs.map((job) => job.id));
    this.lostServers = new Set(lostServers(picture));
  }

  note(chunk: HeldChunk, found: Assessment): void {
    const { members } = chunk;
    this.#figures.chunks++;
    if (found.whole < members.length) this.#figures.underReplicated++;
    if (found.whole < neededMembers(chunk)) this.#figures.lost++;
    else if (found.margin < 0) this.#figures.unreadable++;
    if ([...found.health.values()].includes("damaged")) this.#figures.damaged++;
    for (const member of members) add(this.#held, member, memberLength(chunk, member));
    const noted = new Set<JobId>();
    for (const { job, bytes } of found.jobs) {
      if (noted.has(job)) continue;
      noted.add(job);
      add(this.#left, job, bytes);
      if (found.margin < 0) this.#unreadable.set(job, this.unreadable(job) + 1);
    }
  }

  /** One more chunk is to be moved for a job. */
  leave(job: JobId, bytes: number): void {
    add(this.#left, job, bytes);
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

  /** Copies that the chunk table names on a server. */
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
