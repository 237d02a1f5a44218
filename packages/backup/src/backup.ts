import type { PairTotals } from "@lumeofs/node";

/** index: what is where. full: everything that masters are rebuilt from. */
export type BackupMode = "index" | "full";

/** Which state it is. */
export interface Origin {
  readonly clusterId: string;
  readonly mode: BackupMode;
  /** Everything up to here, and nothing behind it. */
  readonly revision: number;
  readonly atMs: number;
}

/** The state that an incremental backup builds on. */
export interface Base {
  readonly revision: number;
  readonly sha256: Uint8Array;
}

/** One pair of the state. */
export type Pair = readonly [key: Uint8Array, value: Uint8Array];

/** What a file says of one key; undefined: it is gone since the base. */
export type BackupRecord = readonly [key: Uint8Array, value: Uint8Array | undefined];

/** One file of a folder of backups. */
export interface Backup extends Origin {
  /** Name of the file. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Undefined for a full one, which needs no other. */
  readonly base: Base | undefined;
  /** In the file. */
  readonly records: number;
  readonly removed: number;
  /** Of the whole state at the revision. */
  readonly totals: PairTotals;
}

/** Called now and then with what has been done so far. */
export type OnProgress = (done: { readonly records: number; readonly bytes: number }) => void;

/** Byte order, as LevelDB sorts. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
