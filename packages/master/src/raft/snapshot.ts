// Snapshots as the core sees them: an index and a term that stand for everything before.    Raft §7
//
// The bytes never come here. A member that needs a snapshot is sent one by the shell; when it has
// arrived, whole and durable, the core decides whether it is of use.
//
// N1. A log that holds the snapshot's last entry is right up to there: it stays, and only learns
//     that so much is committed. Every other log parts from the committed one at or before that
//     entry, so nothing of it can be needed, and the whole log is replaced.
// N2. The decision takes effect at once; the installation comes behind the writes before it and
//     before those after it (M3). So whatever this member says next, it says after installing.

import { invariant, type NodeId } from "@lumeofs/base";
import { answerStaleLeader, becomeFollower, hearLeader } from "./follower.js";
import type { Member } from "./member.js";
import type { RaftInput, RaftMessage } from "./message.js";

type SnapshotReceived = Extract<RaftInput, { kind: "snapshotReceived" }>;

/** A snapshot from the leader of `term` is here: use it if it brings anything. */
export function receiveSnapshot(member: Member, input: SnapshotReceived): void {
  const { from, term, meta } = input;
  if (term < member.term) {
    answerStaleLeader(member, from);
    return;
  }
  if (member.term < term) becomeFollower(member, term, from);
  hearLeader(member, from);
  if (member.commit < meta.index && !member.log.matches(meta.index, meta.term)) {
    install(member, from, meta);
    return;
  }
  member.commitTo(meta.index);
  member.outbox.after(from, confirmation(member));
}

function install(member: Member, from: NodeId, meta: SnapshotReceived["meta"]): void {
  // One at a time: the leader sends another one if this one does not suffice.
  if (member.isInstalling) return;
  invariant(member.role.kind === "follower", "only a follower installs a snapshot");
  member.beginInstalling(meta);
  const then = [{ to: from, message: confirmation(member) }];
  member.outbox.emit({ kind: "installSnapshot", meta, then });
}

/** The log is equal to the leader's up to the commit index: all that is committed is. */
function confirmation(member: Member): Extract<RaftMessage, { kind: "snapshotReply" }> {
  return { kind: "snapshotReply", term: member.term, index: member.commit };
}
