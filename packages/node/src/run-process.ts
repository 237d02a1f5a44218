// The life of a server process: start, run, end.
//
// P1. SIGTERM or SIGINT closes once, in order, and ends with exit code 0.
// P2. A second signal, or a close that takes longer than the grace, ends at once.
// P3. A broken invariant, an uncaught exception or an unhandled rejection ends at once with a log
//     line: a stopped node is safe, a wrong one is not. Nothing is closed then, because closing
//     would run code on a state that is known to be wrong.

import { asLumeoError, type Closable, type ErrorCode, type Logger } from "@lumeofs/base";

/** Exit codes of server processes. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** Flags that there are not. */
  usage: 2,
  /** A bug of ours, or a storage error: see the last log line. */
  crashed: 70,
  /** What is stored is not what was written, or not what the others have: see the last log line. */
  damaged: 71,
  configInvalid: 10,
} as const;

/** What a running service may tell its process. */
export interface ProcessControl {
  /** Aborts at the first signal, also while starting. */
  readonly stopping: AbortSignal;
  /** Ends the process at once, as P3. */
  crash(error: unknown): void;
}

/** The part of Node's `process` that is used, so that tests can put their own in its place. */
export interface ProcessHost {
  on(event: string, listener: (argument: unknown) => void): unknown;
  exit(code: number): void;
}

export interface RunProcessOptions {
  readonly logger: Logger & Partial<Closable>;
  /** Opens everything. What it returns is closed when the process is asked to end. */
  readonly start: (control: ProcessControl) => Promise<Closable>;
  /** How long closing may take. Default 10 s. */
  readonly graceMs?: number;
  readonly host?: ProcessHost;
}

const GRACE_MS = 10_000;
/** How long the last log lines may take. */
const LOG_FLUSH_MS = 1_000;
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** Runs a service until a signal ends the process. Resolves when the exit has been asked for. */
export async function runProcess(options: RunProcessOptions): Promise<void> {
  const host = options.host ?? (process as ProcessHost);
  const { logger, graceMs = GRACE_MS } = options;
  let exiting = false;
  const exit = async (code: number): Promise<void> => {
    if (exiting) return;
    exiting = true;
    if (logger.close !== undefined) await within(LOG_FLUSH_MS, logger.close());
    host.exit(code);
  };
  const crash = (error: unknown): void => {
    logger.error("process crashed", { error });
    void exit(codeOf(error) === "CORRUPT" ? EXIT.damaged : EXIT.crashed);
  };
  const stopping = onSignals(host, (code) => host.exit(code));
  host.on("uncaughtException", crash);
  host.on("unhandledRejection", crash);

  let service: Closable;
  try {
    service = await options.start({ stopping, crash });
  } catch (error) {
    if (stopping.aborted) return exit(EXIT.ok);
    logger.error("start failed", { error });
    const code = codeOf(error);
    if (code === "CORRUPT") return exit(EXIT.damaged);
    return exit(code === "CONFIG" ? EXIT.configInvalid : EXIT.failed);
  }
  await aborted(stopping);
  logger.info("process stopping");
  return exit(await closeWithin(service, graceMs, logger));
}

function codeOf(error: unknown): ErrorCode {
  return asLumeoError(error).code;
}

/** Aborts at the first signal; calls `again` with the shell's code for it at the next (P1, P2). */
function onSignals(host: ProcessHost, again: (code: number) => void): AbortSignal {
  const controller = new AbortController();
  for (const [name, number] of Object.entries(SIGNALS)) {
    host.on(name, () => {
      if (controller.signal.aborted) again(128 + number);
      else controller.abort(new Error(`${name} received`));
    });
  }
  return controller.signal;
}

async function closeWithin(service: Closable, graceMs: number, logger: Logger): Promise<number> {
  try {
    const ended = await within(graceMs, service.close());
    if (ended) return EXIT.ok;
    logger.error("closing took too long", { duration_ms: graceMs });
  } catch (error) {
    logger.error("closing failed", { error });
  }
  return EXIT.failed;
}

/** True if `work` ended in time. */
async function within(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
