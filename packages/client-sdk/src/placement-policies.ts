// How a put keeps its file where its caller does not say: as the policy of the directory says, or
// by default. The masters are asked once for many files of a directory.
//
// P1. A policy that is changed is known here after POLICY_MS_MAX at the latest.

import type { Clock } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { Metadata } from "./metadata.js";
import type { CodeFallback, CodePolicy, Policy } from "./operations.js";
import { codePolicyOf } from "./redundancy.js";

/** Copies of every chunk where nobody says anything. */
export const REPLICAS_DEFAULT = 3;
/** How long an answer is good for. */
export const POLICY_MS_MAX = 10_000;
const DIRECTORIES_MAX = 1_024;

/** How files of a directory are kept. */
export interface Placement {
  readonly replicas: number;
  readonly code: CodePolicy;
  readonly fallback: CodeFallback;
}

interface Known {
  readonly placement: Placement;
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

  /**
   * For a file at this path, which may be still to be made with the directories on the way. Mostly
   * it is known already.
   */
  placementFor(call: Call, path: string): Placement | Promise<Placement> {
    const directory = directoryOf(path);
    const known = this.#known.get(directory);
    const isFresh = known !== undefined && this.#clock.monotonicMs() < known.until;
    return isFresh ? known.placement : this.#ask(call, directory);
  }

  async #ask(call: Call, directory: string): Promise<Placement> {
    const askedAt = this.#clock.monotonicMs();
    const policy = await this.#metadata.query(call, "effectivePolicy", { path: directory });
    const placement = placementOf(policy);
    this.#remember(directory, { placement, until: askedAt + POLICY_MS_MAX });
    return placement;
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

function placementOf({ replicas, code, codeFallback }: Policy): Placement {
  return {
    replicas: replicas ?? REPLICAS_DEFAULT,
    code: code === undefined ? { kind: "replicated" } : codePolicyOf(code),
    fallback: codeFallback ?? "refuse",
  };
}

function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}
