// Orders for small chunks come many at once: each has an end of its own.

import { asLumeoError, InvariantViolation, type LumeoError } from "@lumeofs/base";

/** What came of one order of a batch. */
export type Settled<T> = { readonly value: T } | { readonly error: LumeoError };

/** Orders of one batch that are obeyed at a time: they share the syncs of the disk. */
const AT_ONCE = 8;

/** Obeys all orders, a few at a time, and tells of each what came of it, in their order. */
export async function settleAll<O, T>(
  orders: readonly O[],
  obey: (order: O) => Promise<T>,
): Promise<readonly Settled<T>[]> {
  const results: Settled<T>[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < orders.length; i = next++) {
      try {
        results[i] = { value: await obey(orders[i] as O) };
      } catch (error) {
        if (error instanceof InvariantViolation) throw error;
        results[i] = { error: asLumeoError(error) };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, orders.length) }, worker));
  return results;
}
