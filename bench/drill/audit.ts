// The audit: after all faults, in a cluster that was stopped and started as a whole, a client that
// knows nothing looks for everything that was acknowledged, and nothing else may be there.

import { type Lumeo, LumeoError } from "@lumeofs/client";
import { waitUntil } from "@lumeofs/local-cluster";
import { type Content, recognize } from "./content.js";
import type { DoubtfulRename, Model, State } from "./model.js";
import { askMaster } from "./probe.js";

export interface AuditResult {
  readonly filesCompared: number;
  readonly bytesCompared: number;
  readonly absencesChecked: number;
  readonly doubtsSettled: number;
  /** Whole state of every master, the same: "index hash"; undefined if they do not agree. */
  readonly agreedState: string | undefined;
  /** Everything that is not as it must be, one line each. */
  readonly losses: readonly string[];
}

const READS_IN_FLIGHT = 4;
const AGREEMENT_MS_MAX = 30_000;

/** Compares the cluster with the model. */
export async function audit(
  client: Lumeo,
  masters: readonly string[],
  model: Model,
): Promise<AuditResult> {
  const losses: string[] = [];
  const found = new Map<string, Content>();
  let bytesCompared = 0;
  let absencesChecked = 0;
  const check = async (path: string): Promise<void> => {
    const possible = model.possible(path);
    const verdict = await look(client, path, possible);
    if (verdict.kind === "loss") losses.push(verdict.text);
    if (verdict.kind === "absent") absencesChecked++;
    if (verdict.kind !== "found") return;
    bytesCompared += verdict.content.size;
    found.set(path, verdict.content);
  };
  const left = [...model.paths];
  const worker = async (): Promise<void> => {
    for (let path = left.pop(); path !== undefined; path = left.pop()) await check(path);
  };
  await Promise.all(Array.from({ length: READS_IN_FLIGHT }, worker));
  losses.push(...(await compareListing(client, found)));
  losses.push(...model.doubtfulRenames.flatMap((rename) => compareRename(rename, found)));
  const agreedState = await agreement(masters);
  if (agreedState === undefined) losses.push("the masters do not have the same state");
  return {
    filesCompared: found.size,
    bytesCompared,
    absencesChecked,
    doubtsSettled: model.paths.filter((path) => 1 < model.possible(path).length).length,
    agreedState,
    losses,
  };
}

type Verdict =
  | { readonly kind: "found"; readonly content: Content }
  | { readonly kind: "absent" }
  | { readonly kind: "loss"; readonly text: string };

async function look(client: Lumeo, path: string, possible: readonly State[]): Promise<Verdict> {
  const contents = possible.filter((state) => state !== undefined);
  try {
    await using reading = await client.get(path);
    const content = await recognize(reading, contents);
    if (content !== undefined) return { kind: "found", content };
    const { size } = reading.info;
    if (contents.length === 0) return { kind: "loss", text: `${path} is there, but was removed` };
    return { kind: "loss", text: `${path} has other content (${size} bytes) than was stored` };
  } catch (error) {
    if (!LumeoError.is(error)) throw error;
    const isMissing = error.code === "LUMEO_NOT_FOUND";
    if (isMissing && possible.includes(undefined)) return { kind: "absent" };
    return { kind: "loss", text: `${path} cannot be read: ${error.code}, ${error.message}` };
  }
}

/** The listing names exactly the files that were found by name. */
async function compareListing(
  client: Lumeo,
  found: ReadonlyMap<string, Content>,
): Promise<readonly string[]> {
  const listed = new Map<string, number>();
  for await (const { path, kind, size } of client.list("/", { recursive: true })) {
    if (kind === "file") listed.set(path, size);
  }
  const missing = [...found].filter(([path, { size }]) => listed.get(path) !== size);
  const strange = [...listed.keys()].filter((path) => !found.has(path));
  return [
    ...missing.map(([path]) => `the listing lacks ${path}, or has another size for it`),
    ...strange.map((path) => `the listing names ${path}, which was not found intact`),
  ];
}

/** A doubtful rename left its content under one name only (D3); both may be used again since. */
function compareRename(
  { source, target, content }: DoubtfulRename,
  found: ReadonlyMap<string, Content>,
): readonly string[] {
  const holders = [source, target].filter((path) => found.get(path)?.seed === content.seed);
  if (holders.length === 1) return [];
  return [`${holders.length} of ${source} and ${target} hold the file that was renamed`];
}

async function agreement(masters: readonly string[]): Promise<string | undefined> {
  const ask = async (): Promise<string | undefined> => {
    const options = { timeoutMs: 10_000, stateHash: true };
    const views = await Promise.all(masters.map((address) => askMaster(address, options)));
    const [first] = views;
    return views.every((view) => view?.state === first?.state) ? first?.state : undefined;
  };
  return waitUntil(ask, { timeoutMs: AGREEMENT_MS_MAX });
}
