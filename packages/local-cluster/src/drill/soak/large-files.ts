// The life of large files: one caller stores streams that can be read once, replaces, copies,
// renames and reads them while chunkservers come and go, and removes the oldest so that the disk
// stays bounded.

import type { Caller } from "./caller.js";
import type { Content } from "./content.js";

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

/** Works until the soak ends. */
export async function liveWithLargeFiles(caller: Caller, plan: LargeFilesPlan): Promise<void> {
  const files = new Map<string, Content>();
  let storedBytes = 0;
  for (let n = 0; !caller.isOver; n++) {
    if (FILES_MAX <= files.size) await removeOldest(caller, files);
    const content = caller.invent(BYTES_MIN, plan.bytesMax);
    if (storedBytes + content.size <= plan.budgetBytes) {
      storedBytes += content.size;
      await store(caller, files, `${plan.folder}/large-${n}`, content);
    }
    await caller.rest(plan.restMsMax);
    await turnOver(caller, files, `${plan.folder}/turned-${n}`);
    const path = caller.pick([...files.keys()]);
    if (path !== undefined && !caller.isOver) await caller.read("read large", path);
    await caller.rest(plan.restMsMax);
  }
}

/** Under a new name or, now and then, over a file that is there. */
async function store(
  caller: Caller,
  files: Map<string, Content>,
  fresh: string,
  content: Content,
): Promise<void> {
  const other = caller.random.fraction() < 0.3 ? caller.pick([...files.keys()]) : undefined;
  const path = other ?? fresh;
  const chunkSize = caller.pick(CHUNK_SIZES) as number;
  files.delete(path);
  const kind = other === undefined ? "put large stream" : "overwrite large stream";
  const stored = await caller.put(kind, path, content, { chunkSize });
  if (stored !== undefined) files.set(path, content);
}

/** A copy or another name, now and then. */
async function turnOver(caller: Caller, files: Map<string, Content>, target: string) {
  const [path, content] = caller.pick([...files]) ?? [];
  if (path === undefined || content === undefined || caller.isOver) return;
  const chance = caller.random.fraction();
  if (chance < 0.2) {
    files.delete(path);
    if (await caller.rename(path, target, content)) files.set(target, content);
  } else if (chance < 0.4 && files.size < FILES_MAX) {
    if (await caller.copy(path, target, content)) files.set(target, content);
  }
}

async function removeOldest(caller: Caller, files: Map<string, Content>): Promise<void> {
  const [oldest] = files.keys();
  if (oldest === undefined) return;
  files.delete(oldest);
  await caller.remove(oldest);
}
