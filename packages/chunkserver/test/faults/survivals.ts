// Which of the unsynced writes a loss of power keeps: a bounded choice out of all subsets, with
// those that have broken stores before. Prefixes are writes torn at a border of sectors; suffixes
// and lone pieces are writes that the disk has carried out in another order.

import { type Random, SeededRandom } from "@lumeofs/base";
import type { DiskMoment, UnsyncedPiece } from "@lumeofs/testkit";
import type { Survival } from "./store-machine.js";

export interface NamedSurvival {
  readonly name: string;
  readonly keeps: Survival;
}

const RANDOM_SUBSETS = 3;

/**
 * The patterns for so many pieces.
 *
 * @param cutsMax  At most about so many of each kind of cut.
 */
export function survivals(
  counts: Pick<DiskMoment, "names" | "sectors">,
  cutsMax: number,
): readonly NamedSurvival[] {
  const { names, sectors } = counts;
  if (names + sectors === 0) return [{ name: "nothing unsynced", keeps: () => true }];
  const patterns: NamedSurvival[] = [
    { name: "all dropped", keeps: () => false },
    { name: "all kept", keeps: () => true },
  ];
  const kinds = [
    { kind: "name" as const, count: names },
    { kind: "sector" as const, count: sectors },
  ];
  for (const { kind, count } of kinds) {
    if (count === 0) continue;
    if (0 < names && 0 < sectors) patterns.push(of(`${kind}s only`, (p) => p.kind === kind));
    if (1 < count) for (const cut of cuts(count, cutsMax)) patterns.push(...around(kind, cut));
  }
  for (let seed = 1; seed <= RANDOM_SUBSETS; seed++) patterns.push(randomSubset(seed));
  return patterns;
}

/** Of the other kind everything survives. */
function around(kind: UnsyncedPiece["kind"], cut: number): readonly NamedSurvival[] {
  return [
    of(`${kind}s before ${cut}`, (p) => p.kind !== kind || p.index < cut),
    of(`${kind}s from ${cut}`, (p) => p.kind !== kind || cut <= p.index),
    of(`without ${kind} ${cut}`, (p) => p.kind !== kind || p.index !== cut),
  ];
}

/** Positions from 1 to `count - 1`: all, or the first, the last and some between. */
function cuts(count: number, cutsMax: number): readonly number[] {
  const last = count - 1;
  if (last <= cutsMax) return Array.from({ length: last }, (_, i) => i + 1);
  const step = (last - 1) / Math.max(1, cutsMax - 1);
  return [...new Set(Array.from({ length: cutsMax }, (_, i) => Math.round(1 + i * step)))];
}

function randomSubset(seed: number): NamedSurvival {
  const random: Random = new SeededRandom(seed, "survival");
  const share = random.fraction();
  return of(`random ${seed}`, () => random.fraction() < share);
}

function of(name: string, keeps: Survival): NamedSurvival {
  return { name, keeps };
}
