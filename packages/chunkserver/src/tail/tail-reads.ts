// Reads of growing chunks: whole records, and how much is committed.              (rules 15, 16)
//
// At the primary a read begins with what is committed then, and each part is given out only while
// the epoch is active and the lease valid after the part was read. At any member a read of a
// session sees at least what the session has seen.

import { LumeoError, MiB } from "@lumeofs/base";
import type { Exchange, TailRead } from "@lumeofs/node/frames";
import {
  type AppendRecord,
  comparePositions,
  dataBytes,
  type Position,
} from "../replication/append-record.js";
import { serveSession } from "../replication/reads.js";
import type { TailPrimaries } from "./tail-primaries.js";
import type { TailPrimary } from "./tail-primary.js";
import { recordsIn } from "./tail-range.js";
import type { RecordBytes } from "./tail-replica.js";
import type { TailStore } from "./tail-store.js";

/** In one frame: lengths and checksums of the records fit its header. */
const FRAME_BYTES_MAX = 1 * MiB;
const FRAME_RECORDS_MAX = 2_048;

export interface TailReadsPorts {
  readonly tails: TailStore;
  readonly primaries: TailPrimaries;
}

/** What one read gives out. */
interface View {
  readonly records: readonly AppendRecord[];
  readonly position: Position;
  readonly lengthBytes: number;
  readonly offsetOf: (record: AppendRecord) => number;
  readonly load: (records: readonly AppendRecord[]) => Promise<RecordBytes>;
  /** Asked behind every part. */
  readonly isValid: () => boolean;
}

/** Serves one `tailRead`. @throws LumeoError NOT_PRIMARY, SEALED, UNAVAILABLE, CHECKSUM. */
export async function serveTailRead(
  ports: TailReadsPorts,
  message: TailRead,
  exchange: Exchange,
): Promise<void> {
  const view = await beginView(ports, message);
  for (const part of partsOf(view.records)) {
    const bytes = await view.load(part);
    if (!view.isValid()) throw outOfLease(message);
    const [first] = part;
    if (first === undefined) continue;
    const data = part.map(({ seq }) => bytes.get(seq) ?? new Uint8Array());
    await exchange.send(
      {
        type: "tailData",
        offset: view.offsetOf(first),
        lengths: packed(part.map(dataBytes)),
        recordCrcs: packed(
          part.map(({ content }) => (content.kind === "data" ? content.crc32c : 0)),
        ),
      },
      data,
    );
  }
  if (!view.isValid()) throw outOfLease(message);
  const { epoch, seq } = view.position;
  exchange.send({ type: "tailEnd", length: view.lengthBytes, epoch, seq });
}

async function beginView(ports: TailReadsPorts, message: TailRead): Promise<View> {
  const { tails, primaries } = ports;
  const { handle } = message;
  if (tails.find(handle) === undefined && tails.isSealed(handle)) {
    throw new LumeoError("SEALED", `Cannot read the end of chunk ${handle}: it is sealed`);
  }
  const primary = primaries.find(handle);
  const seen = message.seen as Position | undefined;
  if (seen !== undefined) {
    const committed = primary?.beginRead();
    const isFurther = committed !== undefined && comparePositions(seen, committed.position) <= 0;
    // The primary knows first what is committed; its replica hears it with the next records.
    if (primary === undefined || !isFurther) return sessionView(tails, message, seen);
    return { ...primaryView(primary, message), isValid: () => true };
  }
  if (primary?.beginRead() === undefined) {
    throw new LumeoError("NOT_PRIMARY", `Cannot read the end of chunk ${handle}: not here`);
  }
  if (!(await primaries.lease(primary))) throw outOfLease(message);
  return primaryView(primary, message);
}

function primaryView(primary: TailPrimary, message: TailRead): View {
  const committed = primary.beginRead();
  if (committed === undefined) throw outOfLease(message);
  const { position, lengthBytes } = committed;
  const records = primary.recordsIn(message.offset, message.length, committed);
  const first = records[0] === undefined ? 0 : primary.offsetOf(records[0]);
  const offsets = offsetsFrom(records, first);
  return {
    ...{ records, position, lengthBytes },
    offsetOf: (record) => offsets.get(record.seq) ?? 0,
    load: (part) => primary.load(part),
    isValid: () => primary.mayEndRead(committed),
  };
}

/** Rule 16b. */
function sessionView(tails: TailStore, { handle, offset, length }: TailRead, seen: Position): View {
  const replica = tails.find(handle);
  const isHere = replica !== undefined && !replica.isInDoubt;
  const position = isHere ? serveSession(replica.state, seen) : undefined;
  if (replica === undefined || position === undefined) {
    const why = "this member has not come so far";
    throw new LumeoError("UNAVAILABLE", `Cannot read the end of chunk ${handle}: ${why}`);
  }
  const history = replica.state.history.upTo(position.seq);
  return {
    records: recordsIn(history, offset, length),
    position,
    lengthBytes: history.lengthBytes,
    offsetOf: (record) => history.endOf(record.seq - 1),
    load: async (part) => {
      const bytes = new Map<number, Uint8Array>();
      for (const record of part) bytes.set(record.seq, await replica.read(record));
      return bytes;
    },
    isValid: () => true,
  };
}

function offsetsFrom(records: readonly AppendRecord[], first: number): ReadonlyMap<number, number> {
  const offsets = new Map<number, number>();
  let at = first;
  for (const record of records) {
    offsets.set(record.seq, at);
    at += dataBytes(record);
  }
  return offsets;
}

function* partsOf(
  records: readonly AppendRecord[],
): Generator<readonly AppendRecord[], void, void> {
  let part: AppendRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const isFull = FRAME_RECORDS_MAX <= part.length || FRAME_BYTES_MAX < bytes + dataBytes(record);
    if (isFull) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(record);
    bytes += dataBytes(record);
  }
  if (0 < part.length) yield part;
}

function packed(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * numbers.length);
  const view = new DataView(bytes.buffer);
  for (const [i, number] of numbers.entries()) view.setUint32(4 * i, number, true);
  return bytes;
}

function outOfLease({ handle }: TailRead): LumeoError {
  const why = "this server may not serve reads of it now; ask again, or another one";
  return new LumeoError("UNAVAILABLE", `Cannot read the end of chunk ${handle}: ${why}`);
}
