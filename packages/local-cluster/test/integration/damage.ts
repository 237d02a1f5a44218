// Bits flipped in the stores of a drill's chunkservers.

import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Drill } from "./drill.js";

const MIB = 2 ** 20;

/** Flips a bit in every chunk of this length that has a file of its own. Returns how many. */
export function damageLargeChunks(drill: Drill, id: string, lengthBytes: number): number {
  return damageWhere(drill, id, (file) => {
    const isChunk = file.includes("/chunks/") && lengthBytes <= statSync(file).size;
    return isChunk ? lengthBytes / 2 + 5 : undefined;
  });
}

/** Damages a text wherever it lies in a store. Returns in how many files. */
export function damageSmall(drill: Drill, id: string, text: string): number {
  return damageWhere(drill, id, (file) => {
    const at = contentOf(file).indexOf(text);
    return 0 <= at ? at + 20 : undefined;
  });
}

function contentOf(file: string): Buffer {
  const { size } = statSync(file);
  const bytes = Buffer.alloc(Math.min(size, 64 * MIB));
  const fd = openSync(file, "r");
  try {
    readSync(fd, bytes, 0, bytes.length, 0);
  } finally {
    closeSync(fd);
  }
  return bytes;
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Inverts one bit of a file. */
function flipBit(file: string, position: number): void {
  const fd = openSync(file, "r+");
  try {
    const byte = new Uint8Array(1);
    readSync(fd, byte, 0, 1, position);
    byte[0] = (byte[0] ?? 0) ^ 1;
    writeSync(fd, byte, 0, 1, position);
  } finally {
    closeSync(fd);
  }
}

/** The files of a chunkserver's store that hold this text or, if large, are this long. */
function damageWhere(drill: Drill, id: string, isIt: (file: string) => number | undefined): number {
  const member = drill.cluster.members().find((one) => one.id === id);
  let count = 0;
  for (const file of filesBelow(join(member?.dir ?? "", "data"))) {
    const position = isIt(file);
    if (position === undefined) continue;
    flipBit(file, position);
    count++;
  }
  return count;
}
