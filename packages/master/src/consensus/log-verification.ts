// Reading a whole log database and proving that it is one unbroken log.
//
// LevelDB opens with batches missing from its middle if a bit of its write-ahead log has flipped,
// and says nothing. What is proved here is listed in docs/formats/raft-log.md, "Opening".

import { ByteReader, LumeoError, type NodeId } from "@lumeofs/base";
import { type Entry, type LogIndex, logIndex } from "../raft/entry.js";
import { chainOf, decodeEntry } from "./entry-codec.js";
import type { LevelDatabase } from "./level-database.js";
import {
  decodeHead,
  decodeTail,
  ENTRY_KEYS,
  HEAD_KEY,
  indexOfKey,
  type LogHead,
  type LogTail,
  TAIL_KEY,
} from "./log-records.js";

/** Entries read at a time. */
const PAGE_ENTRIES = 512;

/** Bytes of the predecessor's chain before each entry. */
export const CHAIN_BYTES = 4;

/** A log whose begin and end are known; its entries have still to be walked. */
export interface LogFrame {
  readonly head: LogHead;
  readonly tail: LogTail;
}

/**
 * The records of a database, or undefined if it is new and empty.
 *
 * @throws CORRUPT if one of them is missing or damaged, or the log is another member's.
 */
export async function readFrame(db: LevelDatabase, node: NodeId): Promise<LogFrame | undefined> {
  const [headBytes, tailBytes] = [db.get(HEAD_KEY), db.get(TAIL_KEY)];
  if (headBytes === undefined && tailBytes === undefined && (await isEmpty(db))) return undefined;
  if (headBytes === undefined) throw broken("the head record is missing");
  if (tailBytes === undefined) throw broken("the tail record is missing");
  const [head, tail] = [decodeHead(headBytes), decodeTail(tailBytes)];
  if (head.node !== node) throw broken(`it belongs to member "${head.node}", not to "${node}"`);
  if (tail.last < head.base.index) {
    throw broken(`it ends at entry ${tail.last}, before it begins at ${head.base.index}`);
  }
  return { head, tail };
}

/**
 * Walks the log from its first entry to its last, in order, handing each to `take`.
 *
 * @returns Index of the first key found, at or below the base if a removal was interrupted.
 * @throws  CORRUPT at the first thing that is not as it was written.
 */
export async function verifyEntries(
  db: LevelDatabase,
  frame: LogFrame,
  take: (entry: Entry) => void,
): Promise<LogIndex> {
  const { head, tail } = frame;
  let oldest: number | undefined;
  let [expected, chain, term] = [head.base.index + 1, head.baseChain, head.base.term];
  const scan = db.scan(ENTRY_KEYS);
  try {
    for (let page = await scan.next(PAGE_ENTRIES); 0 < page.length; ) {
      for (const [key, value] of page) {
        const index = indexOfKey(key);
        oldest ??= index;
        if (index <= head.base.index) continue;
        if (index !== expected) throw broken(`entry ${expected} is missing`);
        if (tail.last < index) throw broken(`entry ${index} lies behind its end at ${tail.last}`);
        const [entry, previousChain] = decodeStored(value, logIndex(index));
        if (previousChain !== chain)
          throw broken(`entry ${index} does not follow entry ${index - 1}`);
        if (entry.term < term) throw broken(`the term of entry ${index} goes down`);
        [expected, chain, term] = [index + 1, chainOf(entry, chain), entry.term];
        take(entry);
      }
      page = await scan.next(PAGE_ENTRIES);
    }
  } finally {
    await scan.close();
  }
  if (expected !== tail.last + 1) throw broken(`entry ${expected} is missing`);
  if (chain !== tail.chain || term !== tail.lastTerm) {
    throw broken(`its end does not fit entry ${tail.last}`);
  }
  return logIndex(oldest ?? expected);
}

/**
 * The entry in a stored value, and the chain of its predecessor.
 *
 * @throws CORRUPT if it is not whole, or not the entry of that index.
 */
export function decodeStored(
  value: Uint8Array,
  index: LogIndex,
): readonly [entry: Entry, previousChain: number] {
  try {
    const reader = new ByteReader(value);
    const previousChain = reader.u32();
    const entry = decodeEntry(reader, value);
    if (entry.index !== index) throw broken(`it says that it is entry ${entry.index}`);
    if (reader.remaining !== 0) throw broken("there are bytes behind it");
    return [entry, previousChain];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LumeoError("CORRUPT", `entry ${index} is damaged: ${why}`, { cause: error });
  }
}

async function isEmpty(db: LevelDatabase): Promise<boolean> {
  const scan = db.scan(ENTRY_KEYS);
  try {
    return (await scan.next(1)).length === 0;
  } finally {
    await scan.close();
  }
}

function broken(why: string): LumeoError {
  return new LumeoError("CORRUPT", why);
}
