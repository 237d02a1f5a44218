// The units of one chunk on their way to their servers, stripe by stripe, all at the pace of the
// slowest.
//
// Z1. Every unit is an ordinary chunk to its server, with a chain of one; its clock names the
//     holder of unit 0, so that the clocks of all units agree.
// Z2. What fails names the servers that failed (joint-failure.ts); the others are to be given up
//     then.

import {
  type ChunkCoding,
  type Code,
  crc32cCombine,
  invariant,
  LumeoError,
  type ServerId,
  type Stripe,
} from "@lumeofs/base";
import { FRAME_BYTES } from "../frame-buffers.js";
import type { Allocation, Replica } from "../grant-book.js";
import type {
  ChunkSink,
  ChunkserverPool,
  RequestOptions,
  WriteTarget,
  WrittenChunk,
} from "../rpc/chunkserver-pool.js";
import { allTogether, type JointWork } from "./joint-failure.js";

/** A chunk of which every unit is durable. */
export interface WrittenUnits extends WrittenChunk {
  readonly coding: ChunkCoding;
}

/** The same chunk for the server of one unit (Z1). */
export function unitTarget(target: Allocation, unit: number): WriteTarget {
  const { handle, epoch, token, replicas } = target;
  const holder = replicas[unit];
  const author = replicas[0]?.server;
  invariant(holder !== undefined && author !== undefined, "a grant has a server for each unit");
  return { handle, epoch, token, replicas: [holder], author, company: replicas };
}

/** What a unit's server does; a failure names it (Z2). */
export async function atServer<T>(
  { server }: Pick<Replica, "server">,
  { signal }: RequestOptions,
  action: Promise<T>,
): Promise<T> {
  try {
    return await action;
  } catch (error) {
    const isOurs = signal.aborted || !(error instanceof LumeoError) || error.code === "CLOSED";
    if (isOurs || 0 < (error.details.servers?.length ?? 0)) throw error;
    const servers: readonly ServerId[] = [server];
    throw new LumeoError(error.code, error.message, { ...error.details, servers });
  }
}

export class UnitStreams {
  readonly #code: Code;
  readonly #sinks: readonly ChunkSink[];
  readonly #holders: readonly Replica[];
  readonly #work: JointWork;
  #lengthBytes = 0;
  #crc32c = 0;

  private constructor(
    code: Code,
    sinks: readonly ChunkSink[],
    route: { readonly holders: readonly Replica[]; readonly work: JointWork },
  ) {
    this.#code = code;
    this.#sinks = sinks;
    this.#holders = route.holders;
    this.#work = { ...route.work, others: () => sinks.map(({ failure }) => failure) };
  }

  /** Opens a write at every server, or none. */
  static async open(
    pool: ChunkserverPool,
    code: Code,
    target: Allocation,
    work: JointWork,
  ): Promise<UnitStreams> {
    const { limits } = work;
    const holders = target.replicas;
    const opening = holders.map((holder, unit) => {
      return atServer(holder, limits, pool.openWrite(unitTarget(target, unit), limits));
    });
    try {
      return new UnitStreams(code, await allTogether(opening, work), { holders, work });
    } catch (error) {
      for (const one of opening) {
        one.then(
          (sink) => sink.abort(),
          () => undefined,
        );
      }
      throw error;
    }
  }

  /**
   * Sends a stripe. Waits while the queue to any server is full.
   *
   * @param sent  Called once for each cell, when its bytes may change again.
   */
  async write(stripe: Stripe, cells: readonly Uint8Array[], sent: () => void): Promise<void> {
    const writes = cells.map((cell, unit) => this.#writeCell(unit, cell, sent));
    const sums = await allTogether(writes, this.#work);
    for (const [unit, crc32c] of sums.entries()) {
      if (this.#code.data <= unit) break;
      const bytes = cells[unit]?.byteLength ?? 0;
      this.#crc32c = crc32cCombine(this.#crc32c, crc32c, bytes);
    }
    this.#lengthBytes += stripe.lengthBytes;
  }

  /** Resolves when every server has its unit durably. */
  async finish(): Promise<WrittenUnits> {
    const finishing = this.#sinks.map((sink, unit) => this.#at(unit, sink.finish()));
    const units = await allTogether(finishing, this.#work);
    const { data, parity, cellBytes } = this.#code;
    const unitCrcs = units.map(({ crc32c }) => crc32c);
    const coding: ChunkCoding = { data, parity, cellBytes, unitCrcs };
    return { lengthBytes: this.#lengthBytes, crc32c: this.#crc32c, coding };
  }

  /** Gives all of it up. Harmless after `finish`. */
  abort(): void {
    for (const sink of this.#sinks) sink.abort();
  }

  #at<T>(unit: number, action: Promise<T>): Promise<T> {
    return atServer(this.#holders[unit] as Replica, this.#work.limits, action);
  }

  #writeCell(unit: number, cell: Uint8Array, sent: () => void): Promise<number> {
    const sink = this.#sinks[unit] as ChunkSink;
    return this.#at(unit, writeCell(sink, cell, sent));
  }
}

/**
 * @param sent  Called once, when all of the cell has left or never will.
 * @returns     The cell's checksum.
 */
async function writeCell(sink: ChunkSink, cell: Uint8Array, sent: () => void): Promise<number> {
  let left = Math.max(1, Math.ceil(cell.byteLength / FRAME_BYTES));
  const leave = (): void => {
    if (--left === 0) sent();
  };
  if (cell.byteLength === 0) leave();
  let crc32c = 0;
  for (let at = 0; at < cell.byteLength; at += FRAME_BYTES) {
    const frame = cell.subarray(at, at + FRAME_BYTES);
    let hasLeft = false;
    const leaveOnce = (): void => {
      if (!hasLeft) leave();
      hasLeft = true;
    };
    try {
      crc32c = crc32cCombine(crc32c, await sink.write(frame, leaveOnce), frame.byteLength);
    } catch (error) {
      leaveOnce();
      for (let rest = at + FRAME_BYTES; rest < cell.byteLength; rest += FRAME_BYTES) leave();
      throw error;
    }
  }
  return crc32c;
}
