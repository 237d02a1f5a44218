// The callers who change the group: its membership, and who leads it.
//
// K1. Every caller gets exactly one answer.
// K2. A change is reported as done only when it is committed and no joint membership is left of it.
// K3. What this member will not learn, because it leads no longer, is reported as unknown.

import type { LumeoError, NodeId } from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";
import { isJoint } from "../raft/membership.js";
import type { MembershipStatus, RaftOutput } from "../raft/message.js";
import { type AddressOf, leadershipLost, overloaded } from "./answers.js";
import { changeRefused, transferAborted, transferRefused } from "./group-answers.js";
import type { RoleStatus } from "./replication.js";

/** Callers that may wait at once: operators and one duty, so few are many. */
const WAITING_MAX = 64;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The outputs of the core that answer these callers. */
export type GroupAnswer = Extract<
  RaftOutput,
  {
    readonly kind:
      | "changeAccepted"
      | "changeRefused"
      | "transferStarted"
      | "transferRefused"
      | "transferAborted";
  }
>;

export class GroupChanges {
  readonly #addressOf: AddressOf;
  /** Whose input is being stepped: the answer comes within that step. */
  #asking: Waiter | undefined;
  readonly #changes: { readonly index: LogIndex; readonly waiter: Waiter }[] = [];
  #transfer: { readonly to: NodeId; readonly waiter: Waiter } | undefined;

  constructor(addressOf: AddressOf) {
    this.#addressOf = addressOf;
  }

  /** Puts an input to the core by `step`, which may throw, and waits for what becomes of it. */
  ask(step: () => void): Promise<void> {
    if (WAITING_MAX <= this.#changes.length) return Promise.reject(overloaded("change the group"));
    return new Promise((resolve, reject) => {
      this.#asking = { resolve, reject };
      try {
        step();
      } catch (error) {
        this.#asking = undefined;
        reject(error);
      }
    });
  }

  answered(output: GroupAnswer): void {
    const asking = this.#asking;
    switch (output.kind) {
      case "changeAccepted":
        if (asking !== undefined) this.#changes.push({ index: output.index, waiter: asking });
        break;
      case "changeRefused":
        asking?.reject(changeRefused(output.why, this.#addressOf));
        break;
      case "transferStarted":
        if (asking !== undefined) this.#transfer = { to: output.to, waiter: asking };
        break;
      case "transferRefused":
        asking?.reject(transferRefused(output.why, this.#addressOf));
        break;
      case "transferAborted":
        this.#transfer?.waiter.reject(transferAborted(output.to));
        this.#transfer = undefined;
        return;
    }
    this.#asking = undefined;
  }

  /** Answers those whose change is committed and left behind. */
  settled({ settled, settledIndex }: MembershipStatus): void {
    if (isJoint(settled)) return;
    while (this.#changes[0] !== undefined && this.#changes[0].index <= settledIndex) {
      this.#changes.shift()?.waiter.resolve();
    }
  }

  /** A leadership that ends while it is handed over was handed over, whoever comes next. */
  roleChanged(role: RoleStatus, lost: RoleStatus): void {
    if (role.role === "leader" && role.term === lost.term) return;
    this.#transfer?.waiter.resolve();
    this.#transfer = undefined;
    for (const { waiter } of this.#changes.splice(0)) waiter.reject(leadershipLost(lost.term));
  }

  /** Nobody is left without an answer. */
  end(error: LumeoError): void {
    this.#asking?.reject(error);
    this.#transfer?.waiter.reject(error);
    for (const { waiter } of this.#changes.splice(0)) waiter.reject(error);
    [this.#asking, this.#transfer] = [undefined, undefined];
  }
}
