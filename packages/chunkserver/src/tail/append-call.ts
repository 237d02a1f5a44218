import type { Position, WriteId } from "../replication/append-record.js";

/** A record for the chunk. */
export interface AppendCall {
  readonly write: WriteId;
  readonly crc32c: number;
  /** Checked against `crc32c`; unchanged from now on. */
  readonly bytes: Uint8Array;
}

export interface AppendPlace {
  readonly position: Position;
  readonly offset: number;
}
