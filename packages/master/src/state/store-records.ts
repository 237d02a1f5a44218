// The store's own records beside the state: docs/formats/state.md.

import { ByteReader, ByteWriter, LumeoError } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import type { LevelDatabase, LevelOperation, LevelRange } from "../consensus/level-database.js";
import { WAY_OUT } from "../consensus/way-out.js";
import { logIndex, term } from "../raft/entry.js";
import type { AppliedMark } from "./state-store.js";

/** So many flush marks are there, once there were so many flushes. */
export const FLUSH_MARKS = 1_024;

/** What belongs to the state machine. */
export const MACHINE_KEYS: LevelRange = {
  from: new Uint8Array([0x01]),
  to: new Uint8Array([0x80]),
};

const VERSION = 1;
const APPLIED_KEY = new Uint8Array([0x00, 0x61]);
const MARK_PREFIX = 0x66;
const MARK_KEYS: LevelRange = {
  from: new Uint8Array([0x00, MARK_PREFIX]),
  to: new Uint8Array([0x00, MARK_PREFIX + 1]),
};
const NOTHING = new Uint8Array(0);

/** Where a database stands: the place in the log, and how often it was written. */
export interface Standing {
  readonly mark: AppliedMark;
  readonly flushes: number;
}

/** What a batch needs besides the changes, to bring a database to `standing`. */
export function standingOperations(standing: Standing): LevelOperation[] {
  const { mark, flushes } = standing;
  const record = new ByteWriter().u16(VERSION).u53(mark.index).u53(mark.term).u53(flushes);
  const value = record.u32(nativeCrc32c(record.finish())).finish();
  return [
    { type: "put", key: APPLIED_KEY, value },
    { type: "put", key: markKey(flushes), value: NOTHING },
    ...(FLUSH_MARKS < flushes
      ? ([{ type: "del", key: markKey(flushes - FLUSH_MARKS) }] as const)
      : []),
  ];
}

/** @throws CORRUPT. Undefined in a new database. */
export function readStanding(db: Pick<LevelDatabase, "get">): Standing | undefined {
  const bytes = db.get(APPLIED_KEY);
  if (bytes === undefined) return undefined;
  const reader = new ByteReader(bytes);
  const version = reader.u16();
  if (version !== VERSION) throw damaged(`version is ${version}, known is ${VERSION}`);
  const mark = { index: logIndex(reader.u53()), term: term(reader.u53()) };
  const flushes = reader.u53();
  if (nativeCrc32c(bytes.subarray(0, reader.position)) !== reader.u32()) {
    throw damaged("CRC32C of its applied record does not match");
  }
  return { mark, flushes };
}

/**
 * Proves that no batch has vanished from the database.
 *
 * @throws CORRUPT if one has.
 */
export async function checkFlushMarks(db: LevelDatabase, flushes: number): Promise<void> {
  const oldest = Math.max(1, flushes - FLUSH_MARKS + 1);
  let expected = oldest;
  const scan = db.scan(MARK_KEYS);
  try {
    let page = await scan.next(FLUSH_MARKS);
    while (0 < page.length) {
      for (const [key] of page) {
        if (Buffer.compare(key, markKey(expected)) !== 0) throw damaged("a batch is missing");
        expected += 1;
      }
      page = await scan.next(FLUSH_MARKS);
    }
  } finally {
    await scan.close();
  }
  if (expected !== flushes + 1) throw damaged("a batch is missing");
}

function markKey(flush: number): Uint8Array {
  const key = new Uint8Array(10);
  const view = new DataView(key.buffer);
  view.setUint8(1, MARK_PREFIX);
  view.setUint32(2, Math.floor(flush / 2 ** 32), false);
  view.setUint32(6, flush % 2 ** 32, false);
  return key;
}

function damaged(why: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot use the state database: ${why}. ${WAY_OUT}`);
}
