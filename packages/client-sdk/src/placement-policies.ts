// How many replicas a put makes where its caller does not say: what the policy of the directory
// says, or the default. The masters are asked once for many files of a directory.
//
// P1. A policy that is changed is known here after POLICY_MS_MAX at the latest.

import type { Clock } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { Metadata } from "./metadata.js";

/** Copies of every chunk where nobody says anything. */
export const REPLICAS_DEFAULT = 3;
/** How long an answer is good for. */
export const POLICY_MS_MAX = 10_000;
const DIRECTORIES_MAX = 1_024;

interface Known {
  readonly replicas: number;
  readonly until: number;
}

export class PlacementPolicies {
  readonly #metadata: Metadata;
  readonly #clock: Clock;
  /** By directory, the longest known first. */
  readonly #known = new Map<string, Known>();

  constructor(metadata: Metadata, clock: Clock) {
    this.#metadata = metadata;
    this.#clock = clock;
  }

  /** The same, if it is known without asking. */
  knownReplicasFor(path: string): number | undefined {
    const known = this.#known.get(directoryOf(path));
    return known !== undefined && this.#clock.monotonicMs() < known.until
      ? known.replicas
      : undefined;
  }

  /** For a file at this path, which may be still to be made with the directories on the way. */
  async replicasFor(call: Call, path: string): Promise<number> {
    const known = this.knownReplicasFor(path);
    if (known !== undefined) return known;
    const directory = directoryOf(path);
    const askedAt = this.#clock.monotonicMs();
    const policy = await this.#metadata.query(call, "effectivePolicy", { path: directory });
    const replicas = policy.replicas ?? REPLICAS_DEFAULT;
    this.#remember(directory, { replicas, until: askedAt + POLICY_MS_MAX });
    return replicas;
  }

  #remember(directory: string, known: Known): void {
    this.#known.delete(directory);
    this.#known.set(directory, known);
    if (this.#known.size <= DIRECTORIES_MAX) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
  }
}

function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}
