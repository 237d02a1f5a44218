// Reed–Solomon code of one geometry: makes parity cells, rebuilds lost cells, verifies stripes.
//
// All cells of a stripe have the same length, any length. Byte n of a cell depends on the bytes n
// of the others alone: whoever needs a range of a lost cell passes that range of the others.
//
// E1. Nothing is written before all arguments have been checked.
// E2. What is written are the cells that were asked for; sources stay as they are.

import { LumeoError } from "@lumeofs/base";
import { combineFastest } from "./cell-arena.js";
import type { Combine } from "./combine.js";
import { checkGeometry, DEFAULT_GEOMETRY, type Geometry, parityMatrix } from "./geometry.js";
import type { Matrix } from "./matrix.js";
import { chooseSources, planRecovery, type Recovery } from "./recovery.js";
import { StripeVerifier } from "./stripe-verifier.js";

/** A stripe of which some cells are lost: by number, undefined for a cell that is not at hand. */
export type PartialStripe = readonly (Uint8Array | undefined)[];

/** Plans kept ready: all that a code of 4+2 can need. The oldest makes room for a new one. */
const PLANS_MAX = 128;

export class ErasureCodec {
  readonly geometry: Geometry;
  readonly #parity: Matrix;
  readonly #combine: Combine;
  /** Inverting a matrix costs as much as coding some KiB: the same loss mostly comes again. */
  readonly #plans = new Map<string, Recovery>();

  /**
   * @param combine  How the work is done; all versions give the same bytes. That of a CellArena
   *                 works on its cells in place.
   * @throws LumeoError INVALID_ARGUMENT if there is no code of this geometry.
   */
  constructor(geometry: Geometry = DEFAULT_GEOMETRY, combine: Combine = combineFastest) {
    checkGeometry(geometry);
    this.geometry = { dataCells: geometry.dataCells, parityCells: geometry.parityCells };
    this.#parity = parityMatrix(geometry);
    this.#combine = combine;
  }

  /**
   * Fills the parity cells.
   *
   * @throws LumeoError INVALID_ARGUMENT if there are too few or too many cells, if they have
   *         different lengths, or if a parity cell shares bytes with another cell.
   */
  encode(data: readonly Uint8Array[], parity: readonly Uint8Array[]): void {
    const { dataCells, parityCells } = this.geometry;
    checkCount("encode", "data cells", { found: data.length, expected: dataCells });
    checkCount("encode", "parity cells", { found: parity.length, expected: parityCells });
    checkBytes("encode", data, parity);
    this.#combine(this.#parity, data, parity);
  }

  /**
   * Rebuilds lost cells: all of them or only those that are wanted.
   *
   * @param stripe   Cells by number; at least as many as the code has data cells. More than that
   *                 are not read: sourcesFor() says which are worth fetching.
   * @param rebuilt  Numbers of wanted cells, and where their bytes go.
   * @throws LumeoError INVALID_ARGUMENT if a wanted cell is not lost, or the bytes do not fit.
   * @throws LumeoError UNAVAILABLE if too many cells are lost.
   */
  reconstruct(stripe: PartialStripe, rebuilt: ReadonlyMap<number, Uint8Array>): void {
    const cells = this.geometry.dataCells + this.geometry.parityCells;
    checkCount("reconstruct", "cells", { found: stripe.length, expected: cells });
    let key = "";
    for (const cell of rebuilt.keys()) {
      key += `${cell},`;
      if (isCellNumber(cell, cells) && stripe[cell] === undefined) continue;
      const state = isCellNumber(cell, cells) ? "is not lost" : `is not in 0–${cells - 1}`;
      throw new LumeoError("INVALID_ARGUMENT", `Cannot reconstruct cell ${cell}: it ${state}`);
    }
    let present = 0;
    for (let n = 0; n < cells; n++) if (stripe[n] !== undefined) present |= 1 << n;
    key += present;
    const plan = this.#plans.get(key) ?? this.#plan(key, stripe, [...rebuilt.keys()]);
    const sources = plan.sources.map((cell) => stripe[cell] as Uint8Array);
    const targets = [...rebuilt.values()];
    checkBytes("reconstruct", sources, targets);
    this.#combine(plan.factors, sources, targets);
  }

  /**
   * The cells from which all others can be rebuilt, out of those that can be had.
   *
   * @throws LumeoError INVALID_ARGUMENT for a number twice or out of range.
   * @throws LumeoError UNAVAILABLE if there are too few.
   */
  sourcesFor(present: readonly number[]): readonly number[] {
    const { dataCells, parityCells } = this.geometry;
    const cells = dataCells + parityCells;
    const odd = present.find((cell, n) => !isCellNumber(cell, cells) || present.indexOf(cell) < n);
    if (odd !== undefined) {
      const state = isCellNumber(odd, cells) ? "is named twice" : `is not in 0–${cells - 1}`;
      throw new LumeoError("INVALID_ARGUMENT", `Cannot choose sources: cell ${odd} ${state}`);
    }
    const sources = chooseSources(this.geometry, present);
    if (sources !== undefined) return sources;
    throw new LumeoError(
      "UNAVAILABLE",
      `Cannot reconstruct cells of a ${dataCells}+${parityCells} stripe: ` +
        `${present.length} of ${cells} cells are present, ${dataCells} are needed`,
    );
  }

  /** A check of one stripe that takes its bytes piece by piece. */
  verifier(): StripeVerifier {
    return new StripeVerifier(this.geometry, (data, parity) => this.encode(data, parity));
  }

  #plan(key: string, stripe: PartialStripe, targets: readonly number[]): Recovery {
    const present = [...stripe.keys()].filter((cell) => stripe[cell] !== undefined);
    const plan = planRecovery(this.#parity, this.sourcesFor(present), targets);
    if (PLANS_MAX <= this.#plans.size) {
      for (const oldest of this.#plans.keys()) {
        this.#plans.delete(oldest);
        break;
      }
    }
    this.#plans.set(key, plan);
    return plan;
  }
}

function isCellNumber(cell: number, cells: number): boolean {
  return Number.isSafeInteger(cell) && 0 <= cell && cell < cells;
}

interface Count {
  readonly found: number;
  readonly expected: number;
}

function checkCount(action: string, things: string, { found, expected }: Count): void {
  if (found === expected) return;
  const message = `Cannot ${action} a stripe: it has ${found} ${things}, expected ${expected}`;
  throw new LumeoError("INVALID_ARGUMENT", message);
}

function checkBytes(
  action: string,
  sources: readonly Uint8Array[],
  targets: readonly Uint8Array[],
): void {
  const bytes = sources[0]?.byteLength ?? 0;
  const odd =
    sources.find((cell) => cell.byteLength !== bytes) ??
    targets.find((cell) => cell.byteLength !== bytes);
  if (odd !== undefined) {
    const message =
      `Cannot ${action} a stripe: its cells have ${bytes} and ${odd.byteLength} bytes, ` +
      "expected the same for all";
    throw new LumeoError("INVALID_ARGUMENT", message);
  }
  for (const [n, target] of targets.entries()) {
    const isShared =
      sources.some((source) => overlap(target, source)) ||
      targets.some((other, m) => n < m && overlap(target, other));
    if (!isShared) continue;
    const message = `Cannot ${action} a stripe: a cell to be written shares bytes with another`;
    throw new LumeoError("INVALID_ARGUMENT", message);
  }
}

function overlap(a: Uint8Array, b: Uint8Array): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  );
}
