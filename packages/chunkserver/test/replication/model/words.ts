// The states and messages of the core as text: equal texts mean equal states. The same words are
// shown in a counter-example.

import type { ChunkAuthority, EpochGrant } from "@lumeofs/base";
import type { AppendRecord, Position } from "../../../src/replication/append-record.js";
import type { History } from "../../../src/replication/history.js";
import type { ReplicaMessage, ReplicaReply } from "../../../src/replication/message.js";
import type { PrimaryState, Testimonies } from "../../../src/replication/primary-state.js";
import type { ReplicaState } from "../../../src/replication/replica.js";

/** `2:w1` is write 1 written in epoch 2, `3:barrier` a barrier; behind it stands the clock. */
export function recordText({ epoch, clock, content }: AppendRecord): string {
  const what = content.kind === "data" ? `w${content.write.writeSeq}` : content.kind;
  return `${epoch}:${what}<${[...clock].map(([author, count]) => `${author}:${count}`)}>`;
}

/** A text for people, without the clocks. */
export function withoutClocks(text: string): string {
  return text.replaceAll(/<[^>]*>/g, "");
}

export function recordsText(records: readonly AppendRecord[]): string {
  return `[${records.map(recordText).join(" ")}]`;
}

export function historyText(history: History): string {
  return recordsText(history.slice(1, history.lastSeq));
}

export function replicaText(state: ReplicaState): string {
  const damaged = state.damagedIn === 0 ? "" : ` damaged in ${state.damagedIn}`;
  const { promised, commitSeq, history } = state;
  return `promised ${promised}, committed ${commitSeq}, ${historyText(history)}${damaged}`;
}

export function authorityText({ newest, lastActive, sealed }: ChunkAuthority): string {
  const active = `${lastActive.epoch}@${lastActive.members.join("")}`;
  return `${grantText(newest)}, active ${active}${sealed === undefined ? "" : ", sealed"}`;
}

export function primaryText(state: PrimaryState): string {
  const who = `${state.kind} ${grantText(state.grant)}`;
  switch (state.kind) {
    case "claiming":
    case "ended":
      return who;
    case "fencing":
      return `${who} ${testimoniesText(state.testimonies)}`;
    case "fetching": {
      const { testimonies, donor, history } = state;
      return `${who} ${testimoniesText(testimonies)} from ${donor} ${historyText(history)}`;
    }
    case "leading": {
      const { stage, openingSeq, commitSeq, progress, waiting, history } = state;
      const members = [...progress].map(([member, { matched, next }]) => {
        return `${member}:${matched}-${next}`;
      });
      const open = waiting.map(({ request, seq }) => `${request}@${seq}`).sort();
      const positions = `${openingSeq} ${commitSeq} ${members.sort().join(" ")}`;
      return `${who} ${stage} ${positions} (${open.join(" ")}) ${historyText(history)}`;
    }
  }
}

export function messageText(message: ReplicaMessage): string {
  const { kind, epoch } = message;
  if (kind === "fetch") return `fetch e${epoch} after ${message.after}`;
  if (kind !== "append") return `${kind} e${epoch}`;
  const { previous, records, commitSeq } = message;
  const place = `${positionText(previous)} ${recordsText(records)}`;
  return `append e${epoch} after ${place} committed ${commitSeq}`;
}

export function replyText(reply: ReplicaReply): string {
  const { kind, epoch } = reply;
  switch (kind) {
    case "fenced":
      return `fenced e${epoch}: last ${positionText(reply.last)}, committed ${reply.commitSeq}`;
    case "fetched":
      return `fetched e${epoch} after ${reply.after} ${recordsText(reply.records)}`;
    case "appended":
      return `appended e${epoch} up to ${reply.durable}`;
    case "mismatch":
      return `mismatch e${epoch}, committed ${reply.commitSeq}`;
    case "stale":
      return `stale e${epoch}, promised ${reply.promised}`;
    case "unknown":
    case "removed":
      return `${kind} e${epoch}`;
  }
}

/** Who has to be fenced is part of it: an epoch may be granted before or behind another set. */
function grantText({ epoch, primary, members, previous }: EpochGrant): string {
  const fenced = previous === undefined ? "" : `<${previous.epoch}@${previous.members.join("")}>`;
  return `e${epoch} s${primary}@${members.join("")}${fenced}`;
}

function testimoniesText(testimonies: Testimonies): string {
  const said = [...testimonies].map(([member, testimony]) => {
    if (testimony.kind === "unknown") return `${member}?`;
    return `${member}:${positionText(testimony.last)}/${testimony.commitSeq}`;
  });
  return `{${said.sort().join(" ")}}`;
}

function positionText({ epoch, seq }: Position): string {
  return `${epoch}.${seq}`;
}
