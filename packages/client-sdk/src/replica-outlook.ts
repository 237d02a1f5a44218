// What a client knows and remembers of the servers that hold chunks: how promising each is, who has
// failed, and which copies the masters should hear of.

import { type ErrorCode, LumeoError, type MonotonicMs } from "@lumeofs/base";
import type { ReplicaState } from "./operations.js";
import type { Ports } from "./ports.js";
import { distanceOf, type Prospect, type Standpoint } from "./replica-order.js";
import type { AdminClient } from "./rpc/admin-client.js";
import type { ServerHealth } from "./server-health.js";
import type { ServerScores } from "./server-scores.js";

/** The copy itself is bad: no use asking it again. */
const BAD_COPY: ReadonlySet<ErrorCode> = new Set(["CHECKSUM", "CORRUPT", "REPLICA_MISSING"]);

const REPORT_TIMEOUT_MS = 5_000;

export interface ReplicaOutlookParts {
  readonly admin: AdminClient;
  readonly health: ServerHealth;
  readonly scores: ServerScores;
  /** Where this client stands, for near replicas. */
  readonly standpoint: Standpoint;
  readonly ports: Ports;
}

export class ReplicaOutlook {
  readonly #parts: ReplicaOutlookParts;

  constructor(parts: ReplicaOutlookParts) {
    this.#parts = parts;
  }

  prospect(replica: ReplicaState, now: MonotonicMs): Prospect {
    const { health, scores, standpoint } = this.#parts;
    const { server } = replica;
    const state = { alive: 0, suspect: 2, dead: 3 }[replica.state];
    const isDoubtful = health.isSuspect(server, now) || scores.isLagging(server, now);
    return {
      doubt: isDoubtful ? Math.max(state, 1) : state,
      distance: distanceOf(standpoint, replica),
      expectedMs: scores.expectedMs(server, now),
      isPrimary: replica.role === "primary",
    };
  }

  /** It answered as it should. */
  worked(replica: ReplicaState): void {
    this.#parts.health.worked(replica.server);
  }

  /** Remembers a failure; a bad copy is told to the masters. */
  failed(handle: number, replica: ReplicaState, error: LumeoError): void {
    const { health, ports, admin } = this.#parts;
    if (!isBadCopy(error)) {
      health.failed([replica.server], ports.clock.monotonicMs());
      return;
    }
    const damage = { handle, serverId: replica.server, reason: error.message };
    const options = { timeoutMs: REPORT_TIMEOUT_MS, signal: new AbortController().signal };
    // The report is a courtesy: the next reader who meets this copy makes it again.
    admin.reportDamage(damage, options).catch(() => undefined);
  }
}

/** Whether a failure is about the copy, and not about its server or the way there. */
export function isBadCopy(error: LumeoError): boolean {
  return BAD_COPY.has(error.code);
}

/** The failure of a copy that the masters know to be damaged: it is not asked. */
export function knownDamage(): LumeoError {
  return new LumeoError("CHECKSUM", "known to be damaged");
}
