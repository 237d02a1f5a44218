import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/**
 * Bytes of all files in a folder and below it, as their lengths say; 0 if there is none. What is
 * removed meanwhile does not count.
 */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory()
      ? await folderBytes(path)
      : await lstat(path).then(
          ({ size }) => size,
          () => 0,
        );
  }
  return bytes;
}
