// The life of small files: one caller with a folder of its own stores, replaces under conditions,
// copies, renames, removes and reads files, and knows at each moment what each of them must be.

import type { Caller } from "./caller.js";
import type { Content } from "./content.js";

export interface SmallFilesPlan {
  /** Folder that nobody else uses. */
  readonly folder: string;
  readonly bytesMax: number;
  /** Longest rest between two calls. */
  readonly restMsMax: number;
}

interface OwnFile {
  readonly content: Content;
  /** Unknown after a rename. */
  readonly etag: string | undefined;
}

/** Files of one caller that exist at once. */
const FILES_MAX = 300;
const STALE_ETAG = "1-00000000";

/** Works until the drill ends. */
export async function liveWithSmallFiles(caller: Caller, plan: SmallFilesPlan): Promise<void> {
  const files = new Map<string, OwnFile>();
  let count = 0;
  const fresh = (): string => `${plan.folder}/d${count % 7}/f${count++}`;
  while (!caller.isOver) {
    await step(caller, plan, files, fresh);
    await caller.rest(plan.restMsMax);
  }
}

async function step(
  caller: Caller,
  plan: SmallFilesPlan,
  files: Map<string, OwnFile>,
  fresh: () => string,
): Promise<void> {
  const [path, file] = caller.pick([...files]) ?? [];
  if (path === undefined || file === undefined) return create(caller, plan, files, fresh());
  const chance = caller.random.fraction();
  const isFull = FILES_MAX <= files.size;
  if (chance < 0.35 && !isFull) return create(caller, plan, files, fresh());
  if (chance < 0.55) return replace(caller, plan, files, path);
  if (chance < 0.6) {
    return caller.putInVain("put ifNoneMatch, taken", path, { ifNoneMatch: "*" });
  }
  if (chance < 0.63) return caller.putInVain("put ifMatch, stale", path, { ifMatch: STALE_ETAG });
  if (chance < 0.7) return rename(caller, files, path, fresh);
  if (chance < 0.75 && !isFull) return copy(caller, files, path, fresh());
  if (chance < 0.82 || isFull) return remove(caller, files, path);
  return caller.read("read small", path);
}

async function create(
  caller: Caller,
  plan: SmallFilesPlan,
  files: Map<string, OwnFile>,
  path: string,
): Promise<void> {
  const content = caller.invent(1, plan.bytesMax);
  const isCareful = caller.random.fraction() < 0.5;
  const stored = isCareful
    ? await caller.put("put ifNoneMatch", path, content, { ifNoneMatch: "*" })
    : await caller.put("put small", path, content);
  if (stored !== undefined) files.set(path, { content, etag: stored.etag });
}

async function replace(
  caller: Caller,
  plan: SmallFilesPlan,
  files: Map<string, OwnFile>,
  path: string,
): Promise<void> {
  const content = caller.invent(1, plan.bytesMax);
  const ifMatch = files.get(path)?.etag;
  files.delete(path); // until its state is certain again
  const stored =
    ifMatch === undefined
      ? await caller.put("overwrite small", path, content)
      : await caller.put("put ifMatch", path, content, { ifMatch });
  if (stored !== undefined) files.set(path, { content, etag: stored.etag });
}

/** To a new name or, now and then, over a file that is there. */
async function rename(
  caller: Caller,
  files: Map<string, OwnFile>,
  path: string,
  fresh: () => string,
): Promise<void> {
  const { content } = files.get(path) as OwnFile;
  const other = caller.random.fraction() < 0.3 ? caller.pick([...files.keys()]) : undefined;
  const target =
    other === undefined || other === path ? `${path}-${caller.between(1, 1e9)}` : other;
  const isShort = target.length < 120;
  const name = isShort ? target : fresh().replace(/\/d\d\//, "/d0/");
  files.delete(path);
  files.delete(name);
  if (await caller.rename(path, name, content)) files.set(name, { content, etag: undefined });
}

async function copy(
  caller: Caller,
  files: Map<string, OwnFile>,
  path: string,
  target: string,
): Promise<void> {
  const { content } = files.get(path) as OwnFile;
  if (await caller.copy(path, target, content)) files.set(target, { content, etag: undefined });
}

async function remove(caller: Caller, files: Map<string, OwnFile>, path: string): Promise<void> {
  files.delete(path);
  await caller.remove(path);
}
