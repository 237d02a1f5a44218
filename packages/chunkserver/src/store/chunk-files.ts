// The files of large chunks: names, and what is left over after a crash.

import { type ChunkHandle, chunkHandle, type Disk } from "@lumeofs/base";
import type { ChunkEntry } from "./record.js";

export const CHUNKS_FOLDER = "chunks";
const FOLDERS = 64;

/** Which file: a chunk that is written twice has two until the log decides. */
export interface ChunkFileName {
  readonly handle: ChunkHandle;
  readonly fileId: number;
}

export function chunkFolder(handle: ChunkHandle): string {
  return folderOf(handle % FOLDERS);
}

export function chunkPath({ handle, fileId }: ChunkFileName): string {
  return `${chunkFolder(handle)}/${handle.toString(16).padStart(14, "0")}-${fileId}`;
}

/** Makes all folders, durably: also those that a killed process has made but not synced. */
export async function makeChunkFolders(disk: Disk): Promise<void> {
  const known = new Set(await disk.list(CHUNKS_FOLDER));
  await disk.makeFolder(CHUNKS_FOLDER);
  for (let n = 0; n < FOLDERS; n++) {
    if (!known.has(hex(n))) await disk.makeFolder(folderOf(n));
  }
  await disk.syncFolder(CHUNKS_FOLDER);
  await disk.syncFolder("");
}

/** Those of the chunks that have lost their file, as far as that was not known. */
export async function withoutFile(
  disk: Disk,
  entries: readonly ChunkEntry[],
): Promise<readonly ChunkEntry[]> {
  const lost: ChunkEntry[] = [];
  for (const entry of entries) {
    const { handle, home, isDamaged } = entry;
    if (home.kind !== "file" || isDamaged) continue;
    if (!(await disk.exists(chunkPath({ handle, fileId: home.fileId })))) lost.push(entry);
  }
  return lost;
}

/** Every chunk file there is. Files with other names are not ours and are left alone. */
export async function* listChunkFiles(disk: Disk): AsyncGenerator<ChunkFileName, void, void> {
  for (let n = 0; n < FOLDERS; n++) {
    for (const name of await disk.list(folderOf(n))) {
      const match = /^([0-9a-f]{14})-(\d{1,16})$/.exec(name);
      const handle = Number.parseInt(match?.[1] ?? "0", 16);
      if (match === null || !Number.isSafeInteger(handle) || handle === 0) continue;
      yield { handle: chunkHandle(handle), fileId: Number(match[2]) };
    }
  }
}

function folderOf(n: number): string {
  return `${CHUNKS_FOLDER}/${hex(n)}`;
}

function hex(n: number): string {
  return n.toString(16).padStart(2, "0");
}
