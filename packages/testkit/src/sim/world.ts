// The world of a simulation: one thread, one queue of events, one seed.
//
// Time is a number that jumps from event to event. Everything that takes time (a message on its
// way, a disk write, a timer) is an event; code that waits for promises runs to its next wait
// between two events. So a run is a function of its seed, and a failing seed fails again.
//
// W1. Events run in the order (time, order of scheduling).
// W2. Between two events every promise continuation that can run has run, and if the world is told
//     to, every immediate that was set before.
// W3. Chance comes from `random(purpose)` alone: drawing more for one purpose changes no other.

import { type Alarm, invariant, SeededRandom } from "@lumeofs/base";

interface Event {
  readonly time: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** After this many events the real event loop gets a turn, so that signals and pipes are served. */
const EVENTS_PER_TURN = 4096;
const SETTLED = Promise.resolve();

/** How a run of the world ended. */
export type RunEnd = "condition" | "time" | "events" | "idle";

export interface RunLimits {
  /** Virtual time at which to stop. */
  readonly timeMs?: number;
  /** Events after which to stop, counted from this call. */
  readonly events?: number;
}

export class World {
  #now = 0;
  #order = 0;
  #events = 0;
  #failure: { readonly error: unknown } | undefined;
  readonly #queue: Event[] = [];
  readonly #trace: string[] = [];
  readonly #isTraced: boolean;
  readonly #hasImmediates: boolean;
  readonly #watchers: (() => void)[] = [];

  constructor(
    readonly seed: number,
    options: {
      readonly traced?: boolean;
      /** For code that gathers work until the end of a turn of the event loop. Costs time. */
      readonly immediates?: boolean;
    } = {},
  ) {
    this.#isTraced = options.traced ?? false;
    this.#hasImmediates = options.immediates ?? false;
  }

  /** Virtual milliseconds since the beginning, with fractions. */
  get now(): number {
    return this.#now;
  }

  /** Events that have run so far. */
  get events(): number {
    return this.#events;
  }

  /** What has been recorded by `record`; empty unless the world is traced. */
  get trace(): readonly string[] {
    return this.#trace;
  }

  get isTraced(): boolean {
    return this.#isTraced;
  }

  /** A generator of its own for one purpose; asking twice gives the same numbers again. */
  random(purpose: string): SeededRandom {
    return new SeededRandom(this.seed, purpose);
  }

  /** Schedules an event. */
  after(delayMs: number, run: () => void): Alarm {
    invariant(0 <= delayMs, "an event cannot lie in the past", { delayMs });
    const event: Event = {
      time: this.#now + delayMs,
      order: this.#order++,
      run,
      cancelled: false,
    };
    push(this.#queue, event);
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }

  /** Called after every event and the continuations that it set free. May throw to end the run. */
  watch(check: () => void): void {
    this.#watchers.push(check);
  }

  /** Adds a line to the trace. The text is built only if somebody wants it. */
  record(line: () => string): void {
    if (this.#isTraced) this.#trace.push(`${this.#now.toFixed(3)} ${line()}`);
  }

  /** Ends the run with this error: for code whose failure nobody would otherwise see. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /**
   * Runs events until `done` says so, a limit is reached or nothing is left.
   *
   * @throws whatever an event or a watcher throws, or what was given to `fail`.
   */
  run(done: () => boolean, limits: RunLimits = {}): Promise<RunEnd> {
    const timeMax = limits.timeMs ?? Number.POSITIVE_INFINITY;
    const eventsMax = this.#events + (limits.events ?? Number.POSITIVE_INFINITY);
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          this.#check();
          const end = done() ? "condition" : this.#endBefore(timeMax, eventsMax);
          if (end !== undefined) return resolve(end);
          this.#runNext();
          const isTurnOver = this.#hasImmediates || this.#events % EVENTS_PER_TURN === 0;
          if (isTurnOver) setImmediate(turn);
          else SETTLED.then(next);
        } catch (error) {
          reject(error);
        }
      };
      // A tick asked for by a continuation runs when no other continuation is left.
      const next = (): void => process.nextTick(turn);
      SETTLED.then(next);
    });
  }

  /** Lets virtual time pass. */
  async sleep(ms: number): Promise<void> {
    await this.run(() => false, { timeMs: this.#now + ms });
  }

  /** Why the next event must not run; undefined if it may. Drops cancelled events. */
  #endBefore(timeMax: number, eventsMax: number): RunEnd | undefined {
    while (this.#queue[0]?.cancelled === true) pop(this.#queue);
    const event = this.#queue[0];
    if (event === undefined) {
      if (timeMax < Number.POSITIVE_INFINITY) this.#now = timeMax;
      return "idle";
    }
    if (timeMax < event.time) {
      this.#now = timeMax;
      return "time";
    }
    return eventsMax <= this.#events ? "events" : undefined;
  }

  #runNext(): void {
    const event = this.#queue[0];
    invariant(event !== undefined, "there is an event to run");
    pop(this.#queue);
    this.#now = event.time;
    this.#events++;
    event.run();
  }

  #check(): void {
    this.#throwFailure();
    for (const check of this.#watchers) check();
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (0 < at) {
    const above = (at - 1) >> 1;
    const parent = heap[above] as Event;
    if (!isBefore(event, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const moved = heap.pop() as Event;
  const count = heap.length;
  if (count === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (count <= below) break;
    if (below + 1 < count && isBefore(heap[below + 1] as Event, heap[below] as Event)) below++;
    const child = heap[below] as Event;
    if (!isBefore(child, moved)) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = moved;
}
