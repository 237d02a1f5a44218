import { setTimeout as delay } from "node:timers/promises";

/** Lets time pass in a drill; less of it if the drill ends. */
export async function rest(ms: number, end: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: end }).catch(() => undefined);
}
