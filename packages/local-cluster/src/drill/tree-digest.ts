// A tree of files as something to compare: every path with the SHA-256 of what it holds.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

export interface TreeDigest {
  /** Relative path to SHA-256 in hexadecimal; a directory's ends with "/" and has "". */
  readonly entries: ReadonlyMap<string, string>;
  readonly files: number;
  readonly bytes: number;
}

/** Reads a whole tree; links are followed. */
export async function digestTree(root: string): Promise<TreeDigest> {
  const entries = new Map<string, string>();
  let [files, bytes] = [0, 0];
  const walk = async (folder: string): Promise<void> => {
    for (const name of (await readdir(join(root, folder))).sort()) {
      const path = folder === "" ? name : `${folder}/${name}`;
      const found = await stat(join(root, path));
      if (found.isDirectory()) {
        entries.set(`${path}/`, "");
        await walk(path);
      } else {
        entries.set(path, await digestFile(join(root, path)));
        files++;
        bytes += found.size;
      }
    }
  };
  await walk("");
  return { entries, files, bytes };
}

/** SHA-256 of a file in hexadecimal. */
export function digestFile(path: string): Promise<string> {
  return digestOf(createReadStream(path));
}

/** SHA-256 of all pieces in hexadecimal. */
export async function digestOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

/** Paths that are missing, surplus or different in `actual`; empty if the trees are equal. */
export function compareTrees(expected: TreeDigest, actual: TreeDigest): readonly string[] {
  const differences: string[] = [];
  for (const [path, digest] of expected.entries) {
    const other = actual.entries.get(path);
    if (other === undefined) differences.push(`missing: ${path}`);
    else if (other !== digest) differences.push(`different: ${path}`);
  }
  for (const path of actual.entries.keys()) {
    if (!expected.entries.has(path)) differences.push(`surplus: ${path}`);
  }
  return differences;
}
