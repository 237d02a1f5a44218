// Deliberate bugs in the use of several disks: the enumeration of losses must find each, or it sees
// nothing. Each changes a few words of a copy of the compiled code.

import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { DiskLoss } from "./enumeration.js";
import type { DiskParts } from "./two-disks.js";

export interface DiskBug {
  readonly name: string;
  /** Under src/disks, without ending. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly foundBy: DiskLoss["during"];
}

export const DISK_BUGS: readonly DiskBug[] = [
  {
    name: "goes on with a disk that has failed",
    file: "disk-set",
    find: "this.#serving = this.#serving.filter((one) => one !== disk);",
    replace: "",
    foundBy: "life",
  },
  {
    name: "does not start while one of its disks does not open",
    file: "disk-set",
    find: "disks.length === 0 || !isOfDisk(why)",
    replace: "true",
    foundBy: "start",
  },
  {
    name: "tells nobody what was on a lost disk",
    file: "chunk-disks",
    find: "this.#lost.add(handle);",
    replace: "handle;",
    foundBy: "life",
  },
  {
    name: "goes on telling what was made again",
    file: "chunk-disks",
    find: "throw disk.failedBy;\n        this.#lost.delete(handle);",
    replace: "throw disk.failedBy;",
    foundBy: "life",
  },
  {
    name: "fails with every call that meets the failure of one disk",
    file: "chunk-disks",
    find: "isEnded(disk) && 0 < this.#set.serving.length",
    replace: "false",
    foundBy: "life",
  },
  {
    name: "removes the wrong one of two copies, too",
    file: "chunk-disks",
    find: "disk === best.disk ? undefined :",
    replace: "",
    foundBy: "life",
  },
  {
    name: "keeps both copies when a disk comes back",
    file: "chunk-disks",
    find: "removed += (await this.#removeOn(disk, [{ handle, epoch }])).removedCount;",
    replace: "",
    foundBy: "life",
  },
];

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url));
const FOLDERS = ["disks", "store", "mutation"];

/** Runs `use` with the parts of the product as this bug has them. */
export async function withDiskBug<T>(
  bug: DiskBug,
  use: (parts: DiskParts) => Promise<T>,
): Promise<T> {
  // Beside the real code, so that packages are found as it finds them.
  const folder = await mkdtemp(join(SOURCE, "..", "mutant-"));
  try {
    for (const name of FOLDERS) {
      await cp(join(SOURCE, name), join(folder, name), { recursive: true });
    }
    await plant(bug, join(folder, "disks", `${bug.file}.js`));
    const load = (file: string): Promise<DiskParts> => {
      return import(pathToFileURL(join(folder, "disks", file)).href);
    };
    const { DiskSet } = await load("disk-set.js");
    const { ChunkDisks } = await load("chunk-disks.js");
    return await use({ DiskSet, ChunkDisks });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function plant({ name, file, find, replace }: DiskBug, path: string): Promise<void> {
  const parts = (await readFile(path, "utf8")).split(find);
  if (parts.length !== 2) {
    throw new Error(
      `The bug "${name}" finds its place ${parts.length - 1} times in ${file}.ts: ` +
        "say in test/disks/bugs.ts where it is now",
    );
  }
  await writeFile(path, parts.join(replace));
}
