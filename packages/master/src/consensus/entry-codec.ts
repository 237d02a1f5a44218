// Entry ⇄ bytes, as in docs/formats/raft-log.md. The same bytes go to the disk and to every peer:
// an entry is seldom encoded more than once, and one that came from a peer not at all.

import { ByteReader, ByteSlab, ByteWriter, invariant, KiB, LumeoError, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { type Entry, type EntryKind, type LogIndex, logIndex, term } from "../raft/entry.js";

/** Data of one entry: with headers it still fits one gRPC message of 4 MiB. */
export const ENTRY_DATA_BYTES_MAX = 2 * MiB;

/** `length` and `crc32c`. */
const PREFIX_BYTES = 8;
/** `kind`, `index` and `term`. */
const FIXED_BYTES = 17;

const KIND_CODES: Readonly<Record<EntryKind, number>> = { noop: 1, command: 2, membership: 3 };
const KINDS: Readonly<Record<number, EntryKind>> = { 1: "noop", 2: "command", 3: "membership" };

const scratch = new ByteWriter(PREFIX_BYTES + FIXED_BYTES);
/** Entries next to each other are forgotten at about the same time. */
const slab = new ByteSlab();

/**
 * The newest entries with their bytes: entries are values that nobody changes. An entry is needed
 * again within moments, by the log and by all peers. A WeakMap of all that are alive held up the
 * whole process for 70 ms each time it grew, and every collection of garbage had to walk it.
 */
class RememberedEntries {
  readonly #entries: (Entry | undefined)[];
  readonly #bytes: (Uint8Array | undefined)[];

  constructor(count: number) {
    this.#entries = new Array<undefined>(count).fill(undefined);
    this.#bytes = new Array<undefined>(count).fill(undefined);
  }

  recall(entry: Entry): Uint8Array | undefined {
    const slot = entry.index % this.#entries.length;
    return this.#entries[slot] === entry ? this.#bytes[slot] : undefined;
  }

  remember(entry: Entry, bytes: Uint8Array): void {
    const slot = entry.index % this.#entries.length;
    this.#entries[slot] = entry;
    this.#bytes[slot] = bytes;
  }

  /** What had the place of this index is old by now. */
  forget({ index }: Entry): void {
    const slot = index % this.#entries.length;
    this.#entries[slot] = undefined;
    this.#bytes[slot] = undefined;
  }
}

const NO_BYTES = new Uint8Array(0);
/** A longer run has memory of its own. */
const SLAB_RUN_BYTES_MAX = 8 * KiB;

const SHORT_BYTES_MAX = 1 * KiB;
/** Those that bring the bytes of a small file. Longer ones are encoded anew each time. */
const LONG_BYTES_MAX = 20 * KiB;
/**
 * Those of the last so many indexes, whatever their kind: what they are views of (a slab, a message
 * with its neighbours) is as old as they are, so a contiguous end of the log bounds it.
 */
const short = new RememberedEntries(8_192);
const long = new RememberedEntries(1_024);

function rememberedOf({ data }: Entry): RememberedEntries {
  return data.byteLength <= SHORT_BYTES_MAX ? short : long;
}

function remember(entry: Entry, bytes: Uint8Array): void {
  const own = rememberedOf(entry);
  (own === short ? long : short).forget(entry);
  if (bytes.byteLength <= LONG_BYTES_MAX) own.remember(entry, bytes);
  else own.forget(entry);
}

/** What `encodeEntry` would return is this long. */
export function encodedLength(entry: Entry): number {
  return PREFIX_BYTES + FIXED_BYTES + entry.data.byteLength;
}

/** The entry's bytes; nobody may change them. */
export function encodeEntry(entry: Entry): Uint8Array {
  const known = rememberedOf(entry).recall(entry);
  return known ?? encodeInto(slab.take(encodedLength(entry)), entry);
}

/** @param bytes  As many as the entry has: they are the entry's from now on. */
function encodeInto(bytes: Uint8Array, entry: Entry): Uint8Array {
  const { data } = entry;
  invariant(data.byteLength <= ENTRY_DATA_BYTES_MAX, "entry is too large", {
    bytes: data.byteLength,
  });
  const writer = scratch.clear();
  writer
    .u32(FIXED_BYTES + data.byteLength)
    .u32(0)
    .u8(KIND_CODES[entry.kind]);
  bytes.set(writer.u53(entry.index).u53(entry.term).finish());
  bytes.set(data, PREFIX_BYTES + FIXED_BYTES);
  const crc = nativeCrc32c(bytes.subarray(PREFIX_BYTES));
  for (let i = 0; i < 4; i++) bytes[4 + i] = crc >>> (8 * i);
  remember(entry, bytes);
  return bytes;
}

/** Entries that follow each other in one log, and their bytes one behind the other. */
interface EncodedRun {
  readonly first: Entry;
  readonly last: Entry;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/**
 * What was joined or taken apart last. On a leader the log and all peers need the same entries
 * right after each other; on a follower the log gets them as they came.
 */
let lastRun: EncodedRun | undefined;

function rememberRun(entries: readonly Entry[], bytes: Uint8Array): void {
  const [first, last] = [entries[0], entries.at(-1)];
  if (first === undefined || last === undefined) return;
  lastRun = { first, last, count: entries.length, bytes };
}

/** Bytes of entries that follow each other in one log. Nobody may change them. */
export function encodeEntries(entries: readonly Entry[]): Uint8Array {
  if (entries.length === 0) return NO_BYTES;
  // Entries are values, and nothing lies between the same first and last one of a log but what lay
  // there before.
  const isLast =
    lastRun?.count === entries.length &&
    lastRun.first === entries[0] &&
    lastRun.last === entries.at(-1);
  if (lastRun !== undefined && isLast) return lastRun.bytes;
  const length = entries.reduce((sum, entry) => sum + encodedLength(entry), 0);
  const bytes = length <= SLAB_RUN_BYTES_MAX ? slab.take(length) : Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const entry of entries) {
    const end = at + encodedLength(entry);
    const known = rememberedOf(entry).recall(entry);
    if (known !== undefined) bytes.set(known, at);
    else encodeInto(bytes.subarray(at, end), entry);
    at = end;
  }
  rememberRun(entries, bytes);
  return bytes;
}

/**
 * Takes one entry from the front. Its data is a view of what is read, which nobody may change.
 *
 * @throws CORRUPT if these are not the bytes of an entry, or any bit of them is wrong.
 */
export function decodeEntry(reader: ByteReader, bytes: Uint8Array): Entry {
  const start = reader.position;
  const length = reader.u32();
  if (length < FIXED_BYTES || FIXED_BYTES + ENTRY_DATA_BYTES_MAX < length) {
    throw new LumeoError("CORRUPT", `Cannot read entry at byte ${start}: length is ${length}`);
  }
  const crc = reader.u32();
  const body = reader.bytes(length);
  const actual = nativeCrc32c(body);
  if (actual !== crc) {
    throw new LumeoError("CORRUPT", `Cannot read entry at byte ${start}: CRC32C does not match`);
  }
  const fields = new ByteReader(body);
  const kind = KINDS[fields.u8()];
  if (kind === undefined) {
    throw new LumeoError("CORRUPT", `Cannot read entry at byte ${start}: unknown kind`);
  }
  const entry: Entry = {
    kind,
    index: logIndex(fields.u53()),
    term: term(fields.u53()),
    data: fields.bytes(fields.remaining),
  };
  remember(entry, bytes.subarray(start, reader.position));
  return entry;
}

/**
 * All entries that lie one behind the other in `bytes`.
 *
 * @throws CORRUPT as `decodeEntry`.
 */
export function decodeEntries(bytes: Uint8Array): Entry[] {
  const reader = new ByteReader(bytes);
  const entries: Entry[] = [];
  while (0 < reader.remaining) entries.push(decodeEntry(reader, bytes));
  rememberRun(entries, bytes);
  return entries;
}

/**
 * The hash that ties an entry to all before it.
 *
 * @param previous  Chain of the entry before.
 */
export function chainOf(entry: Entry, previous: number): number {
  // The entry's own CRC stands for its bytes: hashing four bytes instead of all is enough.
  return nativeCrc32c(encodeEntry(entry).subarray(4, PREFIX_BYTES), previous);
}

/**
 * The first entries that together have at most `bytesMax` bytes, but always at least one.
 *
 * @param at  The entry at an index.
 */
export function takeEntries(
  range: { readonly from: LogIndex; readonly to: LogIndex },
  bytesMax: number,
  at: (index: LogIndex) => Entry,
): Entry[] {
  const taken: Entry[] = [];
  let bytes = 0;
  for (let index = range.from; index <= range.to; index = logIndex(index + 1)) {
    const entry = at(index);
    bytes += encodedLength(entry);
    if (0 < taken.length && bytesMax < bytes) break;
    taken.push(entry);
  }
  return taken;
}
