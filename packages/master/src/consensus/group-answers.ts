// What those are told who wanted to change the group, and could not.

import { LumeoError, type NodeId } from "@lumeofs/base";
import type { InvalidChange } from "../raft/member-change.js";
import type { ChangeRefusal, TransferRefusal } from "../raft/message.js";
import { type AddressOf, refused } from "./answers.js";

/** A change of the membership that the core did not take. */
export function changeRefused(why: ChangeRefusal, addressOf: AddressOf): LumeoError {
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

function invalid({ id, why }: InvalidChange): LumeoError {
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

/** A transfer that the core did not begin. */
export function transferRefused(why: TransferRefusal, addressOf: AddressOf): LumeoError {
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

/** A transfer that took too long. */
export function transferAborted(to: NodeId): LumeoError {
  return new LumeoError(
    "UNAVAILABLE",
    `Cannot hand over the leadership: master "${to}" has not taken it in time. This master leads ` +
      "on; try again",
  );
}

function names(ids: readonly NodeId[]): string {
  return ids.map((id) => `"${id}"`).join(", ");
}
