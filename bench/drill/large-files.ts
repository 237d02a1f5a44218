// The life of large files: one caller stores streams that can be read once, reads them back while
// chunkservers come and go, and removes the oldest so that the disk stays bounded.

import type { Caller } from "./caller.js";

export interface LargeFilesPlan {
  /** Folder that nobody else uses. */
  readonly folder: string;
  readonly bytesMax: number;
  /** Bytes that are stored in all, then only reading goes on. */
  readonly budgetBytes: number;
  readonly restMsMax: number;
}

const FILES_MAX = 6;
const BYTES_MIN = 1024 * 1024;
/** Also files of many chunks, without writing much. */
const CHUNK_SIZES = [64, 64, 16, 4, 1].map((mebibytes) => mebibytes * 1024 * 1024);

/** Works until the drill ends. */
export async function liveWithLargeFiles(caller: Caller, plan: LargeFilesPlan): Promise<void> {
  const names: string[] = [];
  let storedBytes = 0;
  for (let n = 0; !caller.isOver; n++) {
    const oldest = FILES_MAX <= names.length ? names.shift() : undefined;
    if (oldest !== undefined) await caller.remove(oldest);
    const content = caller.invent(BYTES_MIN, plan.bytesMax);
    if (storedBytes + content.size <= plan.budgetBytes) {
      const path = `${plan.folder}/large-${n}`;
      const chunkSize = caller.pick(CHUNK_SIZES) as number;
      storedBytes += content.size;
      const stored = await caller.put("put large stream", path, content, { chunkSize });
      if (stored !== undefined) names.push(path);
    }
    await caller.rest(plan.restMsMax);
    const path = caller.pick(names);
    if (path !== undefined && !caller.isOver) await caller.read("read large", path);
    await caller.rest(plan.restMsMax);
  }
}
