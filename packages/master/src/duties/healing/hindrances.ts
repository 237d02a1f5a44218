// What keeps chunks of jobs from being done, as the planning of moves meets it: gathered from one
// complete round to the next, and shown in the notes of the jobs. Memory only: what is forgotten is
// met again.

import type { JobId } from "../../metadata/jobs.js";

interface Tally {
  homeless: number;
  heldBack: number;
}

export class Hindrances {
  readonly #tallies = new Map<JobId, Tally>();
  /** Why a move of the job failed last. */
  readonly #failures = new Map<JobId, string>();

  /** A chunk of the job found no server to take a copy. */
  homeless(job: JobId): void {
    this.#of(job).homeless++;
  }

  /** A chunk of the job is left alone for a while, since moving it failed. */
  heldBack(job: JobId): void {
    this.#of(job).heldBack++;
  }

  /** @param why  Names the server. */
  failed(job: JobId, why: string): void {
    this.#failures.set(job, why);
  }

  /** For people; empty if nothing was met. */
  of(job: JobId): readonly string[] {
    const { homeless, heldBack } = this.#tallies.get(job) ?? { homeless: 0, heldBack: 0 };
    const why = this.#failures.get(job) ?? "another leader knows why";
    return [
      ...(0 < homeless ? [`${homeless} chunks found no server that can take a copy`] : []),
      ...(0 < heldBack ? [`${heldBack} chunks failed and are tried again soon: ${why}`] : []),
    ];
  }

  /** A round is over: what comes is counted anew. Failures of jobs that are not `open` go. */
  clear(open: readonly { readonly id: JobId }[]): void {
    this.#tallies.clear();
    const ids = new Set(open.map(({ id }) => id));
    for (const job of this.#failures.keys()) if (!ids.has(job)) this.#failures.delete(job);
  }

  #of(job: JobId): Tally {
    const known = this.#tallies.get(job) ?? { homeless: 0, heldBack: 0 };
    this.#tallies.set(job, known);
    return known;
  }
}
