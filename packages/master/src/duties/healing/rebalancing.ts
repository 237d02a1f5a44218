// A rebalance as one leader carries it out. It goes in steps: a complete round has measured what
// servers hold; the next one chooses moves; when all of these have ended, a round chooses again,
// until one finds nothing to choose. Moves of other jobs go on meanwhile, and are counted in.
//
// R1. Nothing is chosen while something that was chosen before waits or is under way: so each
//     choice sees what became of the one before.
// R2. It ends, whatever servers and writers do: a step that has not brought the cluster nearer to
//     its balance is in vain, and after so many of them in a row the job is over, and says why.

import type { ChunkHandle, ServerId } from "@lumeofs/base";
import type { Assessment, HeldChunk, Need } from "../../healing/assess.js";
import { Balance, type OpenMove } from "../../healing/balance.js";
import type { MoveQueue } from "../../healing/queue.js";
import type { Round } from "../../healing/round.js";
import type { JobId } from "../../metadata/jobs.js";
import { memberLength } from "../../metadata/member-content.js";
import type { TakenPicture } from "./take-picture.js";

/** See R2. */
const VAIN_STEPS_MAX = 10;
/** A step is worth something if so much of what it chose to move is gone from fuller servers. */
const WORTH = 0.5;

export interface Surroundings {
  readonly picture: TakenPicture;
  /** The last complete round of this term. */
  readonly measured: Round | undefined;
  /** Moves of all jobs. */
  readonly open: Iterable<OpenMove>;
  readonly queue: MoveQueue;
}

/** How far a job is in this term. */
interface Course {
  readonly job: JobId;
  /** What was to be moved at least, when it was least. */
  leastBytes: number;
  /** What the last choice was going to move. */
  chosenBytes: number;
  vainSteps: number;
}

export class Rebalancing {
  readonly #picks = new Map<ChunkHandle, Need>();
  /** Of the round under way, if moves are chosen in it. */
  #balance: Balance | undefined;
  #course: Course | undefined;

  /** Moves are chosen in the round under way, or were chosen in the one that has just ended. */
  get isChoosing(): boolean {
    return this.#balance !== undefined;
  }

  /** Moves that were chosen and have not begun. */
  get waiting(): number {
    return this.#picks.size;
  }

  /** A round begins. */
  begin({ picture, measured, open, queue }: Surroundings): void {
    this.#balance = undefined;
    for (const handle of this.#picks.keys()) if (!queue.has(handle)) this.#picks.delete(handle);
    const job = picture.jobs.find(({ kind, isRunning }) => kind === "rebalance" && isRunning);
    if (job === undefined) return;
    const moves = picture.allJobs.find(({ id }) => id === job.id)?.job.moves ?? 0;
    if (measured?.jobs.has(job.id) !== true || 0 < this.#picks.size || 0 < moves) return;
    this.#balance = new Balance(job, picture, measured, [...open]);
    this.#count(job.id, this.#balance.excessBytes);
  }

  /** Whether a copy of a chunk that lacks nothing is to be moved: then it waits in the queue. */
  weigh(
    { round, queue }: { readonly round: Round; readonly queue: MoveQueue },
    chunk: HeldChunk,
    { readable, margin }: Assessment,
    avoid: ReadonlySet<ServerId>,
  ): void {
    const balance = this.#balance;
    if (balance === undefined || this.#course === undefined || queue.isFull) return;
    if (readable < chunk.members.length) return;
    const pick = balance.take(chunk, avoid);
    if (pick === undefined || !queue.offer(chunk.handle, margin)) return;
    const { job } = balance;
    const bytes = memberLength(chunk, pick.leaving);
    this.#picks.set(chunk.handle, { job: job.id, health: "leaving", ...pick });
    this.#course.chosenBytes += bytes;
    round.leave(job.id, bytes);
  }

  /** What was chosen for a chunk, unless its job has ended or is paused. */
  pickOf({ jobs }: TakenPicture, handle: ChunkHandle): Need | undefined {
    const pick = this.#picks.get(handle);
    return jobs.some(({ id, isRunning }) => id === pick?.job && isRunning) ? pick : undefined;
  }

  /** Its chunk does not wait any more. */
  forget(handle: ChunkHandle): void {
    this.#picks.delete(handle);
  }

  /** Why a job is to end though servers are not even; undefined if it goes on. (R2) */
  givesUp(job: JobId): string | undefined {
    const course = this.#course;
    if (course?.job !== job || course.vainSteps < VAIN_STEPS_MAX) return undefined;
    return `ended before servers were even: ${course.vainSteps} times in a row it brought nothing`;
  }

  #count(job: JobId, excessBytes: number): void {
    const before = this.#course?.job === job ? this.#course : undefined;
    const { leastBytes = Infinity, chosenBytes = 0, vainSteps = 0 } = before ?? {};
    const isWorth = before === undefined || excessBytes <= leastBytes - WORTH * chosenBytes;
    this.#course = {
      job,
      leastBytes: Math.min(leastBytes, excessBytes),
      chosenBytes: 0,
      vainSteps: isWorth ? 0 : vainSteps + 1,
    };
  }
}
