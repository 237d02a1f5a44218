// The store with a deliberate bug in it: a copy of the compiled store and of the log below it, with
// some words replaced. The copy is removed afterwards.

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Bug } from "./bugs.js";
import type { StoreParts } from "./store-machine.js";

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url));
const LOG = fileURLToPath(new URL("./wal/", import.meta.resolve("@lumeofs/base")));
const FOLDERS = ["store", "mutation"];
/** What the copied store imports instead of the package: the same, but for the log. */
const FACE = `export * from "@lumeofs/base";
export { Wal } from "./wal/wal.js";
export { OpenFiles } from "./wal/open-files.js";
export { scanSegment } from "./wal/segment-scan.js";
export {
  RECORD_PREFIX_BYTES, readRecordPrefix, recordBytes, recordIsIntact, SEGMENT_HEADER_BYTES,
} from "./wal/record.js";
`;

/** Runs `use` with the parts of the product as this bug has them. */
export async function withBug<T>(bug: Bug, use: (parts: StoreParts) => Promise<T>): Promise<T> {
  // Beside the real code, so that packages are found as it finds them.
  const folder = await mkdtemp(join(SOURCE, "..", "mutant-"));
  try {
    for (const name of FOLDERS) {
      await cp(join(SOURCE, name), join(folder, name), { recursive: true });
      await rewire(join(folder, name), /from "@lumeofs\/base"/g, 'from "../base.js"');
    }
    await cp(LOG, join(folder, "wal"), { recursive: true });
    await rewire(join(folder, "wal"), /from "\.\.\/[^"]+"/g, 'from "@lumeofs/base"');
    await writeFile(join(folder, "base.js"), FACE);
    await plant(bug, folder);
    const load = (file: string): Promise<StoreParts> => {
      return import(pathToFileURL(join(folder, "store", file)).href);
    };
    const { DiskChunkStore } = await load("disk-chunk-store.js");
    const { Volume } = await load("volume.js");
    return await use({ DiskChunkStore, Volume });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function rewire(folder: string, imports: RegExp, replacement: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".js")) continue;
    const path = join(folder, name);
    await writeFile(path, (await readFile(path, "utf8")).replaceAll(imports, replacement));
  }
}

async function plant({ name, file, find, replace }: Bug, folder: string): Promise<void> {
  const path = join(folder, `${file}.js`);
  const parts = (await readFile(path, "utf8")).split(find);
  if (parts.length !== 2) {
    throw new Error(
      `The bug "${name}" finds its place ${parts.length - 1} times in ${file}.ts: ` +
        "say in test/faults/bugs.ts where it is now",
    );
  }
  await writeFile(path, parts.join(replace));
}
