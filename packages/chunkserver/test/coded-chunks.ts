// Coded chunks for tests: their units, made stripe by stripe as the format says, and written each
// to a server of its own.

import {
  type ChunkCoding,
  type Code,
  cellLength,
  cellRanges,
  KiB,
  stripeCount,
  stripeOf,
  unitLength,
} from "@lumeofs/base";
import { ErasureCodec } from "@lumeofs/erasure";
import type { ReplicaOrder } from "../src/transfer/copy-service.js";
import type { RebuildOrder, UnitSource } from "../src/transfer/rebuild-order.js";
import { crcOf, type DataClient, type Replica, target } from "./replicas.js";

/** The bytes of all units of a chunk. */
export function unitsOf(code: Code, bytes: Uint8Array): readonly Uint8Array[] {
  const count = code.data + code.parity;
  const length = bytes.byteLength;
  const units = Array.from(
    { length: count },
    (_, unit) => new Uint8Array(unitLength(code, length, unit)),
  );
  for (const range of cellRanges(code, length, { start: 0, end: length })) {
    const part = bytes.subarray(range.offset, range.offset + range.lengthBytes);
    units[range.unit]?.set(part, range.unitOffset);
  }
  const codec = new ErasureCodec({ dataCells: code.data, parityCells: code.parity });
  for (let number = 0; number < stripeCount(code, length); number++) {
    const stripe = stripeOf(code, length, number);
    const cellBytes = cellLength(code, stripe, code.data);
    const cells = units.map((unit) => {
      const cell = new Uint8Array(cellBytes);
      cell.set(unit.subarray(stripe.cellOffset, stripe.cellOffset + cellBytes));
      return cell;
    });
    codec.encode(cells.slice(0, code.data), cells.slice(code.data));
    for (let unit = code.data; unit < count; unit++) {
      units[unit]?.set(cells[unit] as Uint8Array, stripe.cellOffset);
    }
  }
  return units;
}

export function codingOf(code: Code, units: readonly Uint8Array[]): ChunkCoding {
  return { ...code, unitCrcs: units.map(crcOf) };
}

/** A chunk whose units are with servers. */
export interface CodedChunk {
  readonly code: Code;
  readonly units: readonly Uint8Array[];
  readonly handle: number;
  readonly holders: readonly Replica[];
}

/** Writes each unit as a chunk with a chain of one, under the record of the first server. */
export async function writeCoded(
  client: DataClient,
  { code, units, handle, holders }: CodedChunk,
): Promise<void> {
  const primary = holders[0]?.id;
  for (const [unit, bytes] of units.entries()) {
    const holder = holders[unit];
    if (holder === undefined || primary === undefined || bytes.byteLength === 0) continue;
    const to = { ...target(handle), primary };
    if (bytes.byteLength <= 256 * KiB) await client.writeSmall([holder], to, bytes);
    else await client.writeLarge([holder], to, bytes);
  }
  if (units.length !== code.data + code.parity) throw new Error("some units are missing");
}

/** An order to rebuild one unit from some others, in their order. */
export function rebuildOf(
  { code, units, handle, holders }: CodedChunk,
  unit: number,
  from: readonly number[],
): RebuildOrder & ReplicaOrder {
  const bytes = units[unit] ?? new Uint8Array();
  const sources = from.map((number): UnitSource => {
    const { byteLength: length } = units[number] as Uint8Array;
    const holder = length === 0 ? undefined : holders[number]?.link;
    return { unit: number, length, crc32c: crcOf(units[number] as Uint8Array), holder };
  });
  return {
    chunk: { ...target(handle), length: bytes.byteLength, crc32c: crcOf(bytes) },
    mandate: 1,
    bytesPerSecondMax: 0,
    rebuild: {
      geometry: { dataCells: code.data, parityCells: code.parity },
      unit,
      sources,
    },
  };
}
