// The callers who change the group: its membership, and who leads it.
//
// K1. Every caller gets exactly one answer.
// K2. A change is reported as done only when it is committed and no joint membership is left of it.
// K3. What this member will not learn, because it leads no longer, is reported as unknown.

import { LumeoError, type NodeId } from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";
import { isJoint } from "../raft/membership.js";
import type {
  ChangeRefusal,
  MembershipStatus,
  RaftOutput,
  TransferRefusal,
} from "../raft/message.js";
import { type AddressOf, leadershipLost, overloaded, refused } from "./answers.js";
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

  /** Puts an input to the core by `step` and waits for what becomes of it. */
  ask(step: () => void): Promise<void> {
    if (WAITING_MAX <= this.#changes.length) return Promise.reject(overloaded("change the group"));
    return new Promise((resolve, reject) => {
      this.#asking = { resolve, reject };
      step();
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

function changeRefused(why: ChangeRefusal, addressOf: AddressOf): LumeoError {
  const action = "change the masters";
  switch (why.kind) {
    case "notLeader":
    case "transferring":
      return refused(action, why, addressOf);
    case "notReady":
      return new LumeoError("OVERLOADED", `Cannot ${action}: the leader has just begun. Try again`);
    case "changing":
      return new LumeoError(
        "OVERLOADED",
        `Cannot ${action}: another change of the masters is not finished. Try again`,
      );
    case "behind":
      return new LumeoError(
        "PRECONDITION",
        `Cannot let master "${why.id}" vote: it has the log up to entry ${why.match} only. ` +
          "Wait until it has caught up, and try again",
      );
    case "noQuorum":
      return new LumeoError(
        "PRECONDITION",
        `Cannot ${action}: of those who would vote then, ${names(why.silent)} cannot be reached, ` +
          "and without a majority the group would stand still. Start them, or remove them first",
      );
    case "invalid":
      return invalid(why.change);
  }
}

function invalid({ id, why }: Extract<ChangeRefusal, { kind: "invalid" }>["change"]): LumeoError {
  const refuse = (text: string) =>
    new LumeoError("PRECONDITION", `Cannot change the masters: ${text}`);
  switch (why) {
    case "unknown member":
      return new LumeoError("NOT_FOUND", `Cannot change the masters: there is no master "${id}"`);
    case "member already":
      return new LumeoError("EXISTS", `Cannot add master "${id}": it is there already`);
    case "voter already":
      return refuse(`master "${id}" votes already`);
    case "no voter":
      return refuse(`master "${id}" does not vote`);
    case "removed before":
      return refuse(
        `master "${id}", or the folder it was started with, took part before and was removed. ` +
          "Start it under a new name and with an empty folder",
      );
    case "address in use":
      return refuse(`the address of master "${id}" is another master's`);
    case "other store":
      return refuse(
        `master "${id}" has another folder than the one that the group knows. Remove it, and add ` +
          "it under a new name",
      );
    case "last voter":
      return refuse(`master "${id}" is the last one that votes`);
    case "too many":
      return refuse(`with master "${id}" there are too many`);
  }
}

function transferRefused(why: TransferRefusal, addressOf: AddressOf): LumeoError {
  const action = "hand over the leadership";
  switch (why.kind) {
    case "notLeader":
    case "transferring":
      return refused(action, why, addressOf);
    case "leadsAlready":
      return new LumeoError("EXISTS", `Cannot ${action}: this master leads already`);
    case "noVoter":
      return new LumeoError(
        "PRECONDITION",
        `Cannot ${action} to "${why.id}": it is no master that votes`,
      );
    case "silent": {
      const who = why.id === undefined ? "no other master that votes" : `master "${why.id}"`;
      const text = `Cannot ${action}: ${who} can be reached`;
      return new LumeoError("PRECONDITION", why.id === undefined ? text : `${text} not`);
    }
  }
}

function transferAborted(to: NodeId): LumeoError {
  return new LumeoError(
    "UNAVAILABLE",
    `Cannot hand over the leadership: master "${to}" has not taken it in time. This master leads ` +
      "on; try again",
  );
}

function names(ids: readonly NodeId[]): string {
  return ids.map((id) => `"${id}"`).join(", ");
}
