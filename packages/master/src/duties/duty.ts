// What a leader does unasked. A duty does a bounded piece of work at a time and says whether more
// is waiting; the runner paces it, stops it when this master no longer leads, and begins it anew
// with the next term.
//
// D1. A duty never overlaps itself.
// D2. A failure ends only that piece of work: it is logged, and tried again after the interval.
// D3. After `close`, or in another term, nothing new begins. What is under way is not waited for:
//     it may hang on a majority that is gone, and ends when consensus closes.

import {
  type Alarm,
  asLumeoError,
  type Closable,
  InvariantViolation,
  type Logger,
  type Timers,
} from "@lumeofs/base";
import type { Replication } from "../consensus/replication.js";

export interface Duty {
  readonly name: string;
  /** Pause after a piece of work that found nothing more to do. */
  readonly intervalMs: number;
  /** Does one bounded piece of work. */
  work(): Promise<"done" | "more">;
  /** This master does not lead any more: what `work` has set going is to end. */
  stop?(): void;
}

/** Pause between pieces while more is waiting: other work of the leader goes on between them. */
const MORE_PAUSE_MS = 20;

export interface DutyPorts {
  readonly replication: Replication;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Runs duties while this master leads. */
export class DutyRunner implements Closable {
  readonly #ports: DutyPorts;
  readonly #duties: readonly Duty[];
  readonly #stopListening: () => void;
  readonly #alarms = new Map<Duty, Alarm>();
  /** Counts terms of office: work of an earlier one does not go on. */
  #office = 0;
  #isLeading = false;

  constructor(duties: readonly Duty[], ports: DutyPorts) {
    this.#duties = duties;
    this.#ports = ports;
    this.#stopListening = ports.replication.onRole(({ role }) => this.#take(role === "leader"));
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#take(false);
  }

  #take(isLeading: boolean): void {
    if (isLeading === this.#isLeading) return;
    this.#isLeading = isLeading;
    this.#office++;
    for (const alarm of this.#alarms.values()) alarm.cancel();
    this.#alarms.clear();
    if (!isLeading) for (const duty of this.#duties) duty.stop?.();
    if (isLeading) for (const duty of this.#duties) this.#schedule(duty, 0);
  }

  #schedule(duty: Duty, delayMs: number): void {
    const office = this.#office;
    const wake = (): void => {
      this.#alarms.delete(duty);
      void this.#run(duty, office);
    };
    this.#alarms.set(duty, this.#ports.timers.after(delayMs, wake));
  }

  async #run(duty: Duty, office: number): Promise<void> {
    let pauseMs = duty.intervalMs;
    try {
      if ((await duty.work()) === "more") pauseMs = MORE_PAUSE_MS;
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      if (office !== this.#office) return;
      const { code } = asLumeoError(error);
      this.#ports.logger.warn("duty failed", { component: duty.name, code, error });
    }
    if (this.#isLeading && office === this.#office) this.#schedule(duty, pauseMs);
  }
}
