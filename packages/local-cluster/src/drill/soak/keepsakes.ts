// Snapshots under work: one caller changes the files of a folder, keeps the folder as it is from
// time to time, and reads in what it has kept that nothing of it has changed since; another one
// keeps folders that others are changing at that moment.

import type { Caller } from "./caller.js";
import type { Content } from "./content.js";

export interface KeepsakesPlan {
  /** Folder that nobody else changes. */
  readonly folder: string;
  /** Folders that others are changing. */
  readonly busy: readonly string[];
  readonly bytesMax: number;
  readonly restMsMax: number;
}

interface Kept {
  readonly directory: string;
  readonly name: string;
  /** What must be in it; undefined of a folder of others: the audit knows. */
  readonly files: ReadonlyMap<string, Content> | undefined;
}

const FILES = 8;
const KEPT_MAX = 6;

/** Works until the soak ends. */
export async function keepSnapshots(caller: Caller, plan: KeepsakesPlan): Promise<void> {
  const files = new Map<string, Content>();
  const kept: Kept[] = [];
  for (let n = 0; !caller.isOver; n++) {
    for (let i = 0; i < 3 && !caller.isOver; i++) await changeOne(caller, plan, files);
    if (KEPT_MAX <= kept.length) await drop(caller, kept);
    const isOwn = caller.random.fraction() < 0.6;
    const directory = isOwn ? plan.folder : (caller.pick(plan.busy) ?? plan.folder);
    const now = directory === plan.folder ? new Map(files) : undefined;
    if (await keep(caller, directory, `s${n}`)) kept.push({ directory, name: `s${n}`, files: now });
    await caller.rest(plan.restMsMax);
    const one = caller.pick(kept);
    if (one !== undefined) await readIn(caller, one);
    await caller.rest(plan.restMsMax);
  }
}

async function changeOne(
  caller: Caller,
  plan: KeepsakesPlan,
  files: Map<string, Content>,
): Promise<void> {
  const name = `k${caller.between(1, FILES)}`;
  const path = `${plan.folder}/${name}`;
  const isThere = files.delete(name);
  if (isThere && caller.random.fraction() < 0.3) {
    await caller.remove(path);
    return;
  }
  const content = caller.invent(1, plan.bytesMax);
  const kind = isThere ? "overwrite kept" : "put kept";
  const stored = await caller.put(kind, path, content, { chunkSize: 1024 * 1024 });
  if (stored !== undefined) files.set(name, content);
}

async function keep(caller: Caller, directory: string, name: string): Promise<boolean> {
  const { ledger, client } = caller;
  const make = () => client.snapshots.create(directory, name);
  const operation = { kind: "snapshot", directory, name } as const;
  const isMissing = (code: string): boolean => code === "LUMEO_NOT_FOUND";
  const call = () => ledger.call("snapshot", directory, make, isMissing);
  return (await caller.journaled(operation, call)).kind === "ok";
}

async function drop(caller: Caller, kept: Kept[]): Promise<void> {
  const [oldest] = kept.splice(0, 1);
  if (oldest === undefined) return;
  const { directory, name } = oldest;
  const remove = () => caller.client.snapshots.remove(directory, name);
  const operation = { kind: "dropSnapshot", directory, name } as const;
  await caller.journaled(operation, () => caller.ledger.call("drop snapshot", directory, remove));
}

/** One file of a snapshot, or that a file is not in it. */
async function readIn(caller: Caller, { directory, name, files }: Kept): Promise<void> {
  const [file, content] = caller.pick([...(files ?? [])]) ?? [];
  if (file === undefined || content === undefined) return;
  const path = `${directory}/.snapshot/${name}/${file}`;
  caller.model.begin(path, content).acknowledged();
  await caller.read("read in snapshot", path);
}
