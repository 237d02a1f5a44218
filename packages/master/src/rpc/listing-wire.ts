// A page of a directory as its answer shows it: domain → proto. The packed form, in which a file is
// a row of fixed width, is laid out in namespace_service.proto. Most entries fit into it; what does
// not is told in full beside it.

import { ByteWriter } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import { FILE_NUMBERS_BYTES, type FileInode, fileNumbersAt } from "../metadata/inode-record.js";
import { ENTRY_NAME_AT } from "../metadata/keys.js";
import {
  bytesOfListed,
  type DirectoryPage,
  type EntryPage,
  type ListedInode,
  listedInode,
  PAGE_BYTES_MAX,
} from "../metadata/queries.js";
import type { StateView } from "../metadata/state.js";
import { encodeFile } from "./inode-wire.js";

type Listing = lumeo.master.v1.IListing;

export interface PackedListing extends Listing {
  readonly packed: { names: Uint8Array; rows: Uint8Array; contentTypes: string[] };
}

const ROW = { entry: 0, plainFile: 1, file: 2 } as const;
const PLAIN_ROW_BYTES = 9 + FILE_NUMBERS_BYTES;
/** A name of usual length. */
const NAME_BYTES = 24;
const SLASH = 0x2f;
/** The number of an inode lies in its entry behind the version. */
const INODE_AT = 1;
/** Content types have one byte, and 0 is for none. */
const CONTENT_TYPES_MAX = 255;

/** Every entry in full. */
export function encodeListing({ entries, hasMore }: DirectoryPage): Listing {
  return { entries: entries.map((entry) => encodeFile(entry.path, entry)), more: hasMore };
}

/** Rows for the files that fit into one. */
export function packListing({ entries, hasMore }: DirectoryPage): PackedListing {
  const packer = new Packer(entries.length);
  for (const entry of entries) packer.add(entry);
  return packer.finish(hasMore);
}

/** The same from entries as the state has them: most are copied without being read. */
export function packEntries(view: StateView, page: EntryPage): PackedListing {
  const { path, pairs, hasMore } = page;
  const packer = new Packer(pairs.length);
  for (const pair of pairs) {
    if (packer.isFull) return packer.finish(true);
    if (packer.addPlain(pair)) continue;
    const listed = listedInode(view, path, pair);
    if (listed !== undefined) packer.add(listed);
  }
  return packer.finish(hasMore);
}

class Packer {
  readonly #names: ByteWriter;
  readonly #rows: ByteWriter;
  readonly #full: lumeo.master.v1.IFileInfo[] = [];
  readonly #types = new ContentTypes();
  /** Of what does not fit into rows. */
  #fullBytes = 0;

  /** @param count  Entries that are expected. */
  constructor(count: number) {
    this.#names = new ByteWriter(count * NAME_BYTES);
    this.#rows = new ByteWriter(count * PLAIN_ROW_BYTES);
  }

  /** Nothing more fits into the answer. */
  get isFull(): boolean {
    return PAGE_BYTES_MAX <= this.#fullBytes;
  }

  /** @returns Whether it was a file that is copied as it is; otherwise nothing was done. */
  addPlain([key, value]: EntryPage["pairs"][number]): boolean {
    const at = fileNumbersAt(value);
    if (at === undefined) return false;
    this.#beginName().part(key, ENTRY_NAME_AT, key.byteLength);
    this.#rows.u8(ROW.plainFile).part(value, INODE_AT, INODE_AT + 8);
    this.#rows.part(value, at, at + FILE_NUMBERS_BYTES);
    return true;
  }

  add(entry: ListedInode): void {
    const { inode, name } = entry;
    this.#beginName().utf8(name);
    const type =
      inode.kind === "file" && fitsRow(inode) ? this.#types.place(inode.contentType) : -1;
    if (0 <= type) {
      this.#addRow(entry, inode as FileInode, type);
    } else {
      this.#rows.u8(ROW.entry);
      this.#full.push(encodeFile(entry.path, entry));
      this.#fullBytes += bytesOfListed(entry);
    }
  }

  finish(hasMore: boolean): PackedListing {
    const names = this.#names.finish();
    const rows = this.#rows.finish();
    const packed = { names, rows, contentTypes: this.#types.texts };
    return { entries: this.#full, more: hasMore, packed };
  }

  #beginName(): ByteWriter {
    return this.#rows.length === 0 ? this.#names : this.#names.u8(SLASH);
  }

  #addRow({ id }: ListedInode, file: FileInode, type: number): void {
    const rows = this.#rows.u8(ROW.file).u53(id);
    rows.u53(file.sizeBytes).u32(file.crc32c).u32(file.chunkSizeBytes).u8(file.replicas);
    rows.u53(file.revision).u53(file.createdAt).u53(file.modifiedAt).u53(file.chunkCount);
    rows.u53(file.expiresAt).u8(type);
  }
}

function fitsRow({ metadata, tags, code }: FileInode): boolean {
  if (code !== undefined) return false;
  for (const _ in metadata) return false;
  for (const _ in tags) return false;
  return true;
}

/** The content types of one page, each told once. */
class ContentTypes {
  readonly texts: string[] = [];
  readonly #places = new Map<string, number>();

  /** 0 for no type; -1 if there is no place left for it. */
  place(type: string): number {
    if (type === "") return 0;
    const known = this.#places.get(type);
    if (known !== undefined) return known;
    if (CONTENT_TYPES_MAX <= this.texts.length) return -1;
    this.texts.push(type);
    this.#places.set(type, this.texts.length);
    return this.texts.length;
  }
}
