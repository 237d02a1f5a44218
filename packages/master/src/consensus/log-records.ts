// The two records of a log database that are no entries, and the keys: docs/formats/raft-log.md.

import { ByteReader, ByteWriter, LumeoError, type NodeId, nodeId } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import {
  type HardState,
  type LogIndex,
  logIndex,
  type SnapshotMeta,
  type Term,
  term,
} from "../raft/entry.js";
import { decodeMembership, encodeMembership } from "../raft/membership-codec.js";
import type { LogBase } from "./log-history.js";

const HEAD_VERSION = 2;
const TAIL_VERSION = 1;
const ENTRY_PREFIX = 0x65; // "e"

export const HEAD_KEY = new Uint8Array([0x68]); // "h"
export const TAIL_KEY = new Uint8Array([0x74]); // "t"

/** Where the log begins. */
export interface LogHead {
  readonly node: NodeId;
  /** Drawn when the log was made, and never again. */
  readonly store: string;
  readonly base: LogBase;
  readonly baseChain: number;
  readonly snapshot: SnapshotMeta;
}

/** Where the log ends, and the hard state. */
export interface LogTail {
  readonly last: LogIndex;
  readonly lastTerm: Term;
  readonly chain: number;
  readonly hardState: HardState;
}

/** Keys sort as indexes do. */
export function entryKey(index: number): Uint8Array {
  const key = new Uint8Array(9);
  const view = new DataView(key.buffer);
  view.setUint8(0, ENTRY_PREFIX);
  view.setUint32(1, Math.floor(index / 2 ** 32), false);
  view.setUint32(5, index % 2 ** 32, false);
  return key;
}

export function indexOfKey(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return view.getUint32(1, false) * 2 ** 32 + view.getUint32(5, false);
}

/** All entry keys lie in here. */
export const ENTRY_KEYS = { from: entryKey(0), to: new Uint8Array([ENTRY_PREFIX + 1]) } as const;

export function encodeHead(head: LogHead): Uint8Array {
  const { base, snapshot } = head;
  const writer = new ByteWriter()
    .u16(HEAD_VERSION)
    .sized(new TextEncoder().encode(head.node))
    .sized(new TextEncoder().encode(head.store))
    .u53(base.index)
    .u53(base.term)
    .u32(head.baseChain)
    .sized(encodeMembership(base.membership))
    .u53(snapshot.index)
    .u53(snapshot.term)
    .sized(encodeMembership(snapshot.membership));
  return sealed(writer);
}

/** @throws CORRUPT */
export function decodeHead(bytes: Uint8Array): LogHead {
  const reader = opened(bytes, "head", HEAD_VERSION);
  const node = nodeId(new TextDecoder().decode(reader.sized()));
  const store = new TextDecoder().decode(reader.sized());
  const baseIndex = logIndex(reader.u53());
  const baseTerm = term(reader.u53());
  const baseChain = reader.u32();
  const membership = decodeMembership(reader.sized());
  const snapshot = {
    index: logIndex(reader.u53()),
    term: term(reader.u53()),
    membership: decodeMembership(reader.sized()),
  };
  const base = { index: baseIndex, term: baseTerm, membership };
  return { node, store, base, baseChain, snapshot };
}

export function encodeTail(tail: LogTail): Uint8Array {
  const { hardState } = tail;
  const writer = new ByteWriter()
    .u16(TAIL_VERSION)
    .u53(tail.last)
    .u53(tail.lastTerm)
    .u32(tail.chain)
    .u53(hardState.term)
    .sized(new TextEncoder().encode(hardState.votedFor ?? ""));
  return sealed(writer);
}

/** @throws CORRUPT */
export function decodeTail(bytes: Uint8Array): LogTail {
  const reader = opened(bytes, "tail", TAIL_VERSION);
  const last = logIndex(reader.u53());
  const lastTerm = term(reader.u53());
  const chain = reader.u32();
  const currentTerm = term(reader.u53());
  const voted = new TextDecoder().decode(reader.sized());
  const votedFor = voted === "" ? undefined : nodeId(voted);
  return { last, lastTerm, chain, hardState: { term: currentTerm, votedFor } };
}

function sealed(writer: ByteWriter): Uint8Array {
  return writer.u32(nativeCrc32c(writer.finish())).finish().slice();
}

/** A reader behind the version of a record whose CRC is right. */
function opened(bytes: Uint8Array, name: string, known: number): ByteReader {
  const end = bytes.byteLength - 4;
  if (end < 0) throw new LumeoError("CORRUPT", `Cannot read ${name} record: it is too short`);
  const reader = new ByteReader(bytes.subarray(0, end));
  if (new ByteReader(bytes.subarray(end)).u32() !== nativeCrc32c(bytes.subarray(0, end))) {
    throw new LumeoError("CORRUPT", `Cannot read ${name} record: CRC32C does not match`);
  }
  const version = reader.u16();
  if (version !== known) {
    const state = `version is ${version}, known is ${known}`;
    throw new LumeoError("CORRUPT", `Cannot read ${name} record: ${state}; another release of it`);
  }
  return reader;
}
