// Asking the masters how the cluster is, with a client that is opened once for a whole wait.

import type { Closable } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import type { ReportedStatus } from "./readiness.js";

/** One look: what does not answer by then does not answer. */
const LOOK_MS = 2_000;

/** Sees how a cluster is; tests put something simpler in the place of the real one. */
export interface StatusWatch extends Closable {
  /** What the masters report; undefined while none answers. */
  look(): Promise<ReportedStatus | undefined>;
}

export class ClusterWatch implements StatusWatch {
  readonly #client: Lumeo;

  constructor(endpoints: readonly string[]) {
    this.#client = new Lumeo({ endpoints, timeoutMs: LOOK_MS, retry: false });
  }

  async look(): Promise<ReportedStatus | undefined> {
    try {
      return await this.#client.clusterStatus({ deadlineMs: LOOK_MS });
    } catch {
      return undefined; // The next look tells more.
    }
  }

  close(): Promise<void> {
    return this.#client.close({ graceMs: 0 });
  }
}
