// How fresh the answers of commands that look are to be.

import type { CallOptions, Consistency } from "@lumeofs/client";
import { parseDuration } from "./args.js";

export const CONSISTENCIES = [
  "linearizable",
  "lease",
  "stale",
] as const satisfies readonly Consistency[];

export interface ReadOptions {
  readonly consistency?: Consistency;
  readonly maxAge?: string;
}

/** @throws UsageError if the age is no duration. */
export function wishOf({
  consistency,
  maxAge,
}: ReadOptions): Pick<CallOptions, "consistency" | "maxAgeMs"> {
  return {
    ...(consistency === undefined ? {} : { consistency }),
    ...(maxAge === undefined ? {} : { maxAgeMs: parseDuration(maxAge) }),
  };
}
