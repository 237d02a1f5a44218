// Looks at a whole state, key by key, and finds what contradicts the invariants of the metadata:
// every count recounted, every reference followed. It walks what apply may never walk, so it is for
// tests only.

import { type ChunkHandle, crc32c, type InodeId, ROOT_INODE, unitCount } from "@lumeofs/base";
import { auditNames } from "../src/audit/names-audit.js";
import { decodeChunk, decodeConverted, decodePage } from "../src/metadata/chunk-table.js";
import type { DirectoryInode, Usage } from "../src/metadata/directory-record.js";
import { decodePast } from "../src/metadata/history.js";
import { bytesOfRecord } from "../src/metadata/inline-table.js";
import {
  contentOf,
  decodeEntry,
  decodeInode,
  ENTRY_RECORD_BYTES_MAX,
  type FileInode,
  type Inode,
} from "../src/metadata/inode-record.js";
import { decodeOrphan, type Orphan } from "../src/metadata/inodes.js";
import { decodeJob, isOpen, jobKindNumber } from "../src/metadata/jobs.js";
import { COUNTER, expiryOf, historyIdOf, nameOf, numberOf } from "../src/metadata/keys.js";
import { decodeMove } from "../src/metadata/moves.js";
import { countOf } from "../src/metadata/references.js";
import type { StateReader } from "../src/metadata/state.js";
import { decodeTail } from "../src/metadata/tail-table.js";
import { decodeTrashItem } from "../src/metadata/trash.js";
import { decodeUpload } from "../src/metadata/uploads.js";
import { usageOf } from "../src/metadata/usage.js";

/** Tables as docs/formats/command.md numbers them. */
const TABLE = {
  counter: 0x02,
  inode: 0x10,
  entry: 0x11,
  page: 0x12,
  orphan: 0x13,
  references: 0x14,
  shares: 0x15,
  history: 0x16,
  trash: 0x17,
  snapshot: 0x18,
  chunk: 0x20,
  released: 0x21,
  upload: 0x23,
  tail: 0x24,
  converted: 0x25,
  inline: 0x26,
  expiry: 0x61,
  job: 0x70,
  openJob: 0x71,
  move: 0x72,
} as const;
const ALL = 10_000_000;

type Pair = readonly [Uint8Array, Uint8Array];

interface Entry {
  readonly parent: InodeId;
  readonly name: string;
  readonly inode: InodeId;
  readonly since: number;
  readonly record: Uint8Array | undefined;
}

/** What contradicts the invariants; empty for a sound state. */
export async function audit(reader: StateReader): Promise<readonly string[]> {
  const pairs = await reader.range(Uint8Array.of(0), Uint8Array.of(0xff), ALL);
  const report = new Audit(pairs);
  report.checkReferences();
  report.checkEntries();
  report.checkDirectories();
  report.checkContents();
  report.checkChunks();
  report.checkConversions();
  report.checkInline();
  report.checkTails();
  report.checkExpiries();
  report.checkMoves();
  // What operators run must find nothing in a sound state either.
  for await (const { findings } of auditNames(reader)) {
    report.faults.push(...findings.map((found) => `${found.fault} ${found.path}: ${found.what}`));
  }
  return report.faults;
}

class Audit {
  readonly faults: string[] = [];
  readonly #tables = new Map<number, Pair[]>();
  readonly #inodes = new Map<InodeId, Inode>();
  readonly #orphans = new Map<number, Orphan>();
  readonly #entries: readonly Entry[];

  constructor(pairs: readonly Pair[]) {
    for (const pair of pairs) {
      const table = pair[0][0] as number;
      const list = this.#tables.get(table) ?? [];
      list.push(pair);
      this.#tables.set(table, list);
    }
    for (const [key, value] of this.#of("inode")) {
      this.#inodes.set(numberOf(key) as InodeId, decodeInode(value));
    }
    for (const [key, value] of this.#of("orphan")) {
      this.#orphans.set(numberOf(key), decodeOrphan(value));
    }
    this.#entries = this.#of("entry").map(([key, value]) => {
      const { inode, since, record } = decodeEntry(value);
      return { parent: numberOf(key) as InodeId, name: nameOf(key), inode, since, record };
    });
  }

  /** I1, Q1, Q3: every inode is referred to exactly as often as is written down. */
  checkReferences(): void {
    const counted = new Map<InodeId, number>();
    const refer = (id: InodeId): unknown => counted.set(id, (counted.get(id) ?? 0) + 1);
    refer(ROOT_INODE);
    const entered = new Set<InodeId>();
    for (const { inode } of this.#entries) {
      this.#expect(!entered.has(inode), `inode ${inode} has two entries`);
      entered.add(inode);
      refer(inode);
    }
    for (const [, value] of this.#of("history")) refer(decodePast(value).inode);
    for (const [, value] of this.#of("trash")) refer(decodeTrashItem(value).inode);
    const written = this.#counts("references");
    for (const [id, count] of counted) {
      this.#expect(this.#inodes.has(id), `inode ${id} is referred to and missing`);
      this.#same(written.get(id) ?? 0, count - 1, `references of inode ${id}`);
    }
    for (const id of this.#inodes.keys()) {
      const isOrphan = this.#orphans.get(id)?.kind === "directory";
      this.#expect(counted.has(id) !== isOrphan, `inode ${id}: orphan ${isOrphan}, and referred`);
    }
    for (const id of written.keys()) {
      this.#expect(counted.has(id as InodeId), `references of missing inode ${id}`);
    }
  }

  /** E1: what an entry holds of a file is what the table has. */
  checkEntries(): void {
    const records = new Map(this.#of("inode").map(([key, value]) => [numberOf(key), value]));
    for (const { name, inode, record } of this.#entries) {
      const kept = records.get(inode);
      const isFile = this.#inodes.get(inode)?.kind === "file";
      const isShort = kept !== undefined && kept.byteLength <= ENTRY_RECORD_BYTES_MAX;
      const expected = isFile && isShort ? kept : undefined;
      this.#same(hexOf(record), hexOf(expected), `record in entry ${name} of inode ${inode}`);
    }
  }

  /** I2, I4, H4, N1, N2, U1: counts, parents and usage of all directories. */
  checkDirectories(): void {
    const children = countBy(this.#entries.map((entry) => entry.parent));
    const history = countBy(this.#of("history").map(([key]) => historyIdOf(key).parent));
    const snapshots = countBy(this.#of("snapshot").map(([key]) => numberOf(key)));
    for (const [id, inode] of this.#inodes) {
      if (inode.kind === "file") continue;
      this.#same(inode.childCount, children.get(id) ?? 0, `child count of ${id}`);
      this.#same(inode.historyCount, history.get(id) ?? 0, `history count of ${id}`);
      this.#same(inode.snapshotCount, snapshots.get(id) ?? 0, `snapshot count of ${id}`);
      this.#checkUsage(id, inode);
    }
    for (const parent of [...children.keys(), ...history.keys(), ...snapshots.keys()]) {
      const kind = this.#inodes.get(parent as InodeId)?.kind;
      this.#same(kind, "directory", `what holds records of ${parent}`);
    }
    this.#same(this.#counter(6), this.#of("snapshot").length, "count of snapshots");
    const named = new Map(this.#entries.map((entry) => [entry.inode, entry]));
    for (const [id, inode] of this.#inodes) {
      if (inode.kind === "file" || id === ROOT_INODE) continue;
      const { parent, name, since } = inode;
      const entry = named.get(id);
      this.#same(parent, entry?.parent, `parent of ${id}`);
      if (entry !== undefined)
        this.#same([name, since], [entry.name, entry.since], `name of ${id}`);
    }
  }

  /** Q2, Q3: contents are shared as often as is written down, or wait to be freed. */
  checkContents(): void {
    const contents = [...this.#contents()];
    const counted = new Map(contents.map(([content, files]) => [content, files.length]));
    const written = this.#counts("shares");
    for (const [content, count] of counted) {
      this.#same(written.get(content) ?? 0, count - 1, `shares of content ${content}`);
      const isOrphan = this.#orphans.get(content)?.kind === "file";
      this.#expect(!isOrphan, `content ${content} is in use and an orphan`);
    }
    for (const id of written.keys()) this.#expect(counted.has(id), `shares of no content ${id}`);
  }

  /** C1 to C3, C5 and Q2: a chunk is released exactly if no content has it. */
  checkChunks(): void {
    const needed = this.#handlesInUse();
    const released = new Set(this.#of("released").map(([key]) => keyNumber(key, 9)));
    for (const [key, value] of this.#of("chunk")) {
      const handle = numberOf(key);
      const { releasedAt, sharers, members, coding } = decodeChunk(value);
      this.#same(new Set(members).size, members.length, `servers of chunk ${handle}`);
      const holders = coding === undefined ? members.length : unitCount(coding);
      this.#same(members.length, holders, `holders of chunk ${handle}`);
      const isReleased = releasedAt !== undefined;
      const contents = needed.get(handle as ChunkHandle) ?? 0;
      this.#same(sharers, Math.max(0, contents - 1), `sharers of chunk ${handle}`);
      this.#same(released.has(handle), isReleased, `mark of chunk ${handle}`);
      this.#same(isReleased, !needed.has(handle as ChunkHandle), `release of chunk ${handle}`);
    }
    const known = new Set(this.#of("chunk").map(([key]) => numberOf(key)));
    for (const handle of needed.keys())
      this.#expect(known.has(handle), `chunk ${handle} is missing`);
  }

  /** C6: the ways from lists to converted chunks, and back. */
  checkConversions(): void {
    const chunks = new Map(
      this.#of("chunk").map(([key, value]) => [numberOf(key), decodeChunk(value)]),
    );
    const ways = new Map(
      this.#of("converted").map(([key, value]) => [numberOf(key), decodeConverted(value)]),
    );
    for (const [listed, handle] of ways) {
      const chunk = chunks.get(handle);
      this.#same(chunk?.listedAs, listed, `list's handle of chunk ${handle}`);
      this.#same(chunk?.releasedAt, undefined, `release of converted chunk ${handle}`);
    }
    for (const [handle, { listedAs }] of chunks) {
      if (listedAs === undefined) continue;
      this.#same(ways.get(listedAs), handle, `way to converted chunk ${handle}`);
    }
    const listed = this.#handlesInUse(false);
    for (const handle of listed.keys()) {
      const isOwn = chunks.get(handle)?.listedAs === undefined;
      this.#expect(isOwn, `a list has the handle of converted chunk ${handle}`);
    }
  }

  /** B1 and B2: who says that the masters keep its bytes has them, and nobody else. */
  checkInline(): void {
    const kept = new Map(
      this.#of("inline").map(([key, value]) => [numberOf(key), bytesOfRecord(value)]),
    );
    let total = 0;
    for (const bytes of kept.values()) total += bytes?.byteLength ?? 0;
    this.#same(this.#counter(COUNTER.inlineChunks), kept.size, "count of inline chunks");
    this.#same(this.#counter(COUNTER.inlineBytes), total, "count of inline bytes");
    for (const [key, value] of this.#of("chunk")) {
      const handle = numberOf(key);
      const { isInline, lengthBytes, crc32c: checksum } = decodeChunk(value);
      const bytes = kept.get(handle);
      this.#same(bytes !== undefined, isInline, `bytes of chunk ${handle} with the masters`);
      if (bytes === undefined) continue;
      const found = [bytes.byteLength, crc32c(bytes)];
      this.#same(found, [lengthBytes, checksum], `inline bytes of chunk ${handle}`);
      kept.delete(handle);
    }
    this.#same([...kept.keys()], [], "inline bytes of no chunk");
  }

  /** L1 and L2, and how many tails there are. */
  checkTails(): void {
    const tails = new Map(
      this.#of("tail").map(([key, value]) => [numberOf(key), decodeTail(value)]),
    );
    this.#same(this.#counter(COUNTER.tails), tails.size, "count of tails");
    const chunks = new Set(this.#of("chunk").map(([key]) => numberOf(key)));
    for (const [handle, { inode: id, place }] of tails) {
      const file = this.#inodes.get(id);
      const named = this.#entries.some((entry) => {
        return entry.inode === id && entry.parent === place.parent && entry.name === place.name;
      });
      this.#expect(named, `tail ${handle} has no file at its place`);
      this.#expect(
        file?.kind === "file" && file.tail === handle,
        `tail ${handle} is not its file's`,
      );
      this.#expect(!chunks.has(handle), `tail ${handle} is in the table of chunks`);
    }
    for (const [id, inode] of this.#inodes) {
      if (inode.kind !== "file" || inode.tail === undefined) continue;
      this.#expect(tails.has(inode.tail), `tail of file ${id} is missing`);
    }
  }

  /** X1: files that expire are found when they are due. */
  checkExpiries(): void {
    const records = new Set(
      this.#of("expiry").map(([key]) => {
        const { parent, name } = expiryOf(key);
        return `${parent}/${name}`;
      }),
    );
    for (const { parent, name, inode: id } of this.#entries) {
      const inode = this.#inodes.get(id);
      if (inode?.kind !== "file" || inode.expiresAt === 0) continue;
      this.#expect(records.has(`${parent}/${name}`), `no expiry of ${parent}/${name}`);
    }
  }

  /** J1, J2, M1, M2: jobs that are open are named, and moves are those of their jobs. */
  checkMoves(): void {
    const jobs = new Map(this.#of("job").map(([key, value]) => [numberOf(key), decodeJob(value)]));
    const open = new Map<string, number>();
    for (const [id, job] of jobs) {
      if (isOpen(job)) open.set(`${jobKindNumber(job.kind)}/${job.subject ?? 0}`, id);
    }
    const named = this.#of("openJob").map(([key]) => `${key[1]}/${keyNumber(key, 2)}`);
    this.#same([...named].sort(), [...open.keys()].sort(), "open jobs");
    const moves = this.#of("move").map(([key, value]) => ({
      handle: numberOf(key),
      ...decodeMove(value),
    }));
    const counts = countBy(moves.map((move) => move.job));
    for (const [id, job] of jobs) this.#same(job.moves, counts.get(id) ?? 0, `moves of job ${id}`);
    const chunks = new Map(
      this.#of("chunk").map(([key, value]) => [numberOf(key), decodeChunk(value)]),
    );
    for (const { handle, job, target, leaving } of moves) {
      this.#expect(jobs.has(job), `job ${job} of a move is missing`);
      const members = chunks.get(handle)?.members ?? [];
      const leaves = leaving === undefined || members.includes(leaving);
      this.#expect(leaves, `${leaving} leaves chunk ${handle} and is no member`);
      const isNew = target === leaving || !members.includes(target);
      this.#expect(isNew && 0 < members.length, `target ${target} of chunk ${handle}`);
    }
  }

  #checkUsage(id: InodeId, inode: DirectoryInode): void {
    // What an orphan held is being taken from it without counting.
    if (this.#isBeingReaped(id)) return;
    let [sizeBytes, files, directories] = [0, 0, 0];
    for (const { parent, inode: child } of this.#entries) {
      const node = parent === id ? this.#inodes.get(child) : undefined;
      if (node === undefined) continue;
      const more = usageOf(node);
      sizeBytes += more.sizeBytes;
      files += more.files;
      directories += more.directories;
    }
    const usage: Usage = { sizeBytes, files, directories };
    this.#same(inode.usage, usage, `usage of ${id}`);
  }

  #isBeingReaped(id: InodeId): boolean {
    return this.#orphans.get(id)?.kind === "directory";
  }

  /** Contents, with the files that have them. */
  #contents(): ReadonlyMap<number, readonly FileInode[]> {
    const contents = new Map<number, FileInode[]>();
    for (const [id, inode] of this.#inodes) {
      if (inode.kind !== "file") continue;
      const content = contentOf(id, inode);
      contents.set(content, [...(contents.get(content) ?? []), inode]);
    }
    return contents;
  }

  /** How many contents have each chunk: under its own handle, or under the one in lists. */
  #handlesInUse(isOwn = true): ReadonlyMap<ChunkHandle, number> {
    const ways = new Map(
      this.#of("converted").map(([key, value]) => [numberOf(key), decodeConverted(value)]),
    );
    const pages = new Map<number, ChunkHandle[]>();
    for (const [key, value] of this.#of("page")) {
      const content = numberOf(key);
      pages.set(content, [...(pages.get(content) ?? []), ...decodePage(value).handles]);
    }
    const needed = new Map<ChunkHandle, number>();
    const need = (handles: Iterable<ChunkHandle>): void => {
      for (const listed of handles) {
        const handle = isOwn ? (ways.get(listed) ?? listed) : listed;
        needed.set(handle, (needed.get(handle) ?? 0) + 1);
      }
    };
    for (const [content, files] of this.#contents()) {
      const ofContent = new Set<ChunkHandle>();
      for (const { inline, chunkCount } of files) {
        const handles = inline.length < chunkCount ? (pages.get(content) ?? []) : inline;
        this.#same(handles.length, chunkCount, `chunks of content ${content}`);
        for (const handle of handles) ofContent.add(handle);
      }
      need(ofContent);
      pages.delete(content);
    }
    const uploads = new Map(
      this.#of("upload").map(([key, value]) => [numberOf(key), decodeUpload(value)]),
    );
    for (const [content, handles] of pages) {
      const left = this.#orphans.get(content);
      const upload = uploads.get(content);
      const count = left?.kind === "file" ? left.chunks : upload?.content.count;
      this.#same(handles.length, count, `chunks left of content ${content}`);
      need(handles);
    }
    return needed;
  }

  #counts(table: "references" | "shares"): ReadonlyMap<number, number> {
    return new Map(this.#of(table).map(([key, value]) => [numberOf(key), countOf(value)]));
  }

  #counter(which: number): number {
    const pair = this.#of("counter").find(([key]) => key[1] === which);
    return pair === undefined
      ? 0
      : Number(new DataView(pair[1].slice().buffer).getBigUint64(0, true));
  }

  #of(table: keyof typeof TABLE): readonly Pair[] {
    return this.#tables.get(TABLE[table]) ?? [];
  }

  #same(actual: unknown, expected: unknown, what: string): void {
    const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (a !== e) this.faults.push(`${what}: ${a}, expected ${e}`);
  }

  #expect(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault);
  }
}

function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("hex");
}

function countBy(ids: readonly number[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

function keyNumber(key: Uint8Array, at: number): number {
  return Number(new DataView(key.slice().buffer).getBigUint64(at));
}
