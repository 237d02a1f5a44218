// Ranges of a coded chunk's units, read from the servers that have them, or rebuilt from other
// units where they cannot be had.
//
// Units are what the cells of all stripes are, one behind the other. Byte n of a unit depends on
// the bytes n of the others alone, so nothing needs to be known of stripes here; where a unit is
// shorter than another, its bytes count as zeros.
//
// R1. Every block was checked against the checksum that its server's disk has for it, and every
//     piece comes from a unit with the length and the checksum that the masters have for it.
// R2. A source that has failed is not asked again by this reader.
// R3. Cells are written to only while `read` runs.

import {
  BLOCK_BYTES,
  type Cancellation,
  type ChunkHandle,
  type Epoch,
  invariant,
  LumeoError,
} from "@lumeofs/base";
import { type CellArena, ErasureCodec, type Geometry } from "@lumeofs/erasure";
import {
  type ChunkVersion,
  compareVersions,
  isOneHistory,
  showVersion,
} from "../mutation/version.js";
import { TwoHistories } from "../transfer/incoming-replica.js";
import type { UnitSource } from "../transfer/rebuild-order.js";
import type { SourceFault } from "../transfer/replica-copy.js";
import { isBadReplica, readPiece, type SourcePorts } from "../transfer/replica-source.js";
import type { Throttle } from "../transfer/throttle.js";

/** Which bytes of units are asked for. */
export interface UnitRange {
  /** A multiple of the block size. */
  readonly offset: number;
  /** Not more than a cell of the arena has. */
  readonly length: number;
  /** Waited for before a rebuilt cell is written to: somebody may still read its last content. */
  readonly isFree?: Promise<void>;
}

/** A coded chunk, as far as a reader needs to know it. */
export interface CodedSource {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly token?: Uint8Array | undefined;
  readonly geometry: Geometry;
  /** Those to read first at the front. */
  readonly units: readonly UnitSource[];
  /** 0 for no limit. */
  readonly bytesPerSecondMax: number;
}

export interface UnitPorts extends SourcePorts {
  readonly throttle: Throttle;
}

/** See the head of this file. */
export class UnitReader {
  readonly #ports: UnitPorts;
  readonly #chunk: CodedSource;
  readonly #arena: CellArena;
  readonly #codec: ErasureCodec;
  readonly #sources: ReadonlyMap<number, UnitSource>;
  readonly #failed = new Set<number>();
  readonly #faults: SourceFault[] = [];
  #version: ChunkVersion | undefined;
  #readBytes = 0;

  /** @param arena  With a cell for each unit; nobody else uses it while `read` runs. */
  constructor(ports: UnitPorts, chunk: CodedSource, arena: CellArena) {
    this.#ports = ports;
    this.#chunk = chunk;
    this.#arena = arena;
    this.#codec = new ErasureCodec(chunk.geometry, arena.combine);
    this.#sources = new Map(chunk.units.map((one) => [one.unit, one]));
  }

  /** Sources that did not give what they should have, so far. */
  get faults(): readonly SourceFault[] {
    return this.#faults;
  }

  /** Bytes that came from other servers. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** The record of the units; undefined before something has come. */
  get version(): ChunkVersion | undefined {
    return this.#version;
  }

  /**
   * Fills the cells of the wanted units with a range of them; behind the end of a unit with zeros.
   *
   * @returns The wanted cells, in the order of the question, valid until the next call; undefined
   *          if too few units can be had.
   * @throws TwoHistories if units were written by primaries that did not know of each other.
   * @throws The signal's reason.
   */
  async read(
    wanted: readonly number[],
    range: UnitRange,
    signal: Cancellation,
  ): Promise<readonly Uint8Array[] | undefined> {
    const atHand = new Set<number>();
    for (;;) {
      const next = this.#nextUnits(wanted, atHand);
      if (next === undefined) return undefined;
      if (next.length === 0) break;
      const fetched = next.map((unit) => this.#fetch(unit, range, signal));
      // All of them, whatever becomes of one: cells are written to until their piece has ended.
      const ends = await Promise.allSettled(fetched);
      for (const [i, end] of ends.entries()) {
        if (end.status === "rejected") throw end.reason;
        if (end.value) atHand.add(next[i] as number);
      }
    }
    await range.isFree;
    this.#rebuild(
      wanted.filter((unit) => !atHand.has(unit)),
      atHand,
      range.length,
    );
    return wanted.map((unit) => this.#cell(unit, range.length));
  }

  /** What is still to be fetched; empty if that is all, undefined if it cannot be enough. */
  #nextUnits(
    wanted: readonly number[],
    atHand: ReadonlySet<number>,
  ): readonly number[] | undefined {
    const { dataCells } = this.#chunk.geometry;
    const canBeHad = (unit: number): boolean => {
      return atHand.has(unit) || (this.#sources.has(unit) && !this.#failed.has(unit));
    };
    const isAbsent = (unit: number): boolean => !atHand.has(unit);
    if (wanted.every(canBeHad)) return wanted.filter(isAbsent);
    const direct = wanted.filter(canBeHad);
    const empty = [...this.#sources.values()].filter(({ length }) => length === 0);
    const first = [...atHand, ...direct, ...empty.map(({ unit }) => unit)];
    const units = new Set([...first, ...[...this.#sources.keys()].filter(canBeHad)]);
    const enough = [...units].slice(0, Math.max(dataCells, new Set([...atHand, ...direct]).size));
    return enough.length < dataCells ? undefined : enough.filter(isAbsent);
  }

  /** @returns Whether its bytes are in its cell. */
  async #fetch(
    unit: number,
    { offset, length }: UnitRange,
    signal: Cancellation,
  ): Promise<boolean> {
    const source = this.#sources.get(unit);
    invariant(source !== undefined, "a unit is fetched from somewhere", { unit });
    // Servers send whole blocks.
    const asked = Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
    const cell = this.#cell(unit, asked);
    const bytes = Math.min(asked, Math.max(0, source.length - offset));
    cell.fill(0, bytes);
    const { holder } = source;
    if (bytes === 0 || holder === undefined) return true;
    const { handle, epoch, token, bytesPerSecondMax } = this.#chunk;
    await this.#ports.throttle.take(bytes, bytesPerSecondMax, signal);
    const chunk = { handle, epoch, token, length: source.length, crc32c: source.crc32c };
    try {
      const from = { holder, chunk, offset, into: cell.subarray(0, bytes) };
      const { version } = await readPiece(this.#ports, from, signal);
      this.#checkVersion(version);
      this.#readBytes += bytes;
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof LumeoError)) throw error;
      this.#failed.add(unit);
      const why = `unit ${unit}: ${error.message}`;
      this.#faults.push({ server: holder.server, isBad: isBadReplica(error), why });
      return false;
    }
  }

  /** All units were written as one: their records are the same. */
  #checkVersion(version: ChunkVersion): void {
    this.#version ??= version;
    if (compareVersions(this.#version, version) === 0 && isOneHistory(this.#version, version)) {
      return;
    }
    const what = `${showVersion(version)} and ${showVersion(this.#version)}`;
    throw new TwoHistories(`units of chunk ${this.#chunk.handle} are ${what}`);
  }

  #rebuild(lost: readonly number[], atHand: ReadonlySet<number>, length: number): void {
    if (lost.length === 0 || length === 0) return;
    const stripe = this.#arena.cells.map((_, unit) =>
      atHand.has(unit) ? this.#cell(unit, length) : undefined,
    );
    this.#codec.reconstruct(stripe, new Map(lost.map((unit) => [unit, this.#cell(unit, length)])));
  }

  #cell(unit: number, length: number): Uint8Array {
    const cell = this.#arena.cells[unit];
    invariant(cell !== undefined && length <= cell.byteLength, "a range fits into its cell", {
      unit,
      length,
    });
    return cell.subarray(0, length);
  }
}
