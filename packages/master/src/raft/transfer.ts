// Handing the leadership to another voter, so that nobody has to miss a leader first.
//                                                                            thesis §3.10
//
// The leader takes no more proposals, brings the other one's log up to its own, and asks it to
// stand
// at once. Until it hears of a later term it leads on, and if that takes an election timeout it
// takes proposals again. So whatever is lost, proposals are refused for a bounded time only.
//
// F1. Only a voter that has the whole log is told to stand: it can win. (redpanda #2606)
// F2. The transfer lives in the leader's role: it ends with the leadership, or by the clock, and is
//     never left over. (hashicorp/raft #696)

import type { NodeId } from "@lumeofs/base";
import type { Member } from "./member.js";
import type { TransferRefusal } from "./message.js";
import { successor } from "./reconfiguration.js";
import type { Leader } from "./role.js";

/** Begins to hand over, or refuses. */
export function transfer(member: Member, to: NodeId | undefined): void {
  const { role, leader, outbox } = member;
  if (role.kind !== "leader") {
    outbox.answer({ kind: "transferRefused", why: { kind: "notLeader", leader } });
    return;
  }
  const target = to ?? successor(member, role);
  const why = objection(member, role, target);
  if (why !== undefined || target === undefined) {
    outbox.answer({ kind: "transferRefused", why: why ?? { kind: "silent", id: undefined } });
    return;
  }
  role.transfer = { to: target, ticksLeft: member.options.electionTicks, isTold: false };
  outbox.answer({ kind: "transferStarted", to: target });
  tellWhenCaughtUp(member, role);
}

/** Lets time pass for a transfer that is under way. */
export function tickTransfer(member: Member, role: Leader): "aborted" | "nothing" {
  const { transfer: pending } = role;
  if (pending === undefined) return "nothing";
  pending.ticksLeft--;
  if (0 < pending.ticksLeft) return "nothing";
  role.transfer = undefined;
  member.outbox.emit({ kind: "transferAborted", to: pending.to });
  return "aborted";
}

/** Asks the other one to stand as soon as its log is equal to this one. (F1) */
export function tellWhenCaughtUp(member: Member, role: Leader): void {
  const { transfer: pending } = role;
  if (pending === undefined || pending.isTold) return;
  if (role.peers.get(pending.to)?.match !== member.log.last) return;
  pending.isTold = true;
  member.outbox.send(pending.to, { kind: "timeoutNow", term: member.term });
}

function objection(
  member: Member,
  role: Leader,
  to: NodeId | undefined,
): TransferRefusal | undefined {
  if (role.transfer !== undefined) return { kind: "transferring", to: role.transfer.to };
  if (to === undefined) return { kind: "silent", id: undefined };
  if (to === member.id) return { kind: "leadsAlready" };
  if (!member.membership.voters.includes(to)) return { kind: "noVoter", id: to };
  return role.peers.get(to)?.isAlive === true ? undefined : { kind: "silent", id: to };
}
