import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

/**
 * Reads files of a folder without giving other work a turn: for rare reads of what was just written
 * and is mostly still in memory.
 *
 * @returns A function that fills `into` from a position, and says how many bytes there were.
 */
export function readerAtSync(
  folder: string,
): (path: string, into: Uint8Array, position: number) => number {
  return (path, into, position) => {
    const file = openSync(join(folder, path), "r");
    try {
      let filled = 0;
      while (filled < into.byteLength) {
        const rest = into.byteLength - filled;
        const count = readSync(file, into, filled, rest, position + filled);
        if (count === 0) break;
        filled += count;
      }
      return filled;
    } finally {
      closeSync(file);
    }
  };
}
