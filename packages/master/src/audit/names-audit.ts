// Whether the metadata is of one piece, out of a state that does not change: everything that refers
// to a file is followed to its chunks, and everything that is counted is counted again.
//
// N1. Memory is bounded: ids are counted in windows (count-window.ts), a pass for each.
// N2. The first pass follows names, history and trash to inodes and chunks, and adds directories
//     up; every pass compares counts of references for the ids of its window.
// N3. A chunk that still grows has no record in the table of chunks: tail-table.ts has it, and its
//     file names it beside its list. It is not looked at here.
// N4. The bytes of small files that the masters keep are read in the end, all of them.

import { type ChunkHandle, type InodeId, ROOT_INODE } from "@lumeofs/base";
import { decodeChunk, getPage, listedChunk, PAGE_CHUNKS } from "../metadata/chunk-table.js";
import { decodePast } from "../metadata/history.js";
import {
  contentOf,
  decodeEntry,
  decodeInode,
  type FileInode,
  type Inode,
} from "../metadata/inode-record.js";
import { decodeOrphan, getEntered, getInode, getOrphan } from "../metadata/inodes.js";
import {
  allEntries,
  chunksAfter,
  contentReferencesKey,
  entryParentOf,
  historyBehind,
  historyIdOf,
  inlineKey,
  inodesAfter,
  nameOf,
  numberOf,
  orphansAfter,
  referencesAfter,
  referencesKey,
  sharesAfter,
  trashAfter,
  uploadsAfter,
} from "../metadata/keys.js";
import { countOf } from "../metadata/references.js";
import type { StateReader } from "../metadata/state.js";
import { decodeTrashItem } from "../metadata/trash.js";
import { decodeUpload } from "../metadata/uploads.js";
import { checkFile, pagesOfFile } from "./chunk-lists.js";
import { COUNT_MAX, CountWindow, WINDOW_PAGES_MAX } from "./count-window.js";
import { DirectorySums } from "./directory-sums.js";
import type { AuditCounts, AuditStep, NameFinding } from "./finding.js";
import { auditInlineBytes } from "./inline-bytes.js";
import { type Pair, pagesOf, pathOf } from "./records.js";

type Steps = AsyncGenerator<AuditStep, void, undefined>;

/**
 * Audits a whole state, a page of records a step.
 *
 * @param reader  Must not change meanwhile.
 */
export function auditNames(reader: StateReader, pagesMax = WINDOW_PAGES_MAX): Steps {
  return new NamesAudit(reader, pagesMax).run();
}

class NamesAudit {
  readonly #reader: StateReader;
  readonly #pagesMax: number;
  readonly #counts = { records: 0, files: 0, chunks: 0, inlineBytes: 0 };
  /** Directories that have entries, and history, by their own word. */
  readonly #filled = { entries: 0, history: 0 };
  /** Undefined after the first pass (N2). */
  #sums: { readonly entries: DirectorySums; readonly history: DirectorySums } | undefined;

  constructor(reader: StateReader, pagesMax: number) {
    this.#reader = reader;
    this.#pagesMax = pagesMax;
    this.#sums = {
      entries: new DirectorySums(reader, "entries"),
      history: new DirectorySums(reader, "history"),
    };
  }

  async *run(): Steps {
    for (let from = 0; from < Number.POSITIVE_INFINITY; ) {
      const references = new CountWindow(from, this.#pagesMax);
      const shares = new CountWindow(from, this.#pagesMax);
      yield* this.#countReferences(references);
      yield* this.#countShares(shares);
      const to = Math.min(references.to, shares.to);
      yield* this.#compareReferences(references, to);
      yield* this.#compareShares(shares, to);
      if (from === 0) yield* this.#compareDirectories();
      from = to;
    }
    for (let from = 0; from < Number.POSITIVE_INFINITY; ) {
      const needed = new CountWindow(from, this.#pagesMax);
      const shared = new CountWindow(0, this.#pagesMax);
      yield* this.#countChunks(needed, shared);
      yield* this.#compareChunks(needed, shared.to === Number.POSITIVE_INFINITY);
      from = needed.to;
    }
    for await (const { records, bytes, findings } of auditInlineBytes(this.#reader)) {
      this.#counts.records += records;
      this.#counts.inlineBytes += bytes;
      yield this.#step(findings);
    }
  }

  async *#countReferences(counted: CountWindow): Steps {
    const reader = this.#reader;
    const sums = this.#sums;
    counted.add(ROOT_INODE);
    for await (const page of this.#pages(allEntries())) {
      for (const [key, value] of page) {
        const entry = decodeEntry(value);
        counted.add(entry.inode);
        if (sums === undefined) continue;
        const parent = entryParentOf(key) as InodeId;
        const node = getEntered(reader, entry);
        const path = (): string => pathOf(reader, parent, nameOf(key));
        yield* this.#follow(entry.inode, node, path);
        yield* this.#told(sums.entries.add(parent, node));
      }
      yield this.#step();
    }
    for await (const page of this.#pages(historyBehind(undefined))) {
      for (const [key, value] of page) {
        const { inode } = decodePast(value);
        counted.add(inode);
        if (sums === undefined) continue;
        const { parent, name, ended } = historyIdOf(key);
        const path = (): string => `${pathOf(reader, parent, name)} (until revision ${ended})`;
        yield* this.#follow(inode, getInode(reader, inode), path);
        yield* this.#told(sums.history.add(parent, undefined));
      }
      yield this.#step();
    }
    for await (const page of this.#pages(trashAfter(0))) {
      for (const [, value] of page) {
        const item = decodeTrashItem(value);
        counted.add(item.inode);
        if (sums === undefined) continue;
        const path = (): string => `${item.path} (in the trash)`;
        yield* this.#follow(item.inode, getInode(reader, item.inode), path);
      }
      yield this.#step();
    }
    if (sums === undefined) return;
    yield* this.#told([...sums.entries.end(), ...sums.history.end()]);
  }

  /** Whether what is referred to is there, and its chunks as it says. */
  *#follow(
    id: InodeId,
    node: Inode | undefined,
    path: () => string,
  ): Generator<AuditStep, void, void> {
    if (node === undefined) {
      const what = `it leads to inode ${id}, which is not there`;
      return yield* this.#told([finding("dangling", path(), what, { inode: id })]);
    }
    if (node.kind === "directory") return;
    this.#counts.files++;
    for (const { chunks, findings } of checkFile(this.#reader, { path: "", id, file: node })) {
      this.#counts.chunks += chunks;
      const named = findings.map((one) => ({ ...one, path: path() }));
      if (0 < named.length || 0 < node.chunkCount - node.inline.length) yield this.#step(named);
    }
  }

  async *#countShares(counted: CountWindow): Steps {
    for await (const page of this.#pages(inodesAfter(0))) {
      for (const [id, inode] of inodesOf(page)) {
        if (inode.kind === "file") counted.add(contentOf(id, inode));
        else if (this.#sums !== undefined) this.#noteFilled(inode);
      }
      yield this.#step();
    }
  }

  #noteFilled({ childCount, historyCount }: Exclude<Inode, FileInode>): void {
    if (0 < childCount) this.#filled.entries++;
    if (0 < historyCount) this.#filled.history++;
  }

  async *#compareReferences(counted: CountWindow, to: number): Steps {
    const reader = this.#reader;
    for await (const page of this.#pages(inodesAfter(0))) {
      const findings: NameFinding[] = [];
      for (const [id] of inodesOf(page)) {
        if (id < counted.from || to <= id) continue;
        const found = counted.countOf(id);
        const record = reader.get(referencesKey(id));
        const said = (record === undefined ? 0 : countOf(record)) + 1;
        const isOrphan = getOrphan(reader, id)?.kind === "directory";
        if (found === COUNT_MAX || found === (isOrphan ? 0 : said)) continue;
        const what = `inode ${id} is referred to ${found} times, expected ${isOrphan ? 0 : said}`;
        findings.push(finding("referenceCount", "", what, { inode: id }));
      }
      yield this.#step(findings);
    }
    for await (const page of this.#pages(referencesAfter(0))) {
      const lost = page
        .map(([key]) => numberOf(key) as InodeId)
        .filter((id) => {
          return counted.from <= id && id < to && getInode(reader, id) === undefined;
        });
      const what = "references are counted of an inode that is not there";
      yield this.#step(lost.map((inode) => finding("referenceCount", "", what, { inode })));
    }
  }

  async *#compareShares(counted: CountWindow, to: number): Steps {
    const reader = this.#reader;
    for (const id of counted.ids()) {
      if (to <= id) break;
      const record = reader.get(contentReferencesKey(id as InodeId));
      const said = (record === undefined ? 0 : countOf(record)) + 1;
      const found = counted.countOf(id);
      if (found === COUNT_MAX || found === said) continue;
      const what = `content ${id} is that of ${found} files, expected ${said}`;
      yield* this.#told([finding("referenceCount", "", what, { inode: id })]);
    }
    for await (const page of this.#pages(sharesAfter(0))) {
      const lost = page
        .map(([key]) => numberOf(key))
        .filter((id) => {
          return counted.from <= id && id < to && counted.countOf(id) === 0;
        });
      const what = "files are counted of a content that none has";
      yield this.#step(lost.map((inode) => finding("referenceCount", "", what, { inode })));
    }
  }

  /** A directory that says it holds something, and has no record at all, was in no sum. */
  async *#compareDirectories(): Steps {
    const sums = this.#sums;
    this.#sums = undefined;
    for (const of of ["entries", "history"] as const) {
      const [found, said] = [sums?.[of].directories ?? 0, this.#filled[of]];
      if (found === said) continue;
      const what = `${said} directories say that they have ${of}, and ${found} do`;
      yield* this.#told([finding("directory", "", what, {})]);
    }
  }

  /**
   * Whatever has a chunk: files of all kinds, uploads, contents that are being freed. A content
   * that several files share counts once.
   */
  async *#countChunks(needed: CountWindow, shared: CountWindow): Steps {
    const reader = this.#reader;
    for await (const page of this.#pages(inodesAfter(0))) {
      for (const [id, inode] of inodesOf(page)) {
        if (inode.kind === "directory" || isRepeated(reader, contentOf(id, inode), shared))
          continue;
        for (const { handles } of pagesOfFile(reader, id, inode)) {
          for (const handle of handles) needed.add(this.#kept(handle));
          if (inode.inline.length < inode.chunkCount) yield this.#step();
        }
      }
      yield this.#step();
    }
    for await (const page of this.#pages(uploadsAfter(0))) {
      for (const [key, value] of page) {
        const { path, content } = decodeUpload(value);
        const what = `the upload of "${path}"`;
        yield* this.#countPages(needed, numberOf(key), { count: content.count, what });
      }
    }
    for await (const page of this.#pages(orphansAfter(0))) {
      for (const [key, value] of page) {
        const orphan = decodeOrphan(value);
        if (orphan.kind === "directory") continue;
        const what = "a content that is being freed";
        yield* this.#countPages(needed, numberOf(key), { count: orphan.chunks, what });
      }
    }
  }

  *#countPages(
    needed: CountWindow,
    content: number,
    { count, what }: { readonly count: number; readonly what: string },
  ): Generator<AuditStep, void, void> {
    let found = 0;
    for (let page = 0; page < Math.ceil(count / PAGE_CHUNKS); page++) {
      const handles = getPage(this.#reader, content as InodeId, page);
      found += handles.length;
      for (const handle of handles) needed.add(this.#kept(handle));
      yield this.#step();
    }
    if (found === count || 0 < needed.from) return;
    const wrong = `${what} has ${found} chunks, expected ${count}`;
    yield* this.#told([finding("chunkList", "", wrong, { inode: content })]);
  }

  /** What a handle in a list stands for. */
  #kept(listed: ChunkHandle): ChunkHandle {
    return listedChunk(this.#reader, listed)?.handle ?? listed;
  }

  /** @param isExact  No content was counted more than once. */
  async *#compareChunks(needed: CountWindow, isExact: boolean): Steps {
    for await (const page of this.#pages(chunksAfter(0))) {
      const findings: NameFinding[] = [];
      for (const [key, value] of page) {
        const handle = numberOf(key);
        const { releasedAt, inode, sharers, isInline } = decodeChunk(value);
        if (!needed.covers(handle)) continue;
        if (isInline && this.#reader.get(inlineKey(handle as ChunkHandle)) === undefined) {
          const what = "the masters keep it, and its bytes are missing";
          findings.push(finding("inlineBytes", "", what, { inode, handle }));
        }
        if (releasedAt !== undefined) continue;
        const found = needed.countOf(handle);
        if (found === 0) {
          const what = "it is kept, and no file, version, snapshot, upload or trash has it";
          findings.push(finding("unreferenced", "", what, { inode, handle }));
        } else if (isExact && found < COUNT_MAX && found !== sharers + 1) {
          const what = `chunk ${handle} is in ${found} contents, expected ${sharers + 1}`;
          findings.push(finding("referenceCount", "", what, { inode, handle }));
        }
      }
      yield this.#step(findings);
    }
  }

  async *#pages(range: Parameters<typeof pagesOf>[1]): AsyncGenerator<readonly Pair[]> {
    for await (const page of pagesOf(this.#reader, range)) {
      this.#counts.records += page.length;
      yield page;
    }
  }

  *#told(findings: readonly NameFinding[]): Generator<AuditStep, void, void> {
    if (0 < findings.length) yield this.#step(findings);
  }

  #step(findings: readonly NameFinding[] = []): AuditStep {
    const counts: AuditCounts = { ...this.#counts };
    return { counts, findings };
  }
}

/**
 * Whether a content was met before. Of those that are left to another window, it is not known: then
 * they count too often, which `compareChunks` is told.
 */
function isRepeated(reader: StateReader, content: InodeId, shared: CountWindow): boolean {
  if (reader.get(contentReferencesKey(content)) === undefined || !shared.covers(content)) {
    return false;
  }
  shared.add(content);
  return shared.covers(content) && 1 < shared.countOf(content);
}

function* inodesOf(page: readonly Pair[]): Generator<readonly [InodeId, Inode], void, void> {
  for (const [key, value] of page) yield [numberOf(key) as InodeId, decodeInode(value)];
}

function finding(
  fault: NameFinding["fault"],
  path: string,
  what: string,
  { inode = 0, handle = 0 }: { readonly inode?: number; readonly handle?: number },
): NameFinding {
  return { fault, path, inode, handle, what };
}
