// The data of a chunk of other servers, in its order, however the chunk is kept.
//
// D1. Every block was checked where it came from (readPiece); the whole is the caller's to check.
// D2. A copy that fails is followed by the next one at the byte where it failed; a unit that fails
//     is rebuilt from others from there on.

import {
  BLOCK_BYTES,
  type Cancellation,
  type Code,
  cellLength,
  LumeoError,
  type Stripe,
  stripeCount,
  stripeOf,
  unitCount,
} from "@lumeofs/base";
import type { SourceFault } from "../transfer/replica-copy.js";
import {
  type Holder,
  isBadReplica,
  PIECE_BYTES,
  readPiece,
  type SealedChunk,
} from "../transfer/replica-source.js";
import { type ArenaPool, cellBytesFor } from "./arena-pool.js";
import { type CodedSource, type UnitPorts, UnitReader } from "./unit-reader.js";

/** A chunk to read: `code` and the units are those of a coded one. */
export type DataSource =
  | {
      readonly kind: "copies";
      readonly chunk: SealedChunk;
      /** Asked in this order. */
      readonly holders: readonly Holder[];
    }
  | {
      readonly kind: "units";
      readonly chunk: SealedChunk;
      readonly code: Code;
      readonly coded: CodedSource;
    };

export interface DataPorts extends UnitPorts {
  readonly arenas: ArenaPool;
}

/** What was read, and what went wrong on the way. */
export interface DataEnd {
  readonly isWhole: boolean;
  readonly faults: readonly SourceFault[];
}

export interface DataLimits {
  /** 0 for no limit. */
  readonly bytesPerSecondMax: number;
  readonly signal: Cancellation;
}

/**
 * Gives the data of a chunk to `take`, piece by piece. A piece may change when `take` has resolved.
 *
 * @throws As `take`; TwoHistories as UnitReader; the signal's reason.
 */
export function readData(
  ports: DataPorts,
  source: DataSource,
  limits: DataLimits,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<DataEnd> {
  return source.kind === "copies"
    ? readCopies(ports, source, limits, take)
    : readUnits(ports, source, limits, take);
}

async function readCopies(
  ports: DataPorts,
  { chunk, holders }: Extract<DataSource, { kind: "copies" }>,
  { bytesPerSecondMax, signal }: DataLimits,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<DataEnd> {
  const faults: SourceFault[] = [];
  let offset = 0;
  for (const holder of holders) {
    try {
      while (offset < chunk.length) {
        const bytes = Math.min(PIECE_BYTES, chunk.length - offset);
        await ports.throttle.take(bytes, bytesPerSecondMax, signal);
        const piece = await pieceOf(() => readPiece(ports, { holder, chunk, offset }, signal));
        if (piece instanceof SourceFailure) throw piece;
        await take(piece.bytes);
        offset += bytes;
      }
      return { isWhole: true, faults };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SourceFailure)) throw error;
      const { isBad, message: why } = error;
      faults.push({ server: holder.server, isBad, why });
    }
  }
  return { isWhole: false, faults };
}

/** Tells what a source did not give from what a target did not take. */
class SourceFailure extends Error {
  constructor(
    message: string,
    readonly isBad: boolean,
  ) {
    super(message);
  }
}

async function pieceOf<T>(read: () => Promise<T>): Promise<T | SourceFailure> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof LumeoError)) throw error;
    return new SourceFailure(error.message, isBadReplica(error));
  }
}

async function readUnits(
  ports: DataPorts,
  { chunk, code, coded }: Extract<DataSource, { kind: "units" }>,
  { signal }: DataLimits,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<DataEnd> {
  const lease = await ports.arenas.take(unitCount(code), signal);
  const reader = new UnitReader(ports, coded, lease.arena);
  try {
    for (let number = 0; number < stripeCount(code, chunk.length); number++) {
      const stripe = stripeOf(code, chunk.length, number);
      for (const { units, offset, length } of readingsOf(code, stripe)) {
        const cells = await reader.read(units, { offset, length }, signal);
        if (cells === undefined) return { isWhole: false, faults: reader.faults };
        for (const [i, cell] of cells.entries()) {
          const left = cellLength(code, stripe, units[i] ?? 0) - (offset - stripe.cellOffset);
          if (0 < left) await take(cell.subarray(0, Math.min(length, left)));
        }
      }
    }
    return { isWhole: true, faults: reader.faults };
  } finally {
    lease.release();
  }
}

/** Which units are read together, and which part of them, in the order of the data. */
function* readingsOf(
  code: Code,
  stripe: Stripe,
): Generator<{
  readonly units: readonly number[];
  readonly offset: number;
  readonly length: number;
}> {
  const all = Array.from({ length: code.data }, (_, unit) => unit);
  const units = all.filter((unit) => 0 < cellLength(code, stripe, unit));
  const most = Math.floor(cellBytesFor(unitCount(code)) / BLOCK_BYTES) * BLOCK_BYTES;
  if (stripe.cellBytes <= most) {
    yield { units, offset: stripe.cellOffset, length: cellLength(code, stripe, 0) };
    return;
  }
  for (const unit of units) {
    const bytes = cellLength(code, stripe, unit);
    for (let at = 0; at < bytes; at += most) {
      const length = Math.min(most, bytes - at);
      yield { units: [unit], offset: stripe.cellOffset + at, length };
    }
  }
}
