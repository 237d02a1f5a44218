import type { Clock } from "@lumeofs/base";
import type { CallOptions } from "@lumeofs/client";
import type { Client } from "./client.js";
import type { Output } from "./output.js";
import type { Settings } from "./settings.js";

/** What a command is given besides its own arguments. */
export interface Context {
  readonly settings: Settings;
  readonly output: Output;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** For calls that carry no content: the signal, and how long the masters may stay silent. */
  readonly call: CallOptions & { readonly signal: AbortSignal };
  readonly stdin: AsyncIterable<Uint8Array>;
  /**
   * The cluster; closed by whoever made the context.
   *
   * @throws UsageError if nobody said where the masters are.
   */
  client(): Promise<Client>;
}
