// A sealed chunk leaves the log of tails and becomes an ordinary chunk of the store: one record or
// file with the checksum of every block, under the epoch, number and clock of its seal. So the
// copies of all members are the same record of one history.

import { invariant, SMALL_CHUNK_BYTES_MAX } from "@lumeofs/base";
import { blockCrcs } from "@lumeofs/node/frames";
import type { Position } from "../replication/append-record.js";
import type { ChunkStore } from "../store/chunk-store.js";
import { chunkOf, contentOf, SealedCopy, type SealedCopyPorts } from "./sealed-copy.js";
import type { TailReplica } from "./tail-replica.js";

/**
 * Keeps what lies before this seal, which the replica has, as a sealed chunk. Durable when it
 * resolves; once more is harmless. A chunk without bytes leaves nothing.
 *
 * @param ahead  What was written ahead of it; it is over then.
 * @throws LumeoError CHECKSUM if a record is damaged; NO_SPACE, STORE_FAILED, CLOSED.
 */
export async function keepSealed(
  replica: TailReplica,
  seal: Position,
  ports: SealedCopyPorts & { readonly store: ChunkStore },
  ahead?: SealedCopy,
): Promise<void> {
  const { store, crc32c } = ports;
  const history = replica.state.history.upTo(seal.seq);
  const record = history.at(seal.seq);
  invariant(record?.content.kind === "seal", "the seal stands where it is said to", { ...seal });
  const { lengthBytes: length } = record.content;
  const known = store.find(replica.handle);
  const isKept = known?.version.epoch === record.epoch && !known.isDamaged;
  if (length === 0 || isKept) return ahead?.abort();
  if (SMALL_CHUNK_BYTES_MAX < length) {
    const copy = ahead ?? new SealedCopy(replica, ports);
    try {
      await copy.finish(record);
    } finally {
      await copy.abort();
    }
    return;
  }
  await ahead?.abort();
  const pieces: Uint8Array[] = [];
  for (const one of history.slice(1, history.lastSeq)) pieces.push(await replica.read(one));
  const content = contentOf(record, blockCrcs(pieces, crc32c));
  await store.putSmall(chunkOf(replica, record), content, pieces);
}
