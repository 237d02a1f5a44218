// Rebuilds the cells of a stripe that did not come, as many at once as follow from the same others:
// the sources are then read from memory once.

import type { ErasureCodec } from "@lumeofs/erasure";
import type { CellOrigin, CellPart, CellSource } from "./stripe-race.js";

type Rebuilt = Extract<CellOrigin, { kind: "rebuilt" }>;

export interface RebuildTask {
  readonly codec: ErasureCodec;
  readonly cells: readonly CellOrigin[];
  /** Exactly this range of a source, with zeros where the source ends earlier. */
  readonly source: (source: CellSource, range: Omit<CellPart, "unit">) => Uint8Array;
}

/** The bytes of all cells that have to be rebuilt. */
export function rebuiltCells({ codec, cells, source }: RebuildTask): Map<CellOrigin, Uint8Array> {
  const rebuilt = new Map<CellOrigin, Uint8Array>();
  for (const group of groupsOf(cells)) {
    const { part, sources } = group[0] as Rebuilt;
    const { dataCells, parityCells } = codec.geometry;
    const stripe = new Array<Uint8Array | undefined>(dataCells + parityCells).fill(undefined);
    for (const one of sources) stripe[one.unit] = source(one, part);
    const targets = new Map<number, Uint8Array>();
    for (const cell of group) {
      const bytes = Buffer.allocUnsafeSlow(part.to - part.from);
      targets.set(cell.part.unit, bytes);
      rebuilt.set(cell, bytes);
    }
    codec.reconstruct(stripe, targets);
  }
  return rebuilt;
}

/** Cells of the same range that are made of the same sources. */
function groupsOf(cells: readonly CellOrigin[]): Iterable<readonly Rebuilt[]> {
  const groups = new Map<string, Rebuilt[]>();
  for (const cell of cells) {
    if (cell.kind !== "rebuilt") continue;
    const { part, sources } = cell;
    const key = [part.from, part.to, ...sources.map(({ unit }) => unit)].join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [cell]);
    else group.push(cell);
  }
  return groups.values();
}
