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
  const { ledger, model } = caller;
  const changes = [...files].flatMap(([name, content]) => [
    model.begin(`${source}/${name}`, undefined),
    model.begin(`${target}/${name}`, content),
  ]);
  const rename = () => caller.client.rename(source, target);
  const outcome = await ledger.call("rename directory", source, rename);
  if (outcome.kind === "ok") ledger.changed();
  for (const change of changes) {
    if (outcome.kind === "ok") change.acknowledged();
    else if (outcome.kind === "refused") change.refused();
  }
  if (outcome.kind === "refused") {
    ledger.anomaly(`rename of the directory ${source} was refused with ${outcome.code}`);
  }
  if (outcome.kind === "unknown") {
    for (const [name, content] of files) {
      const names = { source: `${source}/${name}`, target: `${target}/${name}` };
      model.renameInDoubt({ ...names, content });
    }
  }
  return outcome.kind === "ok";
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
  const { ledger, model } = caller;
  const changes = [...files.keys()].map((name) => model.begin(`${folder}/${name}`, undefined));
  const remove = () => caller.client.remove(folder, { recursive: true });
  const outcome = await ledger.call("remove directory", folder, remove);
  if (outcome.kind === "ok") ledger.changed();
  for (const change of changes) {
    if (outcome.kind === "ok") change.acknowledged();
    else if (outcome.kind === "refused") change.refused();
  }
  if (outcome.kind !== "refused") return;
  ledger.anomaly(`removal of the directory ${folder} was refused with ${outcome.code}`);
}
