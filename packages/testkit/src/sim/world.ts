// The world of a simulation: one thread, one queue of events, one seed.
//
// Time is a number that jumps from event to event. Everything that takes time (a message on its
// way, a disk write, a timer) is an event; code that waits for promises runs to its next wait
// between two events. So a run is a function of its seed, and a failing seed fails again.
//
// W1. Events run in the order (time, order of scheduling).
// W2. Between two events every promise continuation that can run has run.
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
  readonly #watchers: (() => void)[] = [];

  constructor(
    readonly seed: number,
    options: { readonly traced?: boolean } = {},
  ) {
    this.#isTraced = options.traced ?? false;
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
  async run(done: () => boolean, limits: RunLimits = {}): Promise<RunEnd> {
    const timeMax = limits.timeMs ?? Number.POSITIVE_INFINITY;
    const eventsMax = this.#events + (limits.events ?? Number.POSITIVE_INFINITY);
    await settle();
    this.#check();
    while (!done()) {
      const event = this.#queue[0];
      if (event === undefined) {
        if (timeMax < Number.POSITIVE_INFINITY) this.#now = timeMax;
        return "idle";
      }
      if (timeMax < event.time) {
        this.#now = timeMax;
        return "time";
      }
      if (eventsMax <= this.#events) return "events";
      pop(this.#queue);
      if (event.cancelled) continue;
      this.#now = event.time;
      this.#events++;
      event.run();
      await settle();
      if (this.#events % EVENTS_PER_TURN === 0) await turn();
      this.#check();
    }
    return "condition";
  }

  /** Lets virtual time pass. */
  async sleep(ms: number): Promise<void> {
    await this.run(() => false, { timeMs: this.#now + ms });
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

/** Ticks run when no continuation of a promise is left, so this waits for all of them. */
function settle(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
