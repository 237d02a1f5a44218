// What the parts of the client that only talk to the masters are built on.

import type { Call } from "./call.js";
import type { Metadata } from "./metadata.js";
import type { CallOptions } from "./options.js";

/** Runs an action as one call of the user; rejects with what the user is to see. */
export type RunCall = <T>(
  method: string,
  path: string | undefined,
  options: CallOptions,
  action: (call: Call) => Promise<T>,
) => Promise<T>;

export interface MetadataRunner {
  readonly run: RunCall;
  readonly metadata: Metadata;
}
