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

const POLL_MS = 200;
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
