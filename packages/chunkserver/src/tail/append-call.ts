import type { Position, WriteId } from "../replication/append-record.js";

/** A record for the chunk. */
export interface AppendCall {
  readonly write: WriteId;
  readonly crc32c: number;
  /** Checked against `crc32c`; unchanged until the answer, and as long as somebody keeps them. */
  readonly bytes: Uint8Array;
  /** Keeps the bytes beyond the answer. @returns Ends that, to be called once. */
  readonly retain: () => () => void;
}

export interface AppendPlace {
  readonly position: Position;
  readonly offset: number;
}
