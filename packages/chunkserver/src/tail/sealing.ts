// A sealed chunk leaves the log of tails and becomes an ordinary chunk of the store: one record or
// file with the checksum of every block, under the epoch, number and clock of its seal. So the
// copies of all members are the same record of one history.

import { BLOCK_BYTES, type Crc32c, invariant, MiB, SMALL_CHUNK_BYTES_MAX } from "@lumeofs/base";
import { blockCrcs, crcOfBlocks } from "@lumeofs/node/frames";
import type { Position } from "../replication/append-record.js";
import type { History } from "../replication/history.js";
import type { ChunkStore, CopiedChunk } from "../store/chunk-store.js";
import type { TailReplica } from "./tail-replica.js";

/** What is read, checked and written at once: a multiple of the block size. */
const PART_BYTES = 1 * MiB;

export interface SealingPorts {
  readonly store: ChunkStore;
  readonly crc32c: Crc32c;
}

/**
 * Keeps what lies before this seal, which the replica has, as a sealed chunk. Durable when it
 * resolves; once more is harmless. A chunk without bytes leaves nothing.
 *
 * @throws LumeoError CHECKSUM if a record is damaged; NO_SPACE, STORE_FAILED, CLOSED.
 */
export async function keepSealed(
  replica: TailReplica,
  seal: Position,
  { store, crc32c }: SealingPorts,
): Promise<void> {
  const { handle } = replica;
  const history = replica.state.history.upTo(seal.seq);
  const record = history.at(seal.seq);
  invariant(record?.content.kind === "seal", "the seal stands where it is said to", { ...seal });
  const { lengthBytes: length, crc32c: expected } = record.content;
  const known = store.find(handle);
  if (length === 0 || (known?.version.epoch === record.epoch && !known.isDamaged)) return;
  const { epoch, seq, clock } = record;
  const chunk: CopiedChunk = { handle, version: { epoch, seq, clock } };
  const check = (crcs: Uint8Array): Uint8Array => {
    const found = crcOfBlocks(crcs, length);
    invariant(found === expected, "the seal has the checksum of its records", { found, expected });
    return crcs;
  };
  if (length <= SMALL_CHUNK_BYTES_MAX) {
    const pieces: Uint8Array[] = [];
    for await (const part of partsOf(replica, history)) pieces.push(part);
    const crcs = check(blockCrcs(pieces, crc32c));
    return store.putSmall(chunk, { length, crc32c: expected, crcs }, pieces);
  }
  const write = await store.beginLarge(chunk);
  try {
    const crcs = new Uint8Array(4 * Math.ceil(length / BLOCK_BYTES));
    let at = 0;
    for await (const part of partsOf(replica, history)) {
      crcs.set(blockCrcs([part], crc32c), 4 * (at / BLOCK_BYTES));
      at += part.byteLength;
      await write.write([part]);
    }
    await write.finish({ length, crc32c: expected, crcs: check(crcs) });
  } finally {
    await write.abort();
  }
}

/** The data of all records in parts of one size, but for the last one. */
async function* partsOf(
  replica: TailReplica,
  history: History,
): AsyncGenerator<Uint8Array, void, void> {
  let part = new Uint8Array(Math.min(PART_BYTES, history.lengthBytes));
  let filled = 0;
  let left = history.lengthBytes;
  for (let seq = 1; seq <= history.lastSeq; seq++) {
    const record = history.at(seq);
    if (record?.content.kind !== "data") continue;
    const bytes = await replica.read(record);
    for (let from = 0; from < bytes.byteLength; ) {
      const piece = bytes.subarray(from, from + part.byteLength - filled);
      part.set(piece, filled);
      filled += piece.byteLength;
      from += piece.byteLength;
      if (filled < part.byteLength) continue;
      yield part;
      left -= filled;
      part = new Uint8Array(Math.min(PART_BYTES, left));
      filled = 0;
    }
  }
}
