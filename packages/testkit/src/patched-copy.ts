// A copy of compiled code with some of its words replaced: how a test plants a deliberate bug.

import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Other words for some words of the compiled product. */
export interface Patch {
  /** Inside of the copied folder, without ending. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Imports a module of the copy; `file` is inside of the copied folder, without ending. */
export type ImportPatched = <Module>(file: string) => Promise<Module>;

/**
 * Copies folders of compiled code, applies patches, and removes the copy when `use` has ended.
 *
 * @param source   The folder `dist/src` of a package. The copy lies beside it, so that packages are
 *                 found as they are found from there.
 * @throws Error if words to replace do not occur exactly once: whoever changed the code says in the
 *         patch where the bug would be now.
 */
export async function withPatchedCopy<T>(
  source: URL,
  what: {
    readonly folders: readonly string[];
    readonly patches: readonly Patch[];
    /** Puts more into the copy before it is used; given its folder. */
    readonly prepare?: (copy: string) => Promise<void>;
  },
  use: (load: ImportPatched) => Promise<T>,
): Promise<T> {
  const original = fileURLToPath(source);
  const copy = await mkdtemp(join(original, "..", "mutant-"));
  try {
    for (const name of what.folders) {
      await cp(join(original, name), join(copy, name), { recursive: true });
    }
    for (const patch of what.patches) await apply(patch, copy);
    await what.prepare?.(copy);
    return await use((file) => import(pathToFileURL(join(copy, `${file}.js`)).href));
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function apply(patch: Patch, folder: string): Promise<void> {
  const path = join(folder, `${patch.file}.js`);
  const parts = (await readFile(path, "utf8")).split(patch.find);
  if (parts.length !== 2) {
    throw new Error(
      `A patch finds its place ${parts.length - 1} times in src/${patch.file}.ts, expected once: ` +
        `say in the patch where "${patch.find}" is now`,
    );
  }
  await writeFile(path, parts.join(patch.replace));
}
