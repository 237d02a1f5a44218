// Directories as they once were: snapshots, and earlier contents of files.

import { type FileInfo, toFileInfo } from "./file-info.js";
import type { Listing } from "./listing.js";
import type { MetadataRunner } from "./metadata-runner.js";
import type { SnapshotEntry } from "./operations.js";
import { type CallOptions, versionOf } from "./options.js";
import { numberCursor, PagedListing } from "./paged-listing.js";
import { anyPath, directoryPath } from "./path.js";

/** A directory as it was at one moment. */
export interface SnapshotInfo {
  readonly name: string;
  /** The directory. */
  readonly directory: string;
  /** Where its content is read: `list`, `get` and `copy` take paths below. */
  readonly path: string;
  readonly revision: number;
  readonly createdAt: Date;
}

export class Snapshots {
  readonly #runner: MetadataRunner;

  constructor(runner: MetadataRunner) {
    this.#runner = runner;
  }

  /** Keeps a directory with all that is below as it is now. Takes no longer for a large one. */
  async create(directory: string, name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    const { run, metadata } = this.#runner;
    return run("snapshots.create", directory, options, async (call) => {
      const ask = { path: directoryPath(directory), name };
      return toSnapshotInfo(await metadata.mutate(call, "createSnapshot", ask));
    });
  }

  /** The snapshots of a directory, by name. */
  list(directory: string, options: CallOptions = {}): Listing<SnapshotInfo> {
    const { run, metadata } = this.#runner;
    return new PagedListing(
      (after, countMax) =>
        run("snapshots.list", directory, options, async (call) => {
          const ask = { path: directoryPath(directory), after, countMax };
          const { snapshots, more } = await metadata.query(call, "listSnapshots", ask);
          return { items: snapshots.map(toSnapshotInfo), more };
        }),
      (snapshot) => snapshot.name,
    );
  }

  /** Gives a snapshot up; what only it kept is freed. */
  async remove(directory: string, name: string, options: CallOptions = {}): Promise<void> {
    const { run, metadata } = this.#runner;
    await run("snapshots.remove", directory, options, (call) =>
      metadata.mutate(call, "removeSnapshot", { path: directoryPath(directory), name }),
    );
  }
}

export class Versions {
  readonly #runner: MetadataRunner;

  constructor(runner: MetadataRunner) {
    this.#runner = runner;
  }

  /** Earlier contents of a file, newest first; also of one that was removed. */
  list(path: string, options: CallOptions = {}): Listing<FileInfo> {
    const { run, metadata } = this.#runner;
    return new PagedListing(
      (after, countMax) =>
        run("versions.list", path, options, async (call) => {
          const ask = { path: anyPath(path), before: numberCursor(after), countMax };
          const { entries, more } = await metadata.query(call, "listVersions", ask);
          return { items: entries.map((entry) => toFileInfo(entry)), more };
        }),
      (info) => info.version,
    );
  }

  /** Frees an earlier content. */
  async remove(path: string, version: string, options: CallOptions = {}): Promise<void> {
    const { run, metadata } = this.#runner;
    await run("versions.remove", path, options, (call) => {
      const ask = { path: anyPath(path), version: versionOf(version) };
      return metadata.mutate(call, "removeVersion", ask);
    });
  }
}

function toSnapshotInfo({ path, name, revision, createdAtMs }: SnapshotEntry): SnapshotInfo {
  const base = path === "/" ? "" : path;
  return {
    name,
    directory: path,
    path: `${base}/.snapshot/${name}`,
    revision,
    createdAt: new Date(createdAtMs),
  };
}
