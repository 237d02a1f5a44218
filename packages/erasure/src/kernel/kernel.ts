// The WebAssembly kernel and its memory: Combine at many times the speed of the plain version.
//
// Cells may lie anywhere. Those in the kernel's own memory are worked on where they lie; others
// pass through a stage, slice by slice, so that a slice never leaves the processor's caches.
//
// N1. The memory never grows: a view of it stays valid as long as the kernel.
// N2. The kernel gets addresses of cells of which every byte lies in its memory behind CELLS, and
//     writes nothing else but its own tables below: see assembly/kernel.ts, which has the layout.

import { invariant } from "@lumeofs/base";
import type { Combine } from "../combine.js";
import { productsOf } from "../field.js";
import { CELLS_MAX } from "../geometry.js";
import type { Matrix } from "../matrix.js";
import { KERNEL_CODE } from "./kernel-code.js";

// The layout of assembly/kernel.ts.
const FACTORS = 0;
const FACTORS_MAX = 512;
const SOURCES = 512;
const TARGETS = 640;
const TABLES = 1024;
const STAGE = 16_384;

const PAGE_BYTES = 65_536;
/** So much of every cell at a time: it fits the caches, and calls are rare. */
const SLICE_BYTES = 16_384;
const STAGE_BYTES = CELLS_MAX * SLICE_BYTES;
/** Where cells begin: behind the tables and the stage. */
const CELLS = STAGE + STAGE_BYTES;

interface KernelExports {
  readonly combine: (targets: number, sources: number, bytes: number) => void;
}

const CODE = Uint8Array.from(KERNEL_CODE.match(/../g) ?? [], (digits) =>
  Number.parseInt(digits, 16),
);
let compiled: WebAssembly.Module | undefined;

/** One instance of the kernel. */
export class Kernel {
  readonly #memory: Uint8Array;
  readonly #addresses: DataView;
  readonly #exports: KernelExports;

  /** @param cellBytes  How much memory is for cells, beside what the kernel itself needs. */
  constructor(cellBytes: number) {
    const pages = Math.ceil((CELLS + cellBytes) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    compiled ??= new WebAssembly.Module(CODE);
    const instance = new WebAssembly.Instance(compiled, { env: { memory } });
    this.#exports = instance.exports as KernelExports;
    this.#memory = new Uint8Array(memory.buffer);
    this.#addresses = new DataView(memory.buffer);
    for (let factor = 0; factor < 256; factor++) this.#writeTable(factor);
  }

  /** Whether this machine's JavaScript has WebAssembly with SIMD. */
  static isSupported(): boolean {
    return typeof WebAssembly !== "undefined" && WebAssembly.validate(CODE);
  }

  /** A piece of the memory for cells, `at` counted from its beginning. */
  view(at: number, bytes: number): Uint8Array {
    const begin = CELLS + at;
    invariant(0 <= at && begin + bytes <= this.#memory.byteLength, "no such memory", { at, bytes });
    return this.#memory.subarray(begin, begin + bytes);
  }

  readonly combine: Combine = (factors, sources, targets) => {
    const bytes = sources[0]?.byteLength ?? 0;
    invariant(sources.length <= CELLS_MAX && targets.length <= CELLS_MAX, "too many cells");
    this.#writeFactors(factors, sources.length);
    const cells = [...sources, ...targets];
    invariant(
      cells.every((cell) => cell.byteLength === bytes),
      "cells have different lengths",
    );
    // Without cells that must pass through the stage, one slice is everything.
    const step = cells.every((cell) => this.#holds(cell)) ? Math.max(1, bytes) : SLICE_BYTES;
    for (let at = 0; at < bytes; at += step) {
      this.#combineSlice(sources, targets, { at, bytes: Math.min(step, bytes - at) });
    }
  };

  #combineSlice(
    sources: readonly Uint8Array[],
    targets: readonly Uint8Array[],
    { at, bytes }: { readonly at: number; readonly bytes: number },
  ): void {
    let stage = STAGE;
    for (const [n, source] of sources.entries()) {
      let address = source.byteOffset + at;
      if (!this.#holds(source)) {
        this.#memory.set(source.subarray(at, at + bytes), (address = stage));
        stage += SLICE_BYTES;
      }
      this.#addresses.setUint32(SOURCES + 4 * n, address, true);
    }
    const staged: (readonly [target: Uint8Array, address: number])[] = [];
    for (const [n, target] of targets.entries()) {
      let address = target.byteOffset + at;
      if (!this.#holds(target)) {
        staged.push([target, (address = stage)]);
        stage += SLICE_BYTES;
      }
      this.#addresses.setUint32(TARGETS + 4 * n, address, true);
    }
    this.#exports.combine(targets.length, sources.length, bytes);
    for (const [target, address] of staged) {
      target.set(this.#memory.subarray(address, address + bytes), at);
    }
  }

  #holds(cell: Uint8Array): boolean {
    return cell.buffer === this.#memory.buffer && CELLS <= cell.byteOffset;
  }

  #writeFactors(factors: Matrix, sources: number): void {
    invariant(factors.length * sources <= FACTORS_MAX, "more factors than the kernel has room for");
    for (const [t, row] of factors.entries()) {
      invariant(row.length === sources, "a factor for every source", { t });
      this.#memory.set(row, FACTORS + t * sources);
    }
  }

  #writeTable(factor: number): void {
    const products = productsOf(factor);
    const table = TABLES + 32 * factor;
    for (let nibble = 0; nibble < 16; nibble++) {
      this.#memory[table + nibble] = products[nibble] as number;
      this.#memory[table + 16 + nibble] = products[nibble << 4] as number;
    }
  }
}
