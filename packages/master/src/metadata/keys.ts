// Keys of the state: one byte for the table, then big-endian numbers and text, so that the order of
// the keys is the order of the numbers and of the bytes of names. docs/formats/command.md lists the
// tables; a table's byte is never used for another one.

import {
  type ChunkHandle,
  type GrantId,
  type InodeId,
  inodeId,
  type ServerId,
  type SessionId,
  utf8Length,
  type WallMs,
  wallMs,
  writeUtf8,
} from "@lumeofs/base";

const TABLE = {
  cluster: 0x01,
  counter: 0x02,
  inode: 0x10,
  entry: 0x11,
  page: 0x12,
  orphan: 0x13,
  references: 0x14,
  contentReferences: 0x15,
  history: 0x16,
  trash: 0x17,
  snapshot: 0x18,
  chunk: 0x20,
  released: 0x21,
  grant: 0x22,
  upload: 0x23,
  tail: 0x24,
  converted: 0x25,
  inline: 0x26,
  server: 0x30,
  serverName: 0x31,
  serverUuid: 0x32,
  node: 0x33,
  session: 0x40,
  answer: 0x41,
  tokenKeys: 0x42,
  change: 0x50,
  changeFloor: 0x51,
  lock: 0x60,
  expiry: 0x61,
  job: 0x70,
  openJob: 0x71,
  move: 0x72,
  restoration: 0x7e,
} as const;

/** Numbers counted by apply, and the clock that never goes back. */
export const COUNTER = {
  clock: 0,
  inode: 1,
  grant: 2,
  server: 3,
  session: 4,
  locks: 5,
  snapshots: 6,
  checked: 7,
  job: 8,
  tails: 9,
  inlineChunks: 10,
  inlineBytes: 11,
} as const;
export type CounterName = keyof typeof COUNTER;

/** Keys from `from` on, below `to`. */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

const CLUSTER_KEY = Uint8Array.of(TABLE.cluster);
const COUNTER_KEYS: readonly Uint8Array[] = Object.values(COUNTER).map((counter) =>
  Uint8Array.of(TABLE.counter, counter),
);

export const clusterKey = (): Uint8Array => CLUSTER_KEY;
export const counterKey = (name: CounterName): Uint8Array =>
  COUNTER_KEYS[COUNTER[name]] as Uint8Array;
export const inodeKey = (inode: InodeId): Uint8Array => numbered(TABLE.inode, inode);
export const orphanKey = (inode: InodeId): Uint8Array => numbered(TABLE.orphan, inode);
export const referencesKey = (inode: InodeId): Uint8Array => numbered(TABLE.references, inode);
export const contentReferencesKey = (content: InodeId): Uint8Array =>
  numbered(TABLE.contentReferences, content);
export const trashKey = (id: number): Uint8Array => numbered(TABLE.trash, id);
export const chunkKey = (handle: ChunkHandle): Uint8Array => numbered(TABLE.chunk, handle);
export const grantKey = (grant: GrantId): Uint8Array => numbered(TABLE.grant, grant);
export const convertedKey = (handle: ChunkHandle): Uint8Array => numbered(TABLE.converted, handle);
export const inlineKey = (handle: ChunkHandle): Uint8Array => numbered(TABLE.inline, handle);
export const tailKey = (handle: ChunkHandle): Uint8Array => numbered(TABLE.tail, handle);
export const uploadKey = (upload: InodeId): Uint8Array => numbered(TABLE.upload, upload);
export const serverKey = (server: ServerId): Uint8Array => numbered(TABLE.server, server);
export const sessionKey = (session: SessionId): Uint8Array => numbered(TABLE.session, session);
export const answerPageKey = (session: SessionId, page: number): Uint8Array =>
  numberedTwice(TABLE.answer, session, page);
export const releasedKey = (at: WallMs, handle: ChunkHandle): Uint8Array =>
  numberedTwice(TABLE.released, at, handle);
/** Among the tables that no backup holds. */
export const tokenKeysKey = (): Uint8Array => Uint8Array.of(TABLE.tokenKeys);
export const restorationKey = (): Uint8Array => Uint8Array.of(TABLE.restoration);
export const changeFloorKey = (): Uint8Array => Uint8Array.of(TABLE.changeFloor);
export const serverNameKey = (name: string): Uint8Array => named(TABLE.serverName, name);
export const lockKey = (name: string): Uint8Array => named(TABLE.lock, name);
export const nodeKey = (name: string): Uint8Array => named(TABLE.node, name);
export const jobKey = (job: number): Uint8Array => numbered(TABLE.job, job);
export const moveKey = (handle: ChunkHandle): Uint8Array => numbered(TABLE.move, handle);
export const serverUuidKey = (uuid: string): Uint8Array => named(TABLE.serverUuid, uuid);

/** One name in a directory; names sort by their UTF-8 bytes. */
export function entryKey(parent: InodeId, name: string): Uint8Array {
  return placed(TABLE.entry, parent, name);
}

/** A snapshot of a directory. */
export function snapshotKey(directory: InodeId, name: string): Uint8Array {
  return placed(TABLE.snapshot, directory, name);
}

/** What a name led to until a log index. */
export interface HistoryId {
  readonly parent: InodeId;
  readonly name: string;
  /** Log index since which the name does not lead there any more. */
  readonly ended: number;
}

/** The NUL, which no name contains, keeps the records of a name before those of longer names. */
export function historyKey({ parent, name, ended }: HistoryId): Uint8Array {
  const start = placed(TABLE.history, parent, `${name}\0`);
  const key = new Uint8Array(start.byteLength + 8);
  key.set(start);
  writeU64(key, start.byteLength, ended);
  return key;
}

/** A file that is to be removed at a time, by its name then. */
export function expiryKey(at: WallMs, parent: InodeId, name: string): Uint8Array {
  const key = new Uint8Array(17 + utf8Length(name));
  key.set(numberedTwice(TABLE.expiry, at, parent));
  writeUtf8(name, key, 17);
  return key;
}

/** The open job of a kind (its number), and of a server or a tree unless it is for all of them. */
export function openJobKey(kind: number, subject: number | undefined): Uint8Array {
  const key = new Uint8Array(10);
  key[0] = TABLE.openJob;
  key[1] = kind;
  writeU64(key, 2, subject ?? 0);
  return key;
}

/** Takes an expiry's key apart. */
export function expiryOf(key: Uint8Array): {
  readonly at: WallMs;
  readonly parent: InodeId;
  readonly name: string;
} {
  const name = decoder.decode(key.subarray(17));
  return { at: wallMs(u64(key, 1)), parent: inodeId(u64(key, 9)), name };
}

/** A page of a long file's chunk list. Pages count from 0. */
export function pageKey(inode: InodeId, page: number): Uint8Array {
  const key = new Uint8Array(13);
  key.set(numbered(TABLE.page, inode));
  new DataView(key.buffer).setUint32(9, page);
  return key;
}

/** A place in the change feed: the log index of the command, and the count within it. */
export interface ChangePosition {
  readonly revision: number;
  readonly sequence: number;
}

export function changeKey({ revision, sequence }: ChangePosition): Uint8Array {
  const key = new Uint8Array(11);
  key[0] = TABLE.change;
  writeU64(key, 1, revision);
  key[9] = sequence >>> 8;
  key[10] = sequence & 0xff;
  return key;
}

/** Changes behind a position. */
export function changesAfter(position: ChangePosition): KeyRange {
  return { from: successor(changeKey(position)), to: Uint8Array.of(TABLE.change + 1) };
}

/** Entries of a directory whose names come after `after`; all of them for "". */
export function entriesAfter(parent: InodeId, after: string): KeyRange {
  const from = after === "" ? entryKey(parent, "") : successor(entryKey(parent, after));
  return { from, to: numbered(TABLE.entry, parent + 1) };
}

export const serversAfter = (server: number): KeyRange => after(TABLE.server, server);
export const grantsAfter = (grant: number): KeyRange => after(TABLE.grant, grant);
export const uploadsAfter = (upload: number): KeyRange => after(TABLE.upload, upload);
export const sessionsAfter = (session: number): KeyRange => after(TABLE.session, session);
export const trashAfter = (id: number): KeyRange => after(TABLE.trash, id);
export const chunksAfter = (handle: number): KeyRange => after(TABLE.chunk, handle);
export const inlineAfter = (handle: number): KeyRange => after(TABLE.inline, handle);
export const tailsAfter = (handle: number): KeyRange => after(TABLE.tail, handle);
export const jobsAfter = (job: number): KeyRange => after(TABLE.job, job);
export const movesAfter = (handle: number): KeyRange => after(TABLE.move, handle);
export const orphansAfter = (inode: number): KeyRange => after(TABLE.orphan, inode);

export const inodesAfter = (inode: number): KeyRange => after(TABLE.inode, inode);
export const referencesAfter = (inode: number): KeyRange => after(TABLE.references, inode);
export const sharesAfter = (content: number): KeyRange => after(TABLE.contentReferences, content);

/** All entries of all directories, directory by directory. */
export const allEntries = (): KeyRange => ({
  from: Uint8Array.of(TABLE.entry),
  to: Uint8Array.of(TABLE.entry + 1),
});

/** What a name led to until after `ended`, in the order of time. */
export function historyOf(parent: InodeId, name: string, ended: number): KeyRange {
  const from = historyKey({ parent, name, ended: ended + 1 });
  return { from, to: placed(TABLE.history, parent, `${name}\u0001`) };
}

/** The history of all names of a directory behind `after`; of all its names for "". */
export function historyAfter(parent: InodeId, after: string): KeyRange {
  const from = placed(TABLE.history, parent, after === "" ? "" : `${after}\u0001`);
  return { from, to: numbered(TABLE.history, parent + 1) };
}

/** All history behind a record of it; from the beginning for undefined. */
export function historyBehind(id: HistoryId | undefined): KeyRange {
  const from = id === undefined ? Uint8Array.of(TABLE.history) : successor(historyKey(id));
  return { from, to: Uint8Array.of(TABLE.history + 1) };
}

/** Snapshots of a directory whose names come after `after`; all of them for "". */
export function snapshotsAfter(directory: InodeId, after: string): KeyRange {
  const key = snapshotKey(directory, after);
  const from = after === "" ? key : successor(key);
  return { from, to: numbered(TABLE.snapshot, directory + 1) };
}

/** All snapshots behind one; from the beginning for undefined. */
export function snapshotsBehind(
  last: { readonly directory: InodeId; readonly name: string } | undefined,
): KeyRange {
  const from =
    last === undefined
      ? Uint8Array.of(TABLE.snapshot)
      : successor(snapshotKey(last.directory, last.name));
  return { from, to: Uint8Array.of(TABLE.snapshot + 1) };
}

/** Released chunks, oldest first, up to and including time `at`. */
export function releasedUpTo(at: WallMs): KeyRange {
  return { from: Uint8Array.of(TABLE.released), to: numbered(TABLE.released, at + 1) };
}

/** Files to be removed, the first ones first, up to and including time `at`; behind this key. */
export function expiriesUpTo(at: WallMs, after?: Uint8Array): KeyRange {
  const from = after === undefined ? Uint8Array.of(TABLE.expiry) : successor(after);
  return { from, to: numbered(TABLE.expiry, at + 1) };
}

/** Locks whose names come after `name`, in the order of their bytes; all of them for "". */
export function locksAfter(name: string): KeyRange {
  const from = name === "" ? lockKey("") : successor(lockKey(name));
  return { from, to: Uint8Array.of(TABLE.lock + 1) };
}

/** The name in a lock's key. */
export function lockNameOf(key: Uint8Array): string {
  return decoder.decode(key.subarray(1));
}

/** The UTF-8 of the name in the key of an entry begins here. */
export const ENTRY_NAME_AT = 9;

/** The name in the key of an entry or a snapshot. */
export function nameOf(key: Uint8Array): string {
  return decoder.decode(key.subarray(ENTRY_NAME_AT));
}

/** The directory of a name, by the name's key; -1 for a key of another table. */
export function entryParentOf(key: Uint8Array): number {
  return key[0] === TABLE.entry ? u64(key, 1) : -1;
}

/** The record that a key of the history table names. */
export function historyIdOf(key: Uint8Array): HistoryId {
  const end = key.byteLength - 8;
  const name = decoder.decode(key.subarray(9, end - 1));
  return { parent: inodeId(u64(key, 1)), name, ended: u64(key, end) };
}

/** The number behind the table byte: inode, grant, server, session. */
export function numberOf(key: Uint8Array): number {
  return u64(key, 1);
}

/** The sequence in a change's key. */
export function sequenceOf(key: Uint8Array): number {
  return (key[9] as number) * 256 + (key[10] as number);
}

/** The handle in a released chunk's key. */
export function releasedHandleOf(key: Uint8Array): number {
  return u64(key, 9);
}

function after(table: number, id: number): KeyRange {
  return { from: numbered(table, id + 1), to: Uint8Array.of(table + 1) };
}

/** The smallest key above `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.byteLength + 1);
  next.set(key);
  return next;
}

function placed(table: number, parent: InodeId, name: string): Uint8Array {
  const key = new Uint8Array(9 + utf8Length(name));
  key[0] = table;
  writeU64(key, 1, parent);
  writeUtf8(name, key, 9);
  return key;
}

/** Keys that were made lately: one command asks for the same few again and again. */
const LATELY_MAX = 256;
const lately: (Uint8Array | undefined)[] = new Array<undefined>(LATELY_MAX).fill(undefined);
const latelyIds: number[] = new Array<number>(LATELY_MAX).fill(-1);

/** The key is shared: nobody may change it. */
function numbered(table: number, id: number): Uint8Array {
  const slot = (id ^ (table << 2)) & (LATELY_MAX - 1);
  const known = lately[slot];
  if (latelyIds[slot] === id && known !== undefined && known[0] === table) return known;
  const key = new Uint8Array(9);
  key[0] = table;
  writeU64(key, 1, id);
  lately[slot] = key;
  latelyIds[slot] = id;
  return key;
}

function numberedTwice(table: number, first: number, second: number): Uint8Array {
  const key = new Uint8Array(17);
  key[0] = table;
  writeU64(key, 1, first);
  writeU64(key, 9, second);
  return key;
}

function named(table: number, text: string): Uint8Array {
  const key = new Uint8Array(1 + utf8Length(text));
  key[0] = table;
  writeUtf8(text, key, 1);
  return key;
}

/** Byte by byte: keys are made all the time, and a DataView costs more than the eight stores. */
function writeU64(bytes: Uint8Array, at: number, value: number): void {
  let high = Math.floor(value / 2 ** 32);
  let low = value >>> 0;
  for (let i = 3; 0 <= i; i--) {
    bytes[at + i] = high & 0xff;
    bytes[at + 4 + i] = low & 0xff;
    high >>>= 8;
    low >>>= 8;
  }
}

function u64(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = 0; i < 8; i++) value = value * 256 + (bytes[at + i] as number);
  return value;
}
