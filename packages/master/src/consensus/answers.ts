// What callers are told when they do not get a reply.

import { assertNever, LumeoError, type NodeId } from "@lumeofs/base";
import type { Term } from "../raft/entry.js";
import type { Refusal } from "../raft/message.js";

/** Whoever is refused because of load should not come back sooner: room is not made at once. */
export const RETRY_AFTER_MS = 100;

/** Finds a member's host:port. */
export type AddressOf = (member: NodeId) => string | undefined;

/** The core did not take it. */
export function refused(action: string, why: Refusal, addressOf: AddressOf): LumeoError {
  switch (why.kind) {
    case "notLeader": {
      const address = why.leader === undefined ? undefined : addressOf(why.leader);
      if (why.leader === undefined || address === undefined) {
        return new LumeoError("NO_LEADER", `Cannot ${action}: no leader is known. Try again`);
      }
      const message = `Cannot ${action} here: the leader is "${why.leader}" at ${address}`;
      return new LumeoError("NOT_LEADER", message, { leader: address });
    }
    case "overloaded":
      return overloaded(action);
    case "transferring":
      return new LumeoError(
        "OVERLOADED",
        `Cannot ${action}: the leadership is being handed to "${why.to}". Try again`,
        { retryAfterMs: RETRY_AFTER_MS },
      );
    default:
      return assertNever(why);
  }
}

export function overloaded(action: string): LumeoError {
  const message = `Cannot ${action}: too much is under way. Try again`;
  return new LumeoError("OVERLOADED", message, { retryAfterMs: RETRY_AFTER_MS });
}

/** It is in the log, but this member will not learn whether it stays there. */
export function leadershipLost(term: Term): LumeoError {
  return new LumeoError(
    "LEADERSHIP_LOST",
    `Cannot tell what becomes of the command: leadership of term ${term} was lost, and the next ` +
      "leader may still commit it. Repeat it under the same request id",
  );
}

export function closed(action: string): LumeoError {
  return new LumeoError("CLOSED", `Cannot ${action}: this member is closed`);
}

export function failed(action: string, cause: unknown): LumeoError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new LumeoError("STORE_FAILED", `Cannot ${action}: this member has stopped: ${why}`, {
    cause,
  });
}
