// Writing a local file so that there is never half of one: the bytes go into a file beside it,
// which takes the name when it is complete. What stood there before is replaced only then.
//
// F1. After any failure, an abort or a second Ctrl-C, the unfinished file is removed.
// F2. Devices and pipes are written straight: there is nothing to replace.

import { randomBytes } from "node:crypto";
import { rmSync, type Stats } from "node:fs";
import { type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Pieces are gathered up to this size: fewer, larger writes. */
const WRITE_BYTES = 4 * 1024 * 1024;

const unfinished = new Set<string>();
process.on("exit", () => {
  for (const file of unfinished) rmSync(file, { force: true });
});

/** Writes `content` under the name `target`. @returns Bytes written. */
export async function writeWholeFile(
  target: string,
  content: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): Promise<number> {
  const there = await statOrUndefined(target);
  if (there !== undefined && !there.isFile() && !there.isDirectory()) {
    return writeInto(await open(target, "w"), content, onBytes);
  }
  if (there?.isDirectory() === true) {
    throw Object.assign(new Error(`Cannot write "${target}": it is a directory`), {
      code: "EISDIR",
    });
  }
  // A link stays a link: the file that it leads to is replaced.
  const path = there === undefined ? target : await realpath(target);
  const beside = join(dirname(path), `.lumeo-${randomBytes(8).toString("hex")}.part`);
  const mode = there === undefined ? 0o666 : there.mode & 0o777;
  unfinished.add(beside);
  try {
    const count = await writeInto(await open(beside, "wx", mode), content, onBytes);
    await rename(beside, path);
    return count;
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  } finally {
    unfinished.delete(beside);
  }
}

/** Writes while the next pieces arrive; closes the file in any case. */
async function writeInto(
  file: FileHandle,
  content: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): Promise<number> {
  let count = 0;
  let pieces: Uint8Array[] = [];
  let gathered = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    writing = writeAll(file, pieces);
    writing.catch(() => {}); // Thrown by the next flush.
    pieces = [];
    gathered = 0;
  };
  try {
    for await (const piece of content) {
      pieces.push(piece);
      gathered += piece.byteLength;
      count += piece.byteLength;
      onBytes(piece.byteLength);
      if (WRITE_BYTES <= gathered) await flush();
    }
    await flush();
    await writing;
    return count;
  } finally {
    await writing.catch(() => {});
    await file.close();
  }
}

async function writeAll(file: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  const rest = pieces.filter((piece) => 0 < piece.byteLength);
  while (0 < rest.length) {
    let { bytesWritten } = await file.writev(rest);
    // A full disk may take a part only; the next write then says why.
    for (let first = rest[0]; first !== undefined && 0 < bytesWritten; first = rest[0]) {
      const taken = Math.min(bytesWritten, first.byteLength);
      bytesWritten -= taken;
      if (taken === first.byteLength) rest.shift();
      else rest[0] = first.subarray(taken);
    }
  }
}

async function statOrUndefined(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw error;
  }
}
