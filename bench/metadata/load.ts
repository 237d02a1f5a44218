// A closed loop: so many calls in flight, each followed at once by the next, for a while.

import { quantile } from "../raw-disk.js";

export interface LoadResult {
  readonly inFlight: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Calls that were measured. */
  readonly count: number;
}

export interface LoadOptions {
  readonly inFlight: number;
  readonly seconds: number;
  /** One call; gets a number that no other call of this load gets, from 0. */
  readonly one: (n: number) => Promise<unknown>;
}

/** The first part of each load warms up and is not counted. */
const WARM_UP = 0.2;

export async function runLoad({ inFlight, seconds, one }: LoadOptions): Promise<LoadResult> {
  const began = performance.now();
  const from = began + WARM_UP * seconds * 1000;
  const until = began + seconds * 1000;
  const times: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let start = performance.now(); start < until; ) {
      await one(next++);
      const end = performance.now();
      if (from <= start) times.push(end - start);
      start = end;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const measured = (performance.now() - from) / 1000;
  times.sort((a, b) => a - b);
  return {
    inFlight,
    perSecond: times.length / measured,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: times.at(-1) ?? Number.NaN,
    count: times.length,
  };
}

/** The load with the most calls a second. */
export function best(results: readonly LoadResult[]): LoadResult | undefined {
  return results.reduce<LoadResult | undefined>(
    (most, one) => (most === undefined || most.perSecond < one.perSecond ? one : most),
    undefined,
  );
}
