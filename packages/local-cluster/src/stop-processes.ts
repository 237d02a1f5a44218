// Ending processes in order: asked first, killed when they do not listen.

import { isRunning, type ProcessIdentity, signalProcess } from "./process-identity.js";
import { waitUntil } from "./wait-until.js";

/** A member that was asked to stop gets this long to close its store. */
export const STOP_GRACE_MS = 10_000;
const KILL_GRACE_MS = 5_000;

/**
 * Ends exactly these processes, whoever their parent is.
 *
 * @returns Those that had to be killed.
 */
export async function stopProcesses<P extends ProcessIdentity>(
  processes: readonly P[],
  graceMs = STOP_GRACE_MS,
): Promise<readonly P[]> {
  for (const one of processes) signalProcess(one, "SIGTERM");
  await untilEnded(processes, graceMs);
  const stubborn = processes.filter(isRunning);
  for (const one of stubborn) signalProcess(one, "SIGKILL");
  await untilEnded(stubborn, KILL_GRACE_MS);
  return stubborn;
}

async function untilEnded(processes: readonly ProcessIdentity[], timeoutMs: number): Promise<void> {
  await waitUntil(() => (processes.some(isRunning) ? undefined : true), { timeoutMs });
}
