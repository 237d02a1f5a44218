// Disks, and the indexes on them, of which every call that takes a thread is watched: see
// disk-watch.ts.

import type { Disk, File } from "@lumeofs/base";
import type { ChunkserverHost } from "../host.js";
import type { ChunkIndex } from "../store/chunk-index.js";
import { DiskWatch, type DiskWatchOptions } from "./disk-watch.js";

export interface WatchLimits extends Pick<DiskWatchOptions, "suspectMs" | "stuckMs"> {
  /** Threads of this process that calls may block, of all disks together; undefined for any. */
  readonly threads: number | undefined;
}

/** For what needs a thread and no disk: names of hosts are looked up there. */
const SPARE_THREADS = 1;

/** How many calls of each disk may block a thread, so that all disks together leave some. */
function callsPerDisk(threads: number, disks: number): number {
  return Math.max(1, Math.floor((threads - SPARE_THREADS) / disks));
}

type OpenDisk = Pick<ChunkserverHost, "openDisk">;

/** The folders of a chunkserver, each with a watch. */
export class WatchedFolders implements OpenDisk {
  readonly #host: OpenDisk;
  readonly #watches: ReadonlyMap<string, DiskWatch>;

  constructor(
    folders: readonly string[],
    host: OpenDisk & Pick<ChunkserverHost, "timers">,
    { suspectMs, stuckMs, threads }: WatchLimits,
  ) {
    this.#host = host;
    const { timers } = host;
    const callsMax = threads === undefined ? undefined : callsPerDisk(threads, folders.length);
    this.#watches = new Map(
      folders.map((folder) => {
        return [folder, new DiskWatch({ timers, folder, suspectMs, stuckMs, callsMax })];
      }),
    );
  }

  watchOf(folder: string): DiskWatch | undefined {
    return this.#watches.get(folder);
  }

  async openDisk(folder: string, how: { readonly make: boolean }): Promise<Disk> {
    const watch = this.#watches.get(folder);
    if (watch === undefined) return this.#host.openDisk(folder, how);
    return watchedDisk(await watch.run("open", () => this.#host.openDisk(folder, how)), watch);
  }

  /** Ends the watches of all folders but these. */
  async closeAllBut(kept: readonly string[]): Promise<void> {
    for (const [folder, watch] of this.#watches) {
      if (!kept.includes(folder)) await watch.close();
    }
  }
}

export function watchedDisk(disk: Disk, watch: DiskWatch): Disk {
  const open: Disk["open"] = async (path, options) => {
    const file = await disk.open(path, options);
    // It comes too late for whoever asked for it.
    if (watch.isStuck) file.close().catch(() => undefined);
    return watchedFile(file, path, watch);
  };
  return {
    open: (path, options) => watch.run(`open ${path}`, () => open(path, options)),
    list: (folder) => watch.run(`list ${folder}`, () => disk.list(folder)),
    exists: (path) => watch.run(`look for ${path}`, () => disk.exists(path)),
    makeFolder: (path) => watch.run(`make folder ${path}`, () => disk.makeFolder(path)),
    rename: (from, to) => watch.run(`rename ${from}`, () => disk.rename(from, to)),
    remove: (path) => watch.run(`remove ${path}`, () => disk.remove(path)),
    syncFolder: (path) => watch.run(`sync folder ${path}`, () => disk.syncFolder(path)),
    space: () => watch.run("measure", () => disk.space()),
  };
}

function watchedFile(file: File, path: string, watch: DiskWatch): File {
  const [read, write, sync] = [`read ${path}`, `write ${path}`, `sync ${path}`];
  return {
    readAt: (into, position) => watch.run(read, () => file.readAt(into, position)),
    writeAt: (parts, position) => watch.run(write, () => file.writeAt(parts, position)),
    writeDurably: (parts, position) => watch.run(write, () => file.writeDurably(parts, position)),
    sync: () => watch.run(sync, () => file.sync()),
    truncate: (length) => watch.run(`truncate ${path}`, () => file.truncate(length)),
    size: () => watch.run(`measure ${path}`, () => file.size()),
    close: () => watch.run(`close ${path}`, () => file.close()),
  };
}

/** Opens an index whose calls are watched, that of opening it included. */
export async function openWatched(
  open: () => Promise<ChunkIndex>,
  watch: DiskWatch,
): Promise<ChunkIndex> {
  const opening = async (): Promise<ChunkIndex> => {
    const index = await open();
    // It comes too late for whoever asked for it.
    if (watch.isStuck) index.close().catch(() => undefined);
    return index;
  };
  return watchedIndex(await watch.run("open index", opening), watch);
}

function watchedIndex(index: ChunkIndex, watch: DiskWatch): ChunkIndex {
  return {
    summary: () => watch.run("read index", () => index.summary()),
    segments: () => watch.run("read index", () => index.segments()),
    get: (handle) => index.get(handle), // takes no thread
    page: (after, count) => watch.run("read index", () => index.page(after, count)),
    write: (changes, summary) => watch.run("write index", () => index.write(changes, summary)),
    clear: () => watch.run("clear index", () => index.clear()),
    close: () => watch.run("close index", () => index.close()),
  };
}
