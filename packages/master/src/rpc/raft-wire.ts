// Raft's messages ⇄ protobuf. What is malformed is PROTOCOL and ends the stream that it came on.

import { assertNever, LumeoError, type NodeId } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import { decodeEntries, encodedLength, encodeEntries } from "../consensus/entry-codec.js";
import type { PeerIdentity, SnapshotOffer } from "../consensus/peer-link.js";
import { type Entry, type LogIndex, logIndex, type Term, term } from "../raft/entry.js";
import { decodeMembership, encodeMembership } from "../raft/membership-codec.js";
import type { AppendReply, RaftMessage } from "../raft/message.js";
import type { Standing } from "./peer-registry.js";

type WireMessage = lumeo.master.v1.IRaftMessage;
type WireHeader = lumeo.master.v1.ISnapshotHeader;

/** What a message needs besides its entries, roughly. */
const MESSAGE_BYTES = 64;

const { Lane, Standing: WireStanding } = lumeo.master.v1;

/** The streams between two members: what is on one never waits behind what is on the other. */
export type RaftLane = "control" | "append";

export const RAFT_LANES: readonly RaftLane[] = ["control", "append"];

/** An answer travels on the lane of its request. */
export function laneOf(message: RaftMessage): RaftLane {
  return message.kind === "append" || message.kind === "appendReply" ? "append" : "control";
}

/** Whether a message goes out on the sender's own stream, or back on the receiver's. */
export function isRequest(message: RaftMessage): boolean {
  switch (message.kind) {
    case "append":
    case "heartbeat":
    case "vote":
    case "timeoutNow":
    case "readIndex":
      return true;
    case "appendReply":
    case "heartbeatReply":
    case "voteReply":
    case "snapshotReply":
    case "readIndexReply":
      return false;
    default:
      return assertNever(message);
  }
}

/** Bytes that a message takes on the wire, roughly: for limits. */
export function messageBytes(message: RaftMessage): number {
  if (message.kind !== "append") return MESSAGE_BYTES;
  return message.entries.reduce((sum, entry) => sum + encodedLength(entry), MESSAGE_BYTES);
}

export function encodeLane(lane: RaftLane): lumeo.master.v1.Lane {
  return lane === "control" ? Lane.LANE_CONTROL : Lane.LANE_APPEND;
}

/** @throws PROTOCOL */
export function decodeLane(lane: lumeo.master.v1.Lane): RaftLane {
  if (lane === Lane.LANE_CONTROL) return "control";
  if (lane === Lane.LANE_APPEND) return "append";
  throw malformed(`lane ${lane} is unknown`);
}

export function encodeStanding(standing: Standing): lumeo.master.v1.Standing {
  switch (standing) {
    case "welcome":
      return WireStanding.STANDING_WELCOME;
    case "removed":
      return WireStanding.STANDING_REMOVED;
    case "other store":
      return WireStanding.STANDING_OTHER_STORE;
    default:
      return assertNever(standing);
  }
}

/** @throws PROTOCOL */
export function decodeStanding(standing: lumeo.master.v1.Standing): Standing {
  switch (standing) {
    case WireStanding.STANDING_WELCOME:
      return "welcome";
    case WireStanding.STANDING_REMOVED:
      return "removed";
    case WireStanding.STANDING_OTHER_STORE:
      return "other store";
    default:
      throw malformed(`standing ${standing} is unknown`);
  }
}

export function decodeIdentity(
  identity: lumeo.master.v1.IMasterIdentity | null | undefined,
): PeerIdentity {
  return { store: identity?.store ?? "", address: identity?.address ?? "" };
}

export function encodeMessage(message: RaftMessage): WireMessage {
  const { term } = message;
  switch (message.kind) {
    case "append": {
      const { previousIndex, previousTerm, commit, entries } = message;
      const appendRequest = {
        previousIndex,
        previousTerm,
        commitIndex: commit,
        entries: encodeEntries(entries),
      };
      return { term, appendRequest };
    }
    case "appendReply":
      return { term, appendReply: encodeAppendReply(message.reply) };
    case "heartbeat":
      return { term, heartbeat: { commitIndex: message.commit, readRound: message.round } };
    case "heartbeatReply":
      return { term, heartbeatAck: { readRound: message.round } };
    case "vote": {
      const { pre, lastIndex, lastTerm, transfer } = message;
      return { term, voteRequest: { pre, lastIndex, lastTerm, transfer } };
    }
    case "voteReply":
      return { term, voteReply: { pre: message.pre, granted: message.granted } };
    case "snapshotReply":
      return { term, snapshotReply: { index: message.index } };
    case "timeoutNow":
      return { term, timeoutNow: {} };
    case "readIndex":
      return { term, readIndex: { id: message.id } };
    case "readIndexReply": {
      const { id, index } = message;
      return { term, readIndexReply: { id, index: index ?? 0, refused: index === undefined } };
    }
    default:
      return assertNever(message);
  }
}

/** @throws PROTOCOL */
export function decodeMessage(wire: WireMessage): RaftMessage {
  const term = termOf(wire.term);
  if (wire.appendRequest) {
    const { previousIndex, previousTerm, commitIndex, entries } = wire.appendRequest;
    const [previous, end] = [indexOf(previousIndex), termOf(previousTerm)];
    return {
      kind: "append",
      term,
      previousIndex: previous,
      previousTerm: end,
      commit: indexOf(commitIndex),
      entries: entriesBehind(previous, end, entries ?? new Uint8Array(0)),
    };
  }
  if (wire.appendReply) return { kind: "appendReply", term, reply: appendReply(wire.appendReply) };
  if (wire.heartbeat) {
    const { commitIndex, readRound } = wire.heartbeat;
    return { kind: "heartbeat", term, commit: indexOf(commitIndex), round: whole(readRound) };
  }
  if (wire.heartbeatAck) {
    return { kind: "heartbeatReply", term, round: whole(wire.heartbeatAck.readRound) };
  }
  if (wire.voteRequest) {
    const { pre, lastIndex, lastTerm, transfer } = wire.voteRequest;
    return {
      kind: "vote",
      term,
      pre: pre ?? false,
      lastIndex: indexOf(lastIndex),
      lastTerm: termOf(lastTerm),
      transfer: transfer ?? false,
    };
  }
  if (wire.voteReply) {
    const { pre, granted } = wire.voteReply;
    return { kind: "voteReply", term, pre: pre ?? false, granted: granted ?? false };
  }
  if (wire.snapshotReply) {
    return { kind: "snapshotReply", term, index: indexOf(wire.snapshotReply.index) };
  }
  if (wire.timeoutNow) return { kind: "timeoutNow", term };
  if (wire.readIndex) return { kind: "readIndex", term, id: whole(wire.readIndex.id) };
  if (wire.readIndexReply) return readIndexReply(term, wire.readIndexReply);
  throw malformed("the message has no kind");
}

/** Who sends a snapshot to whom. */
export interface SnapshotRoute {
  readonly clusterId: string;
  readonly from: NodeId;
  readonly to: NodeId;
  /** Of the sender. */
  readonly store: string;
}

export function encodeOffer(
  offer: SnapshotOffer,
  route: SnapshotRoute,
  offset: number,
): WireHeader {
  const { meta } = offer;
  return {
    ...route,
    offset,
    term: offer.term,
    lastIndex: meta.index,
    lastTerm: meta.term,
    sizeBytes: offer.sizeBytes,
    crc32c: offer.crc32c,
    membership: encodeMembership(meta.membership),
  };
}

/** Where the pieces behind this header begin. @throws PROTOCOL */
export function decodeOffset(header: WireHeader): number {
  return whole(header.offset);
}

/** @throws PROTOCOL */
export function decodeOffer(header: WireHeader): SnapshotOffer {
  return {
    term: termOf(header.term),
    meta: {
      index: indexOf(header.lastIndex),
      term: termOf(header.lastTerm),
      membership: parsed("membership", () => decodeMembership(header.membership ?? NO_BYTES)),
    },
    sizeBytes: whole(header.sizeBytes),
    crc32c: whole(header.crc32c),
  };
}

const NO_BYTES = new Uint8Array(0);

function encodeAppendReply(reply: AppendReply): lumeo.master.v1.IAppendReply {
  if (reply.kind === "matched") return { matched: true, index: reply.last };
  return {
    matched: false,
    index: reply.retryFrom,
    conflictTerm: reply.retryTerm,
    refusedPreviousIndex: reply.refused,
  };
}

function appendReply(wire: lumeo.master.v1.IAppendReply): AppendReply {
  if (wire.matched) return { kind: "matched", last: indexOf(wire.index) };
  return {
    kind: "conflict",
    refused: indexOf(wire.refusedPreviousIndex),
    retryFrom: indexOf(wire.index),
    retryTerm: termOf(wire.conflictTerm),
  };
}

function readIndexReply(term: Term, wire: lumeo.master.v1.IReadIndexReply): RaftMessage {
  const index = wire.refused ? undefined : indexOf(wire.index);
  return { kind: "readIndexReply", term, id: whole(wire.id), index };
}

/** Entries that follow each other and the one before them, as in a log. */
function entriesBehind(previous: LogIndex, previousTerm: Term, bytes: Uint8Array): Entry[] {
  const entries = parsed("entries", () => decodeEntries(bytes));
  let [index, lastTerm]: [number, number] = [previous, previousTerm];
  for (const entry of entries) {
    if (entry.index !== index + 1 || entry.term < lastTerm) {
      throw malformed(`entry ${entry.index} of term ${entry.term} follows ${index} of ${lastTerm}`);
    }
    [index, lastTerm] = [entry.index, entry.term];
  }
  return entries;
}

function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LumeoError("PROTOCOL", `Cannot use a message of Raft: ${what}: ${why}`, { cause });
  }
}

function indexOf(value: number | null | undefined): LogIndex {
  return logIndex(whole(value));
}

function termOf(value: number | null | undefined): Term {
  return term(whole(value));
}

function whole(value: number | null | undefined): number {
  const number = value ?? 0;
  if (!Number.isSafeInteger(number) || number < 0) throw malformed(`${number} is out of range`);
  return number;
}

function malformed(why: string): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot use a message of Raft: ${why}`);
}
