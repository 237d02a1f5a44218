// What a log of raft writes into its write-ahead log, one change a group: docs/formats/raft-log.md.
//
// A group is one or more records of the write-ahead log: the first byte of each says whether it is
// the group's first and last. A group counts once its last record is there.

import { ByteReader, ByteWriter, LumeoError, nodeId, RECORD_BODY_BYTES_MAX } from "@lumeofs/base";
import { type Entry, type HardState, type LogIndex, logIndex, term } from "../raft/entry.js";
import { decodeEntries, encodeEntries } from "./entry-codec.js";
import { decodeHead, encodeHead, type LogHead } from "./log-records.js";

/** One change of the log. */
export type LogChange =
  | {
      readonly kind: "write";
      readonly hardState: HardState;
      readonly truncateFrom: LogIndex | undefined;
      readonly entries: readonly Entry[];
    }
  /** The log begins here; all entries before are forgotten. */
  | { readonly kind: "begin"; readonly hardState: HardState; readonly head: LogHead }
  /** The log begins here; entries behind stay. */
  | { readonly kind: "compact"; readonly hardState: HardState; readonly head: LogHead }
  /** The store was closed: proves that everything before was durable. */
  | { readonly kind: "seal"; readonly hardState: HardState };

const KIND = { write: 1, begin: 2, compact: 3, seal: 4 } as const;
const PART = { first: 0x01, last: 0x02 } as const;
const PART_BYTES_MAX = RECORD_BODY_BYTES_MAX - 1;

/**
 * The bodies of the records that carry a change, each as parts one behind the other. Entries are
 * not copied: their bytes are those that are sent to peers, or came from one.
 */
export function encodeChange(change: LogChange): readonly (readonly Uint8Array[])[] {
  const rest = change.kind === "write" ? encodeWrite(change) : [encodeOther(change)];
  const bodies: (readonly Uint8Array[])[] = [];
  while (0 < rest.length) {
    const body = takeFront(rest, PART_BYTES_MAX);
    const flags = (bodies.length === 0 ? PART.first : 0) | (rest.length === 0 ? PART.last : 0);
    bodies.push([Uint8Array.of(flags), ...body]);
  }
  return bodies;
}

/** Removes at most so many bytes from the front of parts; the last one taken may be cut in two. */
function takeFront(parts: Uint8Array[], bytesMax: number): readonly Uint8Array[] {
  const taken: Uint8Array[] = [];
  let room = bytesMax;
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    if (room < part.byteLength) {
      parts.unshift(part.subarray(room));
      taken.push(part.subarray(0, room));
      return taken;
    }
    taken.push(part);
    room -= part.byteLength;
  }
  return taken;
}

/** Puts the records of a group together again. */
export class GroupReader {
  #parts: Uint8Array[] = [];

  /** Whether a record is the first of its group. */
  static begins(body: Uint8Array): boolean {
    return ((body[0] ?? 0) & PART.first) !== 0;
  }

  /**
   * Takes the body of the next record, which the caller must not change afterwards.
   *
   * @returns The change, at the end of its group. A group that was begun and never ended is dropped
   *          when the next begins: it was never acknowledged.
   * @throws  LumeoError CORRUPT
   */
  take(body: Uint8Array): LogChange | undefined {
    const flags = body[0] ?? 0;
    if (GroupReader.begins(body)) this.#parts = [];
    else if (this.#parts.length === 0) throw corrupt("a group of records has no beginning");
    this.#parts.push(body.subarray(1));
    if ((flags & PART.last) === 0) return undefined;
    const [only] = this.#parts;
    const whole = this.#parts.length === 1 && only !== undefined ? only : join(this.#parts);
    this.#parts = [];
    return decodeChange(whole);
  }
}

function encodeWrite(change: Extract<LogChange, { kind: "write" }>): Uint8Array[] {
  const front = writeFront("write", change.hardState).u53(change.truncateFrom ?? 0);
  return [front.finish(), encodeEntries(change.entries)];
}

function encodeOther(change: Exclude<LogChange, { kind: "write" }>): Uint8Array {
  const writer = writeFront(change.kind, change.hardState);
  if (change.kind !== "seal") writer.sized(encodeHead(change.head));
  return writer.finish();
}

function writeFront(kind: LogChange["kind"], { term, votedFor }: HardState): ByteWriter {
  return new ByteWriter()
    .u8(KIND[kind])
    .u53(term)
    .text(votedFor ?? "");
}

function decodeChange(bytes: Uint8Array): LogChange {
  const reader = new ByteReader(bytes);
  const kind = reader.u8();
  const currentTerm = term(reader.u53());
  const voted = new TextDecoder().decode(reader.sized());
  const votedFor = voted === "" ? undefined : nodeId(voted);
  const hardState = { term: currentTerm, votedFor };
  switch (kind) {
    case KIND.write: {
      const cut = reader.u53();
      const truncateFrom = cut === 0 ? undefined : logIndex(cut);
      const entries = decodeEntries(reader.bytes(reader.remaining));
      return { kind: "write", hardState, truncateFrom, entries };
    }
    case KIND.begin:
    case KIND.compact: {
      const head = decodeHead(reader.sized());
      return { kind: kind === KIND.begin ? "begin" : "compact", hardState, head };
    }
    case KIND.seal:
      return { kind: "seal", hardState };
    default:
      throw corrupt(`a change is of unknown kind ${kind}`);
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

function corrupt(why: string): LumeoError {
  return new LumeoError("CORRUPT", why);
}
