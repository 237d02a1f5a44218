// The replica of another server, read over the data plane as any reader would: piece by piece, each
// a request of its own, so that whoever reads may pause between two pieces as long as it likes.
//
// Every block of a piece is checked against the checksum that the other server's disk has for it,
// and every piece says of which record it is.

import {
  BLOCK_BYTES,
  type Cancellation,
  type ChunkHandle,
  type Crc32c,
  type Epoch,
  type ErrorCode,
  LumeoError,
  MiB,
  type ServerId,
  type Timers,
} from "@lumeofs/base";
import {
  crcOfBlocks,
  type Exchange,
  type FramePool,
  firstBadBlock,
  type ReadEnd,
} from "@lumeofs/node/frames";
import type { ChunkVersion } from "../mutation/version.js";

/** One request, one frame of payload. */
export const PIECE_BYTES = 1 * MiB;
/** What a piece may take: the other server may be stopped, and its connection stay open. */
const PIECE_TIMEOUT_MS = 15_000;
/** Keeps these reads on connections of their own; writes use the small numbers. */
const LANE = 100;

/** Errors that speak of the replica, not of its server or the way to it. */
const BAD_REPLICA: ReadonlySet<ErrorCode> = new Set([
  "CHECKSUM",
  "CORRUPT",
  "REPLICA_MISSING",
  "STALE_EPOCH",
]);

/** What a sealed chunk is, as the masters have it. */
export interface SealedChunk {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly length: number;
  readonly crc32c: number;
  /** Of the masters, for whoever has a replica; undefined where nobody asks for one. */
  readonly token?: Uint8Array | undefined;
}

/** A server that has, or should have, a replica. */
export interface Holder {
  readonly server: ServerId;
  /** host:port of its data plane. */
  readonly address: string;
}

/** Some whole blocks of a replica. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** One for each block. */
  readonly crcs: Uint8Array;
  /** Of `bytes`. */
  readonly crc32c: number;
  /** Of the replica's record. */
  readonly version: ChunkVersion;
}

export interface SourcePorts {
  readonly pool: FramePool;
  readonly crc32c: Crc32c;
  readonly timers: Timers;
}

/** Where a piece is. */
export interface PlaceOfPiece {
  readonly holder: Holder;
  readonly chunk: SealedChunk;
  readonly offset: number;
  /**
   * Takes the bytes, at most PIECE_BYTES of them, and is as long as the piece is to be; default:
   * fresh memory for as much as there is.
   */
  readonly into?: Uint8Array;
}

/**
 * Reads the piece at `offset`, a multiple of the block size below the length; or, of an empty
 * chunk, nothing. When it has ended, one way or the other, nothing more is written to `into`.
 *
 * @throws LumeoError CHECKSUM, REPLICA_MISSING, STALE_EPOCH and CORRUPT speak of the replica (see
 *         `isBadReplica`); anything else of its server or the way to it.
 */
export async function readPiece(
  ports: SourcePorts,
  from: PlaceOfPiece,
  signal: Cancellation,
): Promise<Piece> {
  signal.throwIfAborted();
  const { holder, chunk, offset } = from;
  const connection = await ports.pool.shared({ address: holder.address, lane: LANE });
  signal.throwIfAborted();
  const bytes = from.into ?? new Uint8Array(Math.min(PIECE_BYTES, chunk.length - offset));
  const length = bytes.byteLength;
  const { handle, epoch, token } = chunk;
  const shown = token === undefined ? {} : { token };
  const exchange = connection.request({ type: "read", handle, epoch, ...shown, offset, length });
  let endedBy: unknown;
  const end = (reason: unknown): void => {
    endedBy ??= reason;
    exchange.finish();
  };
  const abort = (): void => end(signal.reason);
  const late = ports.timers.after(PIECE_TIMEOUT_MS, () => {
    const seconds = PIECE_TIMEOUT_MS / 1_000;
    end(new LumeoError("TIMEOUT", `"${holder.address}" sent no piece within ${seconds} s`));
  });
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await receivePiece(exchange, { chunk, offset, bytes }, ports.crc32c);
  } catch (error) {
    throw endedBy ?? error;
  } finally {
    late.cancel();
    signal.removeEventListener("abort", abort);
    exchange.finish();
  }
}

/** Whether an error of `readPiece` says that the replica is not what it should be. */
export function isBadReplica(error: unknown): boolean {
  if (!(error instanceof LumeoError)) return false;
  return BAD_REPLICA.has(error.code);
}

async function receivePiece(
  exchange: Exchange,
  asked: { readonly chunk: SealedChunk; readonly offset: number; readonly bytes: Uint8Array },
  crc32c: Crc32c,
): Promise<Piece> {
  const { chunk, offset, bytes } = asked;
  const length = bytes.byteLength;
  const crcs = new Uint8Array(4 * Math.ceil(length / BLOCK_BYTES));
  let filled = 0;
  for (;;) {
    const frame = await exchange.receive();
    try {
      const { message } = frame;
      if (message.type === "readEnd") {
        checkEnd(chunk, message, filled === length);
        const { seq, clock } = message;
        const version = { epoch: chunk.epoch, seq, clock: new Map(clock) };
        return { offset, bytes, crcs, crc32c: crcOfBlocks(crcs, length), version };
      }
      const isNext = message.type === "readData" && message.offset === offset + filled;
      if (!isNext || filled % BLOCK_BYTES !== 0) {
        throw new LumeoError("PROTOCOL", "Cannot copy chunk: frames do not fit");
      }
      if (length < filled + frame.payloadBytes) {
        const what = `longer there than ${chunk.length} bytes`;
        throw new LumeoError("CORRUPT", `Chunk ${chunk.handle} is ${what}`);
      }
      if (firstBadBlock(frame.payload, message.crcs, crc32c) !== undefined) {
        // The other server has checked it before it sent it: it was the way.
        throw new LumeoError("CONNECTION_LOST", "Cannot copy chunk: a block changed on its way");
      }
      crcs.set(message.crcs, 4 * (filled / BLOCK_BYTES));
      for (const part of frame.payload) {
        bytes.set(part, filled);
        filled += part.byteLength;
      }
    } finally {
      frame.release();
    }
  }
}

function checkEnd(chunk: SealedChunk, end: ReadEnd, isWhole: boolean): void {
  if (end.length !== chunk.length || end.crc32c !== chunk.crc32c) {
    const what = `${end.length} bytes with checksum ${hex(end.crc32c)}`;
    const should = `${chunk.length} with ${hex(chunk.crc32c)}`;
    throw new LumeoError("CORRUPT", `Chunk ${chunk.handle} is ${what} there, not ${should}`);
  }
  if (!isWhole) throw new LumeoError("PROTOCOL", "Cannot copy chunk: some blocks did not come");
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
