// Files of chunkservers on this machine, opened to be read and for nothing else.

import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { LumeoError } from "@lumeofs/base";

/** Which file it must be: as the server of the chunk sees it. */
export interface FileIdentity {
  /** Absolute. */
  readonly path: string;
  /** What the kernel calls its file system and the file, in decimal digits. */
  readonly device: string;
  readonly inode: string;
  readonly length: number;
}

/** An open file. It can be read to its end, whatever becomes of its name. */
export interface LocalFile {
  /** Fills `into` from `position`; returns how many bytes there were (less only at the end). */
  readAt(into: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Opens exactly that file, or rejects. */
export type OpenLocalFile = (identity: FileIdentity) => Promise<LocalFile>;

/** Follows no link at the end of the path, and does not wait for what is no file. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * The files of this machine, as far as this process may read them.
 *
 * @throws LumeoError NOT_FOUND if another file has the name; else as the system refuses.
 */
export const openLocalFile: OpenLocalFile = async ({ path, device, inode, length }) => {
  const handle = await open(path, FLAGS);
  try {
    const found = await handle.stat({ bigint: true });
    const isIt = String(found.dev) === device && String(found.ino) === inode;
    if (!isIt || !found.isFile() || found.size !== BigInt(length)) {
      throw new LumeoError("NOT_FOUND", `Cannot read "${path}" here: it is another file`);
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    readAt: async (into, position) => {
      let filled = 0;
      while (filled < into.byteLength) {
        const rest = into.byteLength - filled;
        const { bytesRead } = await handle.read(into, filled, rest, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    },
    close: () => handle.close(),
  };
};
