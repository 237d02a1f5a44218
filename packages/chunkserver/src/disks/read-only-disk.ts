// A disk that is only read any more: it has failed, and what can still be read of it is carried to
// another one. Nothing is made durable here, because nothing rests on it.

import { type Disk, type File, LumeoError } from "@lumeofs/base";

/** The same disk, of which nothing is changed. */
export function readOnly(disk: Disk): Disk {
  return {
    open: async (path) => readOnlyFile(await disk.open(path, { create: false })),
    list: (folder) => disk.list(folder),
    exists: (path) => disk.exists(path),
    makeFolder: () => Promise.resolve(),
    rename: refuse,
    remove: refuse,
    syncFolder: () => Promise.resolve(),
    space: () => disk.space(),
  };
}

function readOnlyFile(file: File): File {
  return {
    readAt: (into, position) => file.readAt(into, position),
    writeAt: refuse,
    writeDurably: refuse,
    sync: () => Promise.resolve(),
    truncate: () => Promise.resolve(),
    size: () => file.size(),
    close: () => file.close(),
  };
}

function refuse(): Promise<never> {
  return Promise.reject(new LumeoError("STORE_FAILED", "Cannot write: the disk has failed"));
}
