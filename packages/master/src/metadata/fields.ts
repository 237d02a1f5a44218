// The few shapes that all codecs of the metadata share, on top of base's ByteWriter and ByteReader:
// text, lists, flags, ids. Writers give the same bytes for the same value on every master; readers
// refuse what no writer could have written, and allocate nothing on the word of a length alone.

import { ByteReader, ByteSlab, ByteWriter, LumeoError } from "@lumeofs/base";

/** Of all records, replies and proposals that have none of their own. */
export const RECORD_VERSION = 2;
/** Bytes before what a value says. */
export const VERSION_BYTES = 1;
/** Most lists and labels are empty: all of these are one. */
const NOTHING: readonly never[] = Object.freeze([]);
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes of most values fit in here; longer ones make it grow once. */
const scratch = new ByteWriter(1024);
let isScratchUsed = false;
/** Encoded values live until their flush, or as long as an entry of the log: much alike. */
const slab = new ByteSlab();

/** The bytes of a value: the version, then what `write` writes. */
export function encodeWhole(
  write: (writer: ByteWriter) => unknown,
  version = RECORD_VERSION,
): Uint8Array {
  return encodeValue(undefined, write, version);
}

/** The same for a function that takes the value: none has to be made for each. */
export function encodeValue<T>(
  value: T,
  write: (writer: ByteWriter, value: T) => unknown,
  version = RECORD_VERSION,
): Uint8Array {
  // Making a writer costs more than filling it: one is shared. A value inside a value has its own.
  const isNested = isScratchUsed;
  const writer = isNested ? new ByteWriter() : scratch.clear();
  isScratchUsed = true;
  try {
    write(writer.u8(version), value);
    return writer.copyTo(slab);
  } finally {
    isScratchUsed = isNested;
  }
}

/**
 * Reads a whole value.
 *
 * @throws LumeoError CORRUPT if the version is unknown, the bytes end early, or some are left over.
 */
export function readWhole<T>(
  what: string,
  bytes: Uint8Array,
  read: (r: ByteReader) => T,
  expected = RECORD_VERSION,
): T {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== expected) throw corrupt(what, faultOfVersion(version, expected));
  const value = read(reader);
  if (0 < reader.remaining) throw corrupt(what, `${reader.remaining} bytes are left over`);
  return value;
}

function faultOfVersion(version: number, expected: number): string {
  const fault = `its version is ${version}, expected ${expected}`;
  if (version === 0 || expected < version) return fault;
  return `${fault}: it was made by an earlier development version; begin with an empty folder`;
}

export function corrupt(what: string, why: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot read ${what}: ${why}`);
}

export function writeText(writer: ByteWriter, text: string): void {
  writer.text(text);
}

export function readText(reader: ByteReader): string {
  const bytes = reader.sized();
  try {
    return decoder.decode(bytes);
  } catch {
    throw corrupt("text", "it is not UTF-8");
  }
}

export function writeFlag(writer: ByteWriter, flag: boolean): void {
  writer.u8(flag ? 1 : 0);
}

export function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (1 < value) throw corrupt("flag", `it is ${value}, expected 0 or 1`);
  return value === 1;
}

export function writeList<T>(
  writer: ByteWriter,
  items: readonly T[],
  write: (writer: ByteWriter, item: T) => unknown,
): void {
  writer.u32(items.length);
  for (const item of items) write(writer, item);
}

/** @param bytesMin The fewest bytes that one item takes: bounds the count. */
export function readList<T>(
  reader: ByteReader,
  bytesMin: number,
  read: (reader: ByteReader) => T,
): readonly T[] {
  const count = reader.u32();
  if (reader.remaining < count * bytesMin) throw corrupt("list", `it claims ${count} items`);
  if (count === 0) return NOTHING;
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read(reader));
  return items;
}

export function writeNumber(writer: ByteWriter, value: number): void {
  writer.u53(value);
}

/** A number that `make` brands; 0 is no id. */
export function readId<T>(reader: ByteReader, make: (n: number) => T): T {
  const value = reader.u53();
  if (value === 0) throw corrupt("id", "it is 0");
  return make(value);
}

export function readIds<T>(reader: ByteReader, make: (n: number) => T): readonly T[] {
  return readList(reader, 8, (r) => readId(r, make));
}

function readPair(reader: ByteReader): readonly [name: string, value: string] {
  return [readText(reader), readText(reader)];
}

/** Text by key, in the order of the keys. */
export function writeLabels(writer: ByteWriter, labels: Readonly<Record<string, string>>): void {
  const sorted = Object.entries(labels);
  if (1 < sorted.length) sorted.sort(([a], [b]) => (a < b ? -1 : 1));
  writeList(writer, sorted, (w, [name, value]) => {
    writeText(w, name);
    writeText(w, value);
  });
}

export function readLabels(reader: ByteReader): Readonly<Record<string, string>> {
  const pairs = readList(reader, 8, readPair);
  return pairs.length === 0 ? NO_LABELS : Object.fromEntries(pairs);
}
