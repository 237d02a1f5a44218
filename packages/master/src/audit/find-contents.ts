// Which names lead to contents that are known by number only: chunk records say whose they are, and
// not where that is.

import type { InodeId } from "@lumeofs/base";
import { decodePast } from "../metadata/history.js";
import { contentOf, decodeEntry, type Inode } from "../metadata/inode-record.js";
import { getEntered, getInode } from "../metadata/inodes.js";
import {
  allEntries,
  entryParentOf,
  historyBehind,
  historyIdOf,
  nameOf,
  numberOf,
  trashAfter,
  uploadsAfter,
} from "../metadata/keys.js";
import type { StateReader } from "../metadata/state.js";
import { decodeTrashItem } from "../metadata/trash.js";
import { decodeUpload } from "../metadata/uploads.js";
import { pagesOf, pathOf } from "./records.js";

export interface ContentPlace {
  readonly content: InodeId;
  readonly path: string;
}

/**
 * Where the wanted contents are, one place for each: a name that there is now before what is kept
 * of the past. Walks all names until all are found; a page of them a step, with what was found.
 *
 * @param reader  Must not change meanwhile.
 */
export async function* findContents(
  reader: StateReader,
  wanted: readonly InodeId[],
): AsyncGenerator<readonly ContentPlace[], void, undefined> {
  const missing = new Set(wanted);
  const places = (id: InodeId, node: Inode | undefined, path: () => string): ContentPlace[] => {
    if (node?.kind !== "file") return [];
    const content = contentOf(id, node);
    return missing.delete(content) ? [{ content, path: path() }] : [];
  };
  for await (const page of pagesOf(reader, allEntries())) {
    if (missing.size === 0) return;
    yield page.flatMap(([key, value]) => {
      const entry = decodeEntry(value);
      if (entry.kind === "directory") return [];
      const parent = entryParentOf(key) as InodeId;
      const path = (): string => pathOf(reader, parent, nameOf(key));
      return places(entry.inode, getEntered(reader, entry), path);
    });
  }
  for await (const page of pagesOf(reader, historyBehind(undefined))) {
    yield page.flatMap(([key, value]) => {
      const { inode } = decodePast(value);
      const { parent, name, ended } = historyIdOf(key);
      const path = (): string => `${pathOf(reader, parent, name)} (until revision ${ended})`;
      return places(inode, getInode(reader, inode), path);
    });
  }
  for await (const page of pagesOf(reader, trashAfter(0))) {
    yield page.flatMap(([, value]) => {
      const { inode, path } = decodeTrashItem(value);
      return places(inode, getInode(reader, inode), () => `${path} (in the trash)`);
    });
  }
  for await (const page of pagesOf(reader, uploadsAfter(0))) {
    yield page.flatMap(([key, value]) => {
      const content = numberOf(key) as InodeId;
      const { path } = decodeUpload(value);
      return missing.delete(content) ? [{ content, path: `${path} (being written)` }] : [];
    });
  }
}
