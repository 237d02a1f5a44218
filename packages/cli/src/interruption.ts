// Ctrl-C and its relatives. Once: the command stops in good order. Twice: it ends at once.

import { EXIT, type ExitStatus } from "./exit-status.js";

const STATUS_BY_SIGNAL = {
  SIGINT: EXIT.interrupted,
  SIGTERM: EXIT.terminated,
  SIGHUP: EXIT.terminated,
} as const satisfies Partial<Record<NodeJS.Signals, ExitStatus>>;

type StopSignal = keyof typeof STATUS_BY_SIGNAL;

/** The reason of the abort: the user, or the system, wants the command to end. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor(readonly status: ExitStatus) {
    super("interrupted");
  }
}

export class Interruption {
  readonly #controller = new AbortController();
  readonly #handlers = new Map<StopSignal, () => void>();

  /** @param first  Called on the first signal, to say what happens now. */
  constructor(first: () => void) {
    for (const name of Object.keys(STATUS_BY_SIGNAL) as StopSignal[]) {
      const handler = (): void => this.#stop(STATUS_BY_SIGNAL[name], first);
      this.#handlers.set(name, handler);
      process.on(name, handler);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The exit code to end with, if a signal came. */
  get status(): ExitStatus | undefined {
    const reason: unknown = this.signal.reason;
    return reason instanceof Interrupted ? reason.status : undefined;
  }

  /** Signals do what they did before. */
  release(): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler);
  }

  #stop(status: ExitStatus, first: () => void): void {
    if (this.signal.aborted) process.exit(status);
    first();
    this.#controller.abort(new Interrupted(status));
  }
}
