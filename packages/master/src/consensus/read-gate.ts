// Reads at the consistency that the caller chose.
//
//   linearizable  A majority confirms the leader, for all that wait together; any master serves it.
//   lease         The leader answers from its state while it may believe that nobody else leads
//                 (lease.ts). Where that is not so, the read is linearizable: never weaker.
//   stale         From the state as this master has it, with how old it may be.
//
// C1. A view is opened, the state is read, and then the view is asked whether it still holds: only
//     then the answer leaves. A read whose view does not hold any more is made again.
// C2. A master that has not been up to date since it started serves no stale reads: its state may
//     be from long ago, and it could not say from when.

import {
  type Alarm,
  assertNever,
  type Clock,
  type Closable,
  LumeoError,
  type Timers,
} from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";
import { holdsLease } from "./lease.js";
import { momentOf } from "./moment.js";
import type { Replication } from "./replication.js";

export type Consistency = "linearizable" | "lease" | "stale";

/** What may be read now, and what it is worth. */
export interface ReadView {
  /** The state contains all entries up to here, at least. */
  readonly index: LogIndex;
  /** It contains everything acknowledged longer ago than this; 0 unless the read is stale. */
  readonly ageMs: number;
  /** Whether what has been read since the view was opened may be given out (C1). */
  holds(): boolean;
}

export interface ReadGateOptions {
  /** How long a confirmed round lets the leader answer alone; undefined if it never may. */
  readonly leaseMs: number | undefined;
  /** At least so often this master makes sure that it is up to date, as long as it can. */
  readonly refreshMs: number;
}

export interface ReadGateParts {
  readonly replication: Replication;
  readonly clock: Clock;
  readonly timers: Timers;
}

export class ReadGate implements Closable {
  readonly #parts: ReadGateParts;
  readonly #options: ReadGateOptions;
  readonly #refreshing: Alarm;
  #isRefreshing = false;

  constructor(parts: ReadGateParts, options: ReadGateOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#refreshing = parts.timers.every(options.refreshMs, () => void this.#refresh());
  }

  /**
   * Waits until this master may serve such a read.
   *
   * @throws NO_LEADER  Not stale: nobody can confirm it; stale: as C2.
   * @throws Also as `Replication.read`.
   */
  async open(consistency: Consistency): Promise<ReadView> {
    switch (consistency) {
      case "linearizable":
        return this.#linearizable();
      case "lease":
        return this.#leased() ?? this.#linearizable();
      case "stale":
        return this.#stale();
      default:
        return assertNever(consistency);
    }
  }

  async close(): Promise<void> {
    this.#refreshing.cancel();
  }

  async #linearizable(): Promise<ReadView> {
    return { index: await this.#parts.replication.read(), ageMs: 0, holds: () => true };
  }

  /** Undefined where there is no lease now. */
  #leased(): ReadView | undefined {
    const { replication } = this.#parts;
    const { role, term, commit, applied } = replication.status;
    // A follower may have shown what is committed and not applied here yet.
    if (role !== "leader" || applied < commit) return undefined;
    const holds = (): boolean => replication.status.term === term && this.#holdsLease();
    return holds() ? { index: applied, ageMs: 0, holds } : undefined;
  }

  #holdsLease(): boolean {
    const { replication, clock } = this.#parts;
    const { leaseMs } = this.#options;
    if (leaseMs === undefined || replication.status.role !== "leader") return false;
    return holdsLease(replication.freshness.confirmed, momentOf(clock), leaseMs);
  }

  #stale(): ReadView {
    const { replication, clock } = this.#parts;
    const { fresh } = replication.freshness;
    if (fresh === undefined) {
      const why = "this master has not been up to date since it started. Ask another one";
      throw new LumeoError("NO_LEADER", `Cannot read here: ${why}`);
    }
    const ageMs = Math.max(0, clock.monotonicMs() - fresh.monotonic);
    return { index: replication.status.applied, ageMs, holds: () => true };
  }

  /** One question for the leader, or one round if this is it, unless callers have just paid one. */
  async #refresh(): Promise<void> {
    const { replication, clock } = this.#parts;
    const { fresh } = replication.freshness;
    const { refreshMs } = this.#options;
    const isFresh = fresh !== undefined && clock.monotonicMs() - fresh.monotonic < refreshMs / 2;
    if (this.#isRefreshing || isFresh || replication.status.leader === undefined) return;
    this.#isRefreshing = true;
    try {
      await replication.read();
    } catch {
      // Nobody waits for it: whoever reads next hears why, or how old the state is.
    } finally {
      this.#isRefreshing = false;
    }
  }
}
