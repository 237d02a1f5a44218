// One file of a simulated disk: what the running process sees, what is durable, and what lies
// between: changes that a crash keeps or loses sector by sector.

import type { FileBytes } from "../file-tree.js";

/** Disks write a sector as a whole or not. */
const SECTOR_BYTES = 512;

/** Writes one sector of a change. */
export type Sector = (bytes: FileBytes) => void;

/** One write, or one change of the length. */
export interface Change {
  /** Rises from change to change of a machine. */
  readonly order: number;
  readonly apply: (bytes: FileBytes) => void;
  /** The same change cut into sectors, each of which may survive alone. */
  readonly sectors: readonly Sector[];
  isFinished: boolean;
}

/** What a crash makes a file from. */
export interface Frozen {
  readonly durable: FileBytes;
  readonly pending: readonly Change[];
}

/** A file under whatever name. */
export class SimNode {
  readonly visible: FileBytes;
  readonly durable: FileBytes;
  /** Changes not yet durable, oldest first. */
  pending: Change[] = [];

  constructor(durable: FileBytes) {
    this.durable = durable;
    this.visible = durable.copy();
  }
}

/** A write that is under way. Its sectors are cut when somebody wants them: at few crashes. */
export function writing(bytes: Uint8Array, position: number): Omit<Change, "order"> {
  return new Writing(bytes, position);
}

class Writing implements Omit<Change, "order"> {
  isFinished = false;
  readonly #bytes: Uint8Array;
  readonly #position: number;
  #sectors: readonly Sector[] | undefined;

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes;
    this.#position = position;
  }

  readonly apply = (into: FileBytes): void => into.writeAt(this.#bytes, this.#position);

  get sectors(): readonly Sector[] {
    this.#sectors ??= sectorsOf(this.#bytes, this.#position);
    return this.#sectors;
  }
}

function sectorsOf(bytes: Uint8Array, position: number): readonly Sector[] {
  const sectors: Sector[] = [];
  let at = 0;
  while (at < bytes.byteLength) {
    const end = Math.min(bytes.byteLength, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
    const part = bytes.subarray(at, end);
    const target = position + at;
    sectors.push((into) => into.writeAt(part, target));
    at = end;
  }
  return sectors;
}

/** A file at a moment; later changes of the node do not reach it. */
export function freeze(node: SimNode, frozen: Map<SimNode, Frozen>): Frozen {
  const known = frozen.get(node);
  if (known !== undefined) return known;
  const copy = { durable: node.durable.copy(), pending: [...node.pending] };
  frozen.set(node, copy);
  return copy;
}

/** The file as it is after the crash. */
export function settled(node: Frozen, survives: (sector: Sector) => boolean): SimNode {
  const bytes = node.durable.copy();
  for (const change of node.pending) {
    for (const sector of change.sectors) if (survives(sector)) sector(bytes);
  }
  return new SimNode(bytes);
}
