// Small chunks that came in one frame: each is checked and stored like any other, all of them in
// one write of the log, and one answer says that all are durable. Nothing is passed on: the writer
// sends the same frame to every replica itself (docs/design/0010).
//
// M1. The answer is sent only when every chunk of the frame is durable here.
// M2. One chunk that fails makes the frame fail. Those that were stored stay, under handles that
//     nobody commits, until the masters call them garbage.

import { type ChunkHandle, type Crc32c, chunkHandle, type ServerId } from "@lumeofs/base";
import type { Exchange, ReceivedFrame, WriteMany } from "@lumeofs/node/frames";
import type { ChunkContent } from "../store/chunk-store.js";
import { blamed } from "./next-hop.js";
import { damagedOnTheWay, type WriteContext } from "./write-service.js";

/** Serves one `writeMany`. @throws LumeoError that names this server. */
export async function writeMany(
  { store, crc32c, self }: Pick<WriteContext, "store" | "crc32c" | "self">,
  first: ReceivedFrame,
  message: WriteMany,
  exchange: Exchange,
): Promise<void> {
  const { epoch, primary: author, crcs } = message;
  const chunks = checkedChunks(message, first.payload, { crc32c, self: self() });
  const storing = chunks.map(({ handle, content, bytes }) => {
    return store.putSmall({ handle, epoch, author }, content, [bytes]);
  });
  // All of them, because the payload is given back after this.
  for (const end of await Promise.allSettled(storing)) {
    if (end.status === "rejected") throw blamed(end.reason, self());
  }
  const { payloadBytes: length } = first;
  exchange.send({ type: "writeDone", length, crc32c: crc32c(crcs), servers: [self()] });
}

interface Arrived {
  readonly handle: ChunkHandle;
  readonly content: ChunkContent;
  readonly bytes: Uint8Array;
}

/** The chunks of a frame. @throws LumeoError CHECKSUM if one is not what was sent. */
function checkedChunks(
  { handle: firstHandle, lengths, crcs }: WriteMany,
  payload: readonly Uint8Array[],
  { crc32c, self }: { readonly crc32c: Crc32c; readonly self: ServerId },
): readonly Arrived[] {
  const lengthAt = numbersOf(lengths);
  const crcAt = numbersOf(crcs);
  const all = payload[0] ?? new Uint8Array();
  const chunks: Arrived[] = [];
  let at = 0;
  for (let i = 0; i < lengths.byteLength / 4; i++) {
    const handle = chunkHandle(firstHandle + i);
    const length = lengthAt(i);
    const bytes = all.subarray(at, at + length);
    at += length;
    const sum = crcAt(i);
    if (crc32c(bytes) !== sum) throw damagedOnTheWay(self, `chunk ${handle}`);
    const content = { length, crc32c: sum, crcs: crcs.subarray(4 * i, 4 * i + 4) };
    chunks.push({ handle, content, bytes });
  }
  return chunks;
}

function numbersOf(bytes: Uint8Array): (index: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (index) => view.getUint32(4 * index, true);
}
