// What operators do meanwhile: they empty nodes, take them back, look after them, and let the fleet
// be balanced. They never leave fewer nodes than there are copies.

import { integerBetween, type SeededRandom } from "@lumeofs/base";
import type { Lumeo } from "@lumeofs/client";

const ACTIONS = ["drain", "decommission", "rebalance", "maintenance", "active"] as const;

export interface OperatorOptions {
  readonly replicas: number;
  readonly deadlineMs: number;
}

/** One action, whatever its end. */
export async function operate(
  client: Lumeo,
  random: SeededRandom,
  { replicas, deadlineMs }: OperatorOptions,
): Promise<void> {
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
    await client.healing.begin(action, node.name, { deadlineMs });
  } else {
    await client.healing.changeNode(node.name, { standing: action }, { deadlineMs });
  }
}

/** In the end every node takes part again, so that there is room for all copies. */
export async function takeAllBack(client: Lumeo): Promise<void> {
  const { nodes } = await client.healing.nodes();
  for (const { name, standing } of nodes) {
    if (standing === "active") continue;
    await client.healing.changeNode(name, { standing: "active" });
  }
}
