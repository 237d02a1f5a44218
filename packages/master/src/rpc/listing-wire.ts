// A page of a directory as its answer shows it: domain → proto. The packed form, in which a file is
// a row of fixed width, is laid out in namespace_service.proto. Most entries fit into it; what does
// not is told in full beside it.

import { ByteWriter } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { FileInode } from "../metadata/inode-record.js";
import type { DirectoryPage, ListedInode } from "../metadata/queries.js";
import { encodeFile } from "./inode-wire.js";

type Listing = lumeo.master.v1.IListing;

const ROW = { entry: 0, file: 1 } as const;
const FILE_ROW_BYTES = 63;
/** Content types have one byte, and 0 is for none. */
const CONTENT_TYPES_MAX = 255;
const CHUNKS_MAX = 2 ** 32 - 1;

/** Every entry in full. */
export function encodeListing({ entries, hasMore }: DirectoryPage): Listing {
  return { entries: entries.map((entry) => encodeFile(entry.path, entry)), more: hasMore };
}

/** Rows for the files that fit into one. */
export function packListing({ entries, hasMore }: DirectoryPage): Listing {
  const rows = new ByteWriter(FILE_ROW_BYTES * entries.length);
  const names: string[] = [];
  const full: lumeo.master.v1.IFileInfo[] = [];
  const types = new ContentTypes();
  for (const entry of entries) {
    const { inode, name } = entry;
    names.push(name);
    const type = inode.kind === "file" && fitsRow(inode) ? types.place(inode.contentType) : -1;
    if (0 <= type) {
      writeRow(rows, entry, inode as FileInode, type);
    } else {
      rows.u8(ROW.entry);
      full.push(encodeFile(entry.path, entry));
    }
  }
  const packed = { names: names.join("/"), rows: rows.finish(), contentTypes: types.texts };
  return { entries: full, more: hasMore, packed };
}

function fitsRow({ metadata, tags, chunkCount }: FileInode): boolean {
  for (const _ in metadata) return false;
  for (const _ in tags) return false;
  return chunkCount <= CHUNKS_MAX;
}

function writeRow(rows: ByteWriter, { id }: ListedInode, file: FileInode, type: number): void {
  rows.u8(ROW.file);
  rows.u53(file.sizeBytes).u53(file.revision).u53(file.createdAt).u53(file.modifiedAt);
  rows.u53(id).u53(file.expiresAt);
  rows.u32(file.crc32c).u32(file.chunkSizeBytes).u32(file.chunkCount);
  rows.u8(file.replicas).u8(type);
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
