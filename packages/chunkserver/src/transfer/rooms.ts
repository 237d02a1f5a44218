// How many bytes of payload this process holds at once.
//
// Writes have one budget for each number of replicas that they still have to reach. A write for the
// end of a chain needs nobody but the disk, so its room always comes free again; and by induction
// so does that of every longer chain. With one budget for all, two servers that forward to each
// other could fill it with bytes that wait for each other.

import { Budget, MiB } from "@lumeofs/base";
import { CHAIN_LENGTH_MAX } from "@lumeofs/node/frames";

/** Three budgets are in use with three copies: 48 MiB. */
const WRITE_BYTES_MAX = 16 * MiB;
/** A few clients' windows: what waits longer waits at the clients. */
const APPEND_BYTES_MAX = 12 * MiB;
/** Few go that way, and each only once. */
const FORWARDED_BYTES_MAX = 4 * MiB;
const READ_BYTES_MAX = 32 * MiB;

export class Rooms {
  readonly #writes = Array.from(
    { length: CHAIN_LENGTH_MAX + 1 },
    () => new Budget(WRITE_BYTES_MAX),
  );
  // Growing chunks, for the same reason in three steps: an append at a member needs room at the
  // primary, there it needs room at the members, and what a member is told needs its disk alone.
  readonly appends = new Budget(APPEND_BYTES_MAX);
  readonly forwarded = new Budget(FORWARDED_BYTES_MAX);
  readonly members = new Budget(APPEND_BYTES_MAX);
  /** For blocks that were read and wait for the reader's connection. */
  readonly reads = new Budget(READ_BYTES_MAX);

  /** For payloads of a write with so many replicas still to come. */
  writesWith(chainLength: number): Budget {
    return this.#writes[chainLength] ?? this.reads;
  }
}
