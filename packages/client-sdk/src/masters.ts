// Who the masters are, and who leads: for operators and their tools.
//
// M1. Every step may be repeated when its outcome is unknown: what is already as it was wished is
//     done. So a change of leaders in the middle is no failure.

import { LumeoError } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { ClusterStatus, MasterStatus } from "./cluster-status.js";
import type { RunCall } from "./metadata-runner.js";
import type { CallOptions } from "./options.js";
import type { AdminClient } from "./rpc/admin-client.js";
import { type CheckFinding, compareStates, mayTellMore, type StateCheck } from "./state-check.js";

/** A master that runs and waits to be taken in. */
export interface NewMaster {
  /** A name that no master of the cluster has ever had. */
  readonly id: string;
  /** host:port where all masters, chunkservers and clients reach it. */
  readonly address: string;
}

export interface AddMastersOptions extends CallOptions {
  /** Only send them the log; `promote` lets them vote later. Default false. */
  readonly asLearners?: boolean;
  /** Called again and again with what is known of the new masters, until they have caught up. */
  readonly onProgress?: (
    masters: readonly MasterStatus[],
    leader: MasterStatus | undefined,
  ) => void;
}

export interface CheckMastersOptions extends CallOptions {
  /** Called again and again with what is known so far. */
  readonly onProgress?: (check: StateCheck) => void;
}

const POLL_MS = 200;
/** A master that is busy with an earlier comparison misses the next one. */
const CHECKS_MAX = 3;
/** A master that cannot be reached may have just been started. */
const UNREACHABLE_WAIT_MS = 3_000;
/** A master may fall behind again between the look and the vote. */
const PROMOTIONS_MAX = 20;
const STEP = { idempotent: true, limitMs: () => Infinity } as const;

export class Masters {
  readonly #run: RunCall;
  readonly #admin: AdminClient;

  constructor(run: RunCall, admin: AdminClient) {
    this.#run = run;
    this.#admin = admin;
  }

  /** All masters of the group, as the leader knows them. */
  list(options: CallOptions = {}): Promise<readonly MasterStatus[]> {
    return this.#run("masters.list", undefined, options, async (call) => {
      return (await this.#status(call)).masters;
    });
  }

  /**
   * Takes masters into the group: they get the log first, and all vote from the same moment on.
   *
   * @throws LumeoError PRECONDITION if one does not run, does not wait, or was removed before.
   */
  add(masters: readonly NewMaster[], options: AddMastersOptions = {}): Promise<void> {
    const { asLearners = false, onProgress } = options;
    return this.#run("masters.add", undefined, options, async (call) => {
      for (const master of masters) {
        await call.run(STEP, () => this.#admin.addMaster(master, call));
      }
      const ids = masters.map(({ id }) => id);
      await this.#untilCaughtUp(call, ids, onProgress);
      if (!asLearners) await this.#promote(call, ids);
    });
  }

  /** Lets learners vote, all from the same moment on; waits until they have caught up. */
  promote(ids: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#run("masters.promote", undefined, options, (call) => this.#promote(call, ids));
  }

  /** Takes masters out of the group, all at once. A leader among them hands over. */
  remove(ids: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#run("masters.remove", undefined, options, async (call) => {
      await call.run(STEP, () => this.#admin.removeMasters(ids, call));
    });
  }

  /** Hands the leadership to a master that votes, or to the nearest one. @returns Who leads. */
  transferLeadership(to?: string, options: CallOptions = {}): Promise<string> {
    return this.#run("masters.transferLeadership", undefined, options, async (call) => {
      await call.run(STEP, () => this.#admin.transferLeadership(to ?? "", call));
      for (;;) {
        const { leader } = await this.#status(call);
        if (leader !== "" && (to === undefined || leader === to)) return leader;
        await call.pause(POLL_MS);
      }
    });
  }

  /**
   * Has all masters compare their states at the same entry of the log, and waits until everybody
   * who can be reached has a result. It takes the longer the more files there are, and is no
   * burden: the states are read slowly, while the masters work.
   *
   * @throws LumeoError LUMEO_TIMEOUT at the deadline; `onProgress` has heard what was known then.
   */
  check(options: CheckMastersOptions = {}): Promise<StateCheck> {
    return this.#run("masters.check", undefined, options, async (call) => {
      for (let tries = 1; ; tries++) {
        const { check, isMissed } = await this.#compare(call, options.onProgress);
        if (!isMissed || check.verdict === "different" || CHECKS_MAX <= tries) return check;
      }
    });
  }

  /** Compares once; somebody may have missed it who would not miss the next one. */
  async #compare(
    call: Call,
    onProgress: CheckMastersOptions["onProgress"],
  ): Promise<{ readonly check: StateCheck; readonly isMissed: boolean }> {
    const index = await this.#beginCheck(call);
    const startedMs = call.elapsedMs;
    let found: readonly CheckFinding[] = [];
    for (;;) {
      const { masters } = await this.#status(call);
      found = (await this.#findings(call, index, masters)) ?? found;
      const check = compareStates(index, found, masters);
      onProgress?.(check);
      const isPatient = call.elapsedMs - startedMs < UNREACHABLE_WAIT_MS;
      const isMissed = found.some(({ kind }) => kind === "unknown");
      const isWorthWaiting = isPatient && check.verdict !== "equal" && !isMissed;
      if (!isWorthWaiting && !mayTellMore(found, masters)) return { check, isMissed };
      await call.pause(POLL_MS);
    }
  }

  /** Only one comparison begins at a time: one that is under way is waited for. */
  async #beginCheck(call: Call): Promise<number> {
    for (;;) {
      const index = await call.run(STEP, async () => {
        const { leader, masters } = await this.#admin.clusterStatus(call);
        const address = masters.find(({ id }) => id === leader)?.address;
        if (address === undefined) {
          throw new LumeoError("NO_LEADER", "Cannot compare the masters' states: nobody leads");
        }
        return this.#admin.beginCheck(address, call).catch((error: unknown) => {
          if (error instanceof LumeoError && error.code === "OVERLOADED") return undefined;
          throw error;
        });
      });
      if (index !== undefined) return index;
      await call.pause(POLL_MS);
    }
  }

  /** Of the leader, or of whoever knows something after it has gone; undefined if nobody does. */
  async #findings(
    call: Call,
    index: number,
    masters: readonly MasterStatus[],
  ): Promise<readonly CheckFinding[] | undefined> {
    const reachable = masters.filter(({ role }) => role !== "unreachable");
    const leaderFirst = reachable.sort(
      (a, b) => Number(b.role === "leader") - Number(a.role === "leader"),
    );
    for (const { address } of leaderFirst) {
      try {
        return await this.#admin.checkAt(address, index, call);
      } catch (error) {
        call.cancellation.throwIfAborted();
        if (!(error instanceof LumeoError)) throw error; // it is asked again later
      }
    }
    return undefined;
  }

  async #promote(call: Call, ids: readonly string[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await call.run(STEP, () => this.#admin.promoteMasters(ids, call));
      } catch (error) {
        const isBehind = error instanceof LumeoError && error.code === "PRECONDITION";
        if (!isBehind || PROMOTIONS_MAX <= tries) throw error;
      }
      await call.pause(POLL_MS);
    }
  }

  async #untilCaughtUp(
    call: Call,
    ids: readonly string[],
    onProgress: AddMastersOptions["onProgress"],
  ): Promise<void> {
    for (;;) {
      const { masters, leader } = await this.#status(call);
      const added = masters.filter(({ id }) => ids.includes(id));
      onProgress?.(
        added,
        masters.find(({ id }) => id === leader),
      );
      if (added.length === ids.length && added.every((one) => one.caughtUp)) return;
      await call.pause(POLL_MS);
    }
  }

  #status(call: Call): Promise<ClusterStatus> {
    return call.run(STEP, () => this.#admin.clusterStatus(call));
  }
}
