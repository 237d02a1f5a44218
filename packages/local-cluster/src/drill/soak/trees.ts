// Directories as a whole: made, listed, renamed with all that is in them, removed with all of it.
// What is found under the new name must be exactly what lay under the old one.

import type { Caller } from "./caller.js";
import type { Content } from "./content.js";

export interface TreesPlan {
  /** Folder that nobody else uses. */
  readonly folder: string;
  readonly restMsMax: number;
}

const FILES_PER_TREE = 5;
const BYTES_MAX = 2048;

/** Works until the drill ends. */
export async function liveWithTrees(caller: Caller, plan: TreesPlan): Promise<void> {
  for (let n = 0; !caller.isOver; n++) {
    const source = `${plan.folder}/tree-${n}`;
    const files = await plant(caller, source);
    await caller.rest(plan.restMsMax);
    if (files === undefined) continue;
    const target = `${plan.folder}/moved-${n}`;
    if (!(await move(caller, source, target, files))) continue;
    await checkNames(caller, target, files);
    await caller.rest(plan.restMsMax);
    if (caller.random.fraction() < 0.6) await fell(caller, target, files);
    await caller.rest(plan.restMsMax);
  }
}

/** @returns Names and contents, if every file was acknowledged. */
async function plant(
  caller: Caller,
  folder: string,
): Promise<ReadonlyMap<string, Content> | undefined> {
  const files = new Map<string, Content>();
  for (let i = 0; i < FILES_PER_TREE; i++) {
    const content = caller.invent(1, BYTES_MAX);
    const stored = await caller.put("put small", `${folder}/leaf-${i}`, content);
    if (stored === undefined) return undefined;
    files.set(`leaf-${i}`, content);
  }
  return files;
}

async function move(
  caller: Caller,
  source: string,
  target: string,
  files: ReadonlyMap<string, Content>,
): Promise<boolean> {
  const effects = [...files].flatMap(([name, content]) => [
    { path: `${source}/${name}`, content: undefined },
    { path: `${target}/${name}`, content },
  ]);
  const action = (): Promise<void> => caller.client.rename(source, target);
  return (await caller.change({ kind: "rename directory", effects, action })).kind === "ok";
}

async function checkNames(
  caller: Caller,
  folder: string,
  files: ReadonlyMap<string, Content>,
): Promise<void> {
  const { ledger } = caller;
  const list = () => caller.client.list(folder).toArray();
  const outcome = await ledger.call("list directory", folder, list);
  if (outcome.kind === "unknown") return;
  const found = outcome.kind === "ok" ? outcome.value.map(({ path }) => path) : [];
  const expected = [...files.keys()].map((name) => `${folder}/${name}`);
  if (found.join() === expected.join()) return;
  ledger.anomaly(`${folder} lists as "${found.join()}", not as "${expected.join()}"`);
}

async function fell(
  caller: Caller,
  folder: string,
  files: ReadonlyMap<string, Content>,
): Promise<void> {
  const effects = [...files.keys()].map((name) => ({
    path: `${folder}/${name}`,
    content: undefined,
  }));
  const action = (): Promise<void> => caller.client.remove(folder, { recursive: true });
  await caller.change({ kind: "remove directory", effects, action });
}
