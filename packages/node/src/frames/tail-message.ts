// Frames about chunks that are appended to (docs/formats/data-plane.md, "Appending").

import type { ChunkHandle, Epoch, ServerId, SessionId } from "@lumeofs/base";
import type { BlockCrcs, ChainLink, WithToken } from "./message.js";

/** From a client to any member: have this record, once. */
export interface Append extends WithToken {
  readonly type: "append";
  readonly handle: ChunkHandle;
  /** What makes it the same write when it is sent again. */
  readonly session: SessionId;
  readonly writeSeq: number;
  /** A server has passed it on: it is not passed on once more. */
  readonly isForwarded: boolean;
  readonly length: number;
  /** Of the record. */
  readonly crc32c: number;
  readonly crcs: BlockCrcs;
}

export interface Appended {
  readonly type: "appended";
  readonly epoch: Epoch;
  readonly seq: number;
  /** Where the record begins in the chunk. */
  readonly offset: number;
  /** Where the next one goes straight. */
  readonly primary: ChainLink;
}

/** Asks for the records that a range of the committed bytes touches. */
export interface TailRead extends WithToken {
  readonly type: "tailRead";
  readonly handle: ChunkHandle;
  readonly offset: number;
  /** 0 asks for the committed length alone. */
  readonly length: number;
  /** The position that the reader has seen, for a read at any member; absent: at the primary. */
  readonly seen?: { readonly epoch: number; readonly seq: number };
}

/** Whole records, one behind the other. */
export interface TailData {
  readonly type: "tailData";
  /** Where the first of them begins in the chunk. */
  readonly offset: number;
  /** Length and CRC32C of each record, four bytes each, little-endian. */
  readonly lengths: Uint8Array;
  readonly recordCrcs: Uint8Array;
}

export interface TailEnd {
  readonly type: "tailEnd";
  /** Committed bytes of the chunk when the read began. */
  readonly length: number;
  /** Position of the last committed record; 0 and 0 if there is none. */
  readonly epoch: number;
  readonly seq: number;
}

/** Whether a write stands in a chunk. */
export interface AppendLookup extends WithToken {
  readonly type: "appendLookup";
  readonly handle: ChunkHandle;
  readonly session: SessionId;
  readonly writeSeq: number;
}

export interface AppendFound {
  readonly type: "appendFound";
  /** `absent` is for ever: the chunk is sealed without it. */
  readonly outcome: "written" | "absent";
  /** Of `written`: where the record begins in the chunk, and its length. */
  readonly offset: number;
  readonly length: number;
}

/** From a primary to a replica; what it says is in the payload. */
export interface TailMessage extends WithToken {
  readonly type: "tailMessage";
  readonly handle: ChunkHandle;
  /** Who sends it, so that appends can be passed on to there. */
  readonly primary: ChainLink;
  /** Of the payload without the bytes of records, which have checksums of their own in there. */
  readonly headCrc32c: number;
}

export interface TailReply {
  readonly type: "tailReply";
  readonly server: ServerId;
  /** As in TailMessage. */
  readonly headCrc32c: number;
}

export type TailOpening = Append | TailRead | AppendLookup | TailMessage;
export type TailAnswer = Appended | TailData | TailEnd | AppendFound | TailReply;
