// The ways in which a network falls apart, as sets of cut links.

import { invariant, type Random } from "@lumeofs/base";

/** A directed link, by the names at its ends. */
export type Direction = readonly [from: string, to: string];

export type PartitionMode =
  /** Two groups that do not hear each other. */
  | "split"
  /** One process alone. */
  | "isolate"
  /** Two groups that share one process, which hears both. */
  | "bridge"
  /** One process is heard but does not hear, or the reverse. */
  | "oneWay"
  /** Each hears only its neighbours on a circle. */
  | "ring"
  /** Each directed link is cut by the toss of a coin. */
  | "random";

export const PARTITION_MODES: readonly PartitionMode[] = [
  "split",
  "isolate",
  "bridge",
  "oneWay",
  "ring",
  "random",
];

/**
 * The links to cut for a partition of this mode. Which processes it hits is chance.
 *
 * @param victim  The one to isolate, to make one-way or to share, instead of any.
 */
export function partition(
  mode: PartitionMode,
  names: readonly string[],
  random: Random,
  victim?: string,
): readonly Direction[] {
  const others = shuffled(names, random).filter((name) => name !== victim);
  const order = victim === undefined ? others : [victim, ...others];
  const first = order[0];
  invariant(first !== undefined, "a partition needs processes");
  const links = order.flatMap((from) =>
    order.filter((to) => to !== from).map((to): Direction => [from, to]),
  );
  const place = new Map(order.map((name, at) => [name, at]));
  const at = (name: string): number => place.get(name) ?? 0;
  const cutAt = 1 + Math.floor(random.fraction() * (order.length - 1));
  switch (mode) {
    case "split":
      return links.filter(([from, to]) => at(from) < cutAt !== at(to) < cutAt);
    case "isolate":
      return links.filter(([from, to]) => from === first || to === first);
    case "bridge": {
      const apart = links.filter(([from, to]) => from !== first && to !== first);
      const side = Math.ceil((order.length - 1) / 2);
      return apart.filter(([from, to]) => at(from) <= side !== at(to) <= side);
    }
    case "oneWay": {
      const isDeaf = random.fraction() < 0.5;
      return links.filter(([from, to]) => (isDeaf ? to === first : from === first));
    }
    case "ring": {
      const count = order.length;
      return links.filter(([from, to]) => {
        const apart = Math.abs(at(from) - at(to));
        return 1 < Math.min(apart, count - apart);
      });
    }
    case "random":
      return links.filter(() => random.fraction() < 0.5);
  }
}

/** The same elements in an order drawn from `random`. */
export function shuffled<T>(elements: readonly T[], random: Random): readonly T[] {
  const order = [...elements];
  for (let i = order.length - 1; 0 < i; i--) {
    const j = Math.floor(random.fraction() * (i + 1));
    [order[i], order[j]] = [order[j] as T, order[i] as T];
  }
  return order;
}
