// What a chunk is kept as that has no replicas: units on as many servers as the code has, any
// `data` of which give the chunk back. A unit is made of cells; the cells at one place of all units
// are a stripe (unit-layout.ts). The unit's number is the position of its server among the chunk's
// members: data units first, then parity units.

import { BLOCK_BYTES, KiB, MiB } from "./units.js";

/** How a chunk is divided and what is added to it. Its text is "4+2", or "4+2/256KiB". */
export interface Code {
  /** Units that hold the data. */
  readonly data: number;
  /** Units more: so many may be lost. */
  readonly parity: number;
  /** Bytes of a cell, in all stripes but the last. */
  readonly cellBytes: number;
}

/** How one chunk was coded. */
export interface ChunkCoding extends Code {
  /** CRC32C of each unit's whole bytes; 0 for a unit without bytes. */
  readonly unitCrcs: readonly number[];
}

/** Data and parity units together, at the most. */
export const UNITS_MAX = 32;
export const CELL_BYTES_MIN = BLOCK_BYTES;
export const CELL_BYTES_MAX = 4 * MiB;
export const CELL_BYTES_DEFAULT = MiB;
/** Any two of six servers may be lost, at one and a half times the bytes. */
export const CODE_DEFAULT: Code = { data: 4, parity: 2, cellBytes: CELL_BYTES_DEFAULT };

/** Servers that hold a chunk of this code. */
export function unitCount({ data, parity }: Code): number {
  return data + parity;
}

/** Why there is no such code, to follow a colon; undefined if there is. */
export function faultOfCode({ data, parity, cellBytes }: Code): string | undefined {
  const isCount = [data, parity].every((count) => Number.isSafeInteger(count) && 1 <= count);
  if (!isCount || UNITS_MAX < data + parity) {
    return `data and parity units must be 1 or more, together ${UNITS_MAX} at most`;
  }
  const isCell = CELL_BYTES_MIN <= cellBytes && cellBytes <= CELL_BYTES_MAX;
  if (isCell && cellBytes % CELL_BYTES_MIN === 0) return undefined;
  return `a cell must be 64KiB to 4MiB, in steps of 64KiB, and not ${cellBytes} bytes`;
}

/** As people write it; a cell of the usual size is not said. */
export function formatCode({ data, parity, cellBytes }: Code): string {
  const code = `${data}+${parity}`;
  if (cellBytes === CELL_BYTES_DEFAULT) return code;
  const inMiB = cellBytes % MiB === 0;
  return inMiB ? `${code}/${cellBytes / MiB}MiB` : `${code}/${cellBytes / KiB}KiB`;
}

/** The code of a text such as "4+2" or "4+2/256KiB"; undefined if it is none. */
export function parseCode(text: string): Code | undefined {
  const match = /^(\d{1,2})\+(\d{1,2})(?:\/(\d{1,5})(KiB|MiB))?$/.exec(text);
  if (match === null) return undefined;
  const [, data, parity, cell, unit] = match;
  const cellBytes =
    cell === undefined ? CELL_BYTES_DEFAULT : Number(cell) * (unit === "MiB" ? MiB : KiB);
  const code = { data: Number(data), parity: Number(parity), cellBytes };
  return faultOfCode(code) === undefined ? code : undefined;
}

/** Whether two chunks, or files, are of the same code; undefined is that of replicated ones. */
export function isSameCode(a: Code | undefined, b: Code | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.data === b.data && a.parity === b.parity && a.cellBytes === b.cellBytes;
}
