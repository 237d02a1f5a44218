// Small chunks of one grant to all replicas at once, in one frame to each (docs/design/0010).
//
// T1. Done means that every replica has confirmed the length and the checksums that were sent: a
//     store that was wiped has another number, and its copies would be nobody's.
// T2. The first replica that fails ends the waiting for all, and its error names it.
// T3. A write through a server that has stopped is given up soon (FramePool.watch).
// T4. Nothing is asked of a replica whose connection comes when the write has ended: nobody would
//     finish that request.

import { type Crc32c, chunkHandle, epoch, LumeoError, serverId, type Timers } from "@lumeofs/base";
import type { Exchange, FramePool, ReceivedFrame, WriteMany } from "@lumeofs/node/frames";
import type { HandleRow, Replica } from "../grant-book.js";

/** What is sent, and what every replica must confirm. */
interface Sent {
  readonly length: number;
  /** Of the row of checksums. */
  readonly crc32c: number;
}

export interface JointWritePorts {
  readonly frames: FramePool;
  readonly crc32c: Crc32c;
  readonly timers: Timers;
  /** The connections that these writes have to themselves. */
  readonly lane: number;
}

/**
 * Writes chunks, each of at least 1 byte and at most a block, under the handles of a row.
 *
 * @returns The checksum of each.
 * @throws  LumeoError as a replica refused (T2), or TIMEOUT.
 */
export async function writeTogether(
  ports: JointWritePorts,
  row: HandleRow,
  chunks: readonly Uint8Array[],
  timeoutMs: number,
): Promise<readonly number[]> {
  const { frames, crc32c, timers, lane } = ports;
  const sums = chunks.map((bytes) => crc32c(bytes));
  const payload = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  const crcs = packed(sums);
  const message: WriteMany = {
    type: "writeMany",
    handle: chunkHandle(row.handle),
    epoch: epoch(row.epoch),
    ...(row.token === undefined ? {} : { token: row.token }),
    primary: serverId((row.replicas[0] as Replica).server),
    lengths: packed(chunks.map(({ byteLength }) => byteLength)),
    crcs,
  };
  const sent = { length: payload.byteLength, crc32c: crc32c(crcs) };
  const exchanges: Exchange[] = [];
  let endedBy: LumeoError | undefined;
  const giveUp = (reason: LumeoError): void => {
    endedBy ??= reason;
    for (const exchange of exchanges) exchange.fail(reason);
  };
  const late = timers.after(timeoutMs, () => {
    const what = `No answer from the chunkservers of a write within ${timeoutMs} ms`;
    giveUp(new LumeoError("TIMEOUT", what));
  });
  const unwatch = frames.watch({ servers: row.replicas, progress: () => 0, giveUp });
  const storeAt = async (replica: Replica): Promise<void> => {
    try {
      const connection = await frames.shared({ address: replica.address, lane });
      if (endedBy !== undefined) throw endedBy; // T4
      const exchange = connection.request(message, [payload]);
      exchanges.push(exchange);
      confirm(await exchange.receive(), sent, replica);
    } catch (error) {
      throw named(error, replica);
    }
  };
  try {
    await Promise.all(row.replicas.map(storeAt));
    return sums;
  } finally {
    endedBy ??= new LumeoError("ABORTED", "The write has ended without this replica");
    late.cancel();
    unwatch();
    for (const exchange of exchanges) exchange.finish();
  }
}

/** T1. */
function confirm(frame: ReceivedFrame, sent: Sent, { server, name }: Replica): void {
  frame.release();
  const { message } = frame;
  if (message.type !== "writeDone") {
    throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" is no answer here`);
  }
  if (message.length !== sent.length || message.crc32c !== sent.crc32c) {
    const what = `it confirmed ${message.length} bytes, not the ${sent.length} that were sent`;
    throw new LumeoError("CHECKSUM", `Chunks on "${name}" are not what was written: ${what}`);
  }
  if (message.servers.includes(server)) return;
  const why = "another store is at the address now";
  throw new LumeoError("CONFLICT", `Chunks were not stored by "${name}": ${why}`);
}

/** T2: an error that names no server is about the one that was asked. */
function named(error: unknown, { server }: Replica): unknown {
  if (!(error instanceof LumeoError) || 0 < (error.details.servers?.length ?? 0)) return error;
  return new LumeoError(error.code, error.message, { ...error.details, servers: [server] });
}

/** Four bytes for each, little-endian. */
function packed(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * numbers.length);
  const view = new DataView(bytes.buffer);
  for (const [i, n] of numbers.entries()) view.setUint32(4 * i, n, true);
  return bytes;
}
