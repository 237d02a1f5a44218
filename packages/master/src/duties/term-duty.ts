// Work that remembers, and may not go on in another term of office: what the leader before has
// begun stands in the state, from which the next one begins anew.

import type { Duty } from "./duty.js";

/** How late it may be noticed that there is something to do, on a cluster with nothing to do. */
const INTERVAL_MS = 500;

export interface TermWorker extends Pick<Duty, "work"> {
  /** What it has set going is to end. */
  stop(): void;
}

/**
 * A duty with a new worker for each term.
 *
 * @param termOf  Any number that another term does not have.
 */
export function termDuty(
  name: string,
  termOf: () => number | Promise<number>,
  begin: (term: number) => TermWorker,
): Duty {
  let current: { readonly worker: TermWorker; readonly term: number } | undefined;
  return {
    name,
    intervalMs: INTERVAL_MS,
    async work() {
      const term = await termOf();
      if (current?.term !== term) {
        current?.worker.stop();
        current = { worker: begin(term), term };
      }
      return current.worker.work();
    },
    stop: () => current?.worker.stop(),
  };
}
