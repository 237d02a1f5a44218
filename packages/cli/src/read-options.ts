// How fresh the answers of commands that look are to be.

import type { CallOptions, Consistency } from "@lumeofs/client";
import { parseDuration, UsageError } from "./args.js";

export const CONSISTENCIES = [
  "linearizable",
  "lease",
  "stale",
] as const satisfies readonly Consistency[];

export interface ReadOptions {
  readonly consistency?: Consistency;
  readonly maxAge?: string;
}

/** @throws UsageError if the age is no duration, or says nothing. */
export function wishOf({
  consistency,
  maxAge,
}: ReadOptions): Pick<CallOptions, "consistency" | "maxAgeMs"> {
  if (maxAge !== undefined && consistency !== "stale") {
    throw new UsageError("--max-age says how old a stale answer may be: add --consistency stale");
  }
  return {
    ...(consistency === undefined ? {} : { consistency }),
    ...(maxAge === undefined ? {} : { maxAgeMs: parseDuration(maxAge) }),
  };
}
