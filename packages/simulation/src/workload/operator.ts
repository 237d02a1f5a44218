// What operators do meanwhile: they empty nodes, take them back, look after them, let the fleet be
// balanced, and have files converted between copies and units. They never leave fewer nodes than
// there are copies.

import { integerBetween, type SeededRandom } from "@lumeofs/base";
import type { Lumeo } from "@lumeofs/client";

const ACTIONS = ["drain", "decommission", "rebalance", "maintenance", "active"] as const;
/** Of actions, where some files are coded. */
const CONVERT_SHARE = 0.4;

export interface OperatorOptions {
  readonly replicas: number;
  /** How files are coded; undefined if none is. */
  readonly code: string | undefined;
  /** Those whose layout may be changed. */
  readonly paths: readonly string[];
  readonly deadlineMs: number;
}

/** One action, whatever its end. */
export async function operate(
  client: Lumeo,
  random: SeededRandom,
  options: OperatorOptions,
): Promise<void> {
  const { replicas, code, deadlineMs } = options;
  if (code !== undefined && random.fraction() < CONVERT_SHARE) {
    return convert(client, random, { ...options, code });
  }
  const { nodes } = await client.healing.nodes({ deadlineMs });
  const active = nodes.filter(({ standing, lost }) => standing === "active" && !lost);
  const action = ACTIONS[integerBetween(random, 0, ACTIONS.length - 1)] ?? "rebalance";
  if (action === "rebalance") {
    await client.healing.begin("rebalance", undefined, { deadlineMs });
    return;
  }
  const isGiving = action !== "active";
  if (isGiving && active.length <= replicas) return;
  const candidates = isGiving ? active : nodes.filter(({ standing }) => standing !== "active");
  const node = candidates[integerBetween(random, 0, Math.max(0, candidates.length - 1))];
  if (node === undefined) return;
  if (action === "drain" || action === "decommission") {
    await client.healing.begin(action, node.name, { deadlineMs, anyway: true });
  } else {
    await client.healing.changeNode(node.name, { standing: action }, { deadlineMs });
  }
}

/** A file, or all of them, between copies and units. */
async function convert(
  client: Lumeo,
  random: SeededRandom,
  { paths, code, deadlineMs }: OperatorOptions & { readonly code: string },
): Promise<void> {
  const one = paths[integerBetween(random, 0, paths.length - 1)] ?? "/";
  const path = random.fraction() < 0.5 ? one : "/";
  const to = random.fraction() < 0.6 ? code : "replicated";
  await client.healing.convert(path, { to, recursive: path === "/", deadlineMs });
}

/** In the end every node takes part again, so that there is room for all copies. */
export async function takeAllBack(client: Lumeo): Promise<void> {
  const { nodes } = await client.healing.nodes();
  for (const { name, standing } of nodes) {
    if (standing === "active") continue;
    await client.healing.changeNode(name, { standing: "active" });
  }
}
