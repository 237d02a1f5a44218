// Servers that fail together, such as those of one rack, are blamed together: if only the first one
// were, the chunk would be sent once more for each of the others.

import { LumeoError, type Timers } from "@lumeofs/base";
import type { RequestOptions } from "../rpc/chunkserver-pool.js";
import { isTokenRefusal } from "../token-refusal.js";

/** How long after the first failure the others are awaited. */
const TOGETHER_MS = 150;

export interface JointWork {
  readonly timers: Timers;
  readonly limits: RequestOptions;
  /** Failures beside those of the actions. */
  readonly others?: () => readonly unknown[];
}

/**
 * What all actions give.
 *
 * @throws the first failure; a LumeoError names the servers of all that failed with it.
 */
export async function allTogether<T>(
  actions: readonly Promise<T>[],
  { timers, limits, others = () => [] }: JointWork,
): Promise<T[]> {
  const failures: unknown[] = [];
  for (const action of actions) action.catch((error: unknown) => failures.push(error));
  try {
    return await Promise.all(actions);
  } catch (error) {
    const isOurs = limits.signal.aborted || isTokenRefusal(error);
    if (isOurs || !(error instanceof LumeoError)) throw error;
    await new Promise<void>((resolve) => timers.after(TOGETHER_MS, resolve));
    const servers = new Set([...failures, ...others()].flatMap(serversOf));
    throw new LumeoError(error.code, error.message, { ...error.details, servers: [...servers] });
  }
}

function serversOf(failure: unknown): readonly number[] {
  return failure instanceof LumeoError ? (failure.details.servers ?? []) : [];
}
