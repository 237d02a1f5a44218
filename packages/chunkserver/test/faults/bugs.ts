// Deliberate bugs: the proof that the enumerations can see. Each changes a few words of the
// compiled store or log in a copy; the named enumeration must find it.
//
// A bug whose words are no longer found fails the test: whoever changed the code says here where it
// would be now.

/** What must find a bug. */
export type Finder =
  | "crashes"
  | "pairs"
  | "kills"
  | "errors"
  | "startErrors"
  | "flips"
  | "oldIndexes"
  | "lives"
  | "races";

export interface Bug {
  readonly name: string;
  /** Under src/store or, for "wal/…", under base/src. Without ending. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly foundBy: Finder;
}

export const BUGS: readonly Bug[] = [
  {
    name: "acknowledges before the log is synced",
    file: "wal/wal",
    find: "await head.file.writeDurably(parts, durableTo);",
    replace: "await head.file.writeAt(parts, durableTo);",
    foundBy: "crashes",
  },
  {
    name: "records a large chunk whose file is not durable",
    file: "store/disk-chunk-store",
    find: "await this.#io(() => writer.sync());",
    replace: "",
    foundBy: "crashes",
  },
  {
    name: "does not sync the folder of a new chunk file",
    file: "store/chunk-file-writer",
    find: "disk.syncFolder(folder)",
    replace: "Promise.resolve()",
    foundBy: "crashes",
  },
  {
    name: "does not sync the folder of a new segment",
    file: "wal/wal",
    find: "await this.#disk.syncFolder(this.#options.folder); // W4",
    replace: "",
    foundBy: "crashes",
  },
  {
    name: "cuts the torn tail too far",
    file: "wal/wal",
    find: "await file.truncate(position);",
    replace: "await file.truncate(Math.max(64, position - 512));",
    foundBy: "crashes",
  },
  {
    name: "takes torn records for whole ones",
    file: "wal/record",
    find: "crc32c(body, checked) === prefix.crc",
    replace: "crc32c(body, checked) !== undefined",
    foundBy: "crashes",
  },
  {
    name: "writes the index's mark ahead of its entries",
    file: "store/catalog",
    find: "await this.#index.write({ entries, segments }, summary);",
    replace: `await this.#index.write({ entries: new Map(), segments: new Map() }, summary);
        await this.#index.write({ entries, segments }, summary);`,
    foundBy: "crashes",
  },
  {
    name: "loses a tombstone at the next start",
    file: "store/recovery",
    find: "return replayTombstone(catalog, previous, item);",
    replace: "return catalog.advance(item.after);",
    foundBy: "crashes",
  },
  {
    name: "removes a chunk file before its tombstone is durable",
    file: "store/disk-chunk-store",
    find: "await this.#append([encodeTombstone(",
    replace: "await this.#removeFile(previous); await this.#append([encodeTombstone(",
    foundBy: "crashes",
  },
  {
    name: "frees a segment whose tombstones are needed",
    file: "store/catalog",
    find: "use.live === 0 && use.buries.every((buried) => !all.has(buried))",
    replace: "use.live === 0",
    foundBy: "crashes",
  },
  {
    name: "leaves the files of writes that were never acknowledged",
    file: "store/recovery",
    find: "for (const path of files.orphans)",
    replace: "for (const path of [])",
    foundBy: "crashes",
  },
  {
    name: "renames the volume file before its bytes are durable",
    file: "store/volume",
    find: "await file.sync();",
    replace: "",
    foundBy: "crashes",
  },
  {
    name: "does not sync the folder of the volume file",
    file: "store/volume",
    find: `await this.#disk.syncFolder("");`,
    replace: "",
    foundBy: "crashes",
  },
  {
    name: "does not sync the folders of chunks",
    file: "store/chunk-files",
    find: "await disk.syncFolder(CHUNKS_FOLDER);",
    replace: "",
    foundBy: "crashes",
  },
  {
    name: "shows records of a killed process before they are durable",
    file: "wal/wal",
    find: `            await file.sync();
            if (header.kind`,
    replace: `            if (header.kind`,
    foundBy: "kills",
  },
  {
    name: "leaves a torn tail where it is",
    file: "wal/wal",
    find: `await file.truncate(position);
                await file.sync();`,
    replace: "",
    foundBy: "crashes",
  },
  {
    name: "tries a failed write of the log again",
    file: "wal/wal",
    find: "durable = await this.#makeDurable(batch);",
    replace: "durable = await this.#makeDurable(batch).catch(() => this.#makeDurable(batch));",
    foundBy: "errors",
  },
  {
    name: "goes on after a failed sync of a chunk file",
    file: "store/chunk-file-writer",
    find: `if (0 < this.#unsyncedBytes)
            await this.#file.sync();`,
    replace: `if (0 < this.#unsyncedBytes)
            await this.#file.sync().catch(() => undefined);`,
    foundBy: "errors",
  },
  {
    name: "tells nobody of a failure",
    file: "store/disk-chunk-store",
    find: "this.#options.onFailure(this.#failedBy);",
    replace: "",
    foundBy: "errors",
  },
  {
    name: "takes an unreadable index for an empty one",
    file: "store/recovery",
    find: `error.code === "CORRUPT"`,
    replace: `error.code !== "CLOSED"`,
    foundBy: "startErrors",
  },
  {
    name: "does not check the blocks that it reads",
    file: "store/chunk-reader",
    find: "if (bad === undefined)",
    replace: "if (true)",
    foundBy: "flips",
  },
  {
    name: "does not check the records that it reads",
    file: "wal/wal",
    find: "if (!recordIsIntact(bytes.subarray(0, found), prefix, at, crc32c))",
    replace: "if (false)",
    foundBy: "flips",
  },
  {
    name: "takes a damaged volume file as it is",
    file: "store/volume",
    find: "if (!isIntact || ",
    replace: "if (",
    foundBy: "flips",
  },
  {
    name: "takes damage before a later batch for a torn tail",
    file: "wal/segment-scan",
    find: "isProven ||= damaged < found.prefix.durableTo;",
    replace: "",
    foundBy: "flips",
  },
  {
    name: "moves a record and forgets to write it",
    file: "store/compactor",
    find: "await append([body], (to, after) => {",
    replace: "await append([new Uint8Array([3, ...body.subarray(1, 17)])], (to, after) => {",
    foundBy: "crashes",
  },
  {
    name: "moves an old record over the one that has replaced it meanwhile",
    file: "store/compactor",
    find: "if (known === undefined || !isAt(known, place))",
    replace: "if (known === undefined)",
    foundBy: "races",
  },
  {
    name: "never empties a segment",
    file: "store/housekeeping",
    find: "await compactor.step();",
    replace: "{}",
    foundBy: "lives",
  },
  {
    name: "does not remember what the tombstones of a segment bury",
    file: "store/catalog",
    find: "if (buried === segment)",
    replace: "if (true)",
    foundBy: "crashes",
  },
  {
    name: "does not say how old an index may be",
    file: "store/housekeeping",
    find: "await floor.raise(catalog.flushedMark);",
    replace: "{}",
    foundBy: "oldIndexes",
  },
];
