// Disks of which every call is watched: see disk-watch.ts.

import type { Disk, File } from "@lumeofs/base";
import type { ChunkserverHost } from "../host.js";
import { DiskWatch, type DiskWatchOptions } from "./disk-watch.js";

export interface WatchLimits extends Pick<DiskWatchOptions, "suspectMs" | "stuckMs"> {
  /** Threads of this process that calls may block, of all disks together. */
  readonly threads: number;
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
    // Alone, a disk takes nothing from others. Otherwise one that hangs leaves them some.
    const callsMax =
      folders.length === 1 ? undefined : Math.max(2, Math.floor(threads / folders.length));
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
