// One chunk to the servers of its units.
//
// E1. A chunk is coded while it streams: what is held of it is the stripe that is being gathered,
//     as frames of its body, and STRIPES_PER_ARENA stripes of cells.
// E2. A chunk that is one short stripe with small cells goes as one frame to each server.
// E3. At most STREAMED_CHUNKS_MAX chunks of a client are under way by streams, fewer if their cells
//     take more than STREAMED_BYTES_MAX. Each has a connection to every one of its servers; with
//     more chunks than connections they could wait for each other's for ever.

import {
  Budget,
  type Code,
  crc32cCombine,
  invariant,
  MiB,
  SMALL_CHUNK_BYTES_MAX,
  stripeCount,
  stripeOf,
  type Timers,
  unitCount,
} from "@lumeofs/base";
import type { ChunkTask } from "../copies-writer.js";
import type { Allocation } from "../grant-book.js";
import type { ChunkserverPool, RequestOptions } from "../rpc/chunkserver-pool.js";
import { SourceFrames } from "../source-frames.js";
import type { Codecs } from "./codecs.js";
import { codeStripe } from "./coded-stripe.js";
import { FrameRow } from "./frame-row.js";
import { allTogether } from "./joint-failure.js";
import { arenaBytes, type StripeArena, StripeArenas } from "./stripe-arenas.js";
import { atServer, UnitStreams, unitTarget, type WrittenUnits } from "./unit-streams.js";

const STREAMED_CHUNKS_MAX = 24;
const STREAMED_BYTES_MAX = 384 * MiB;

export interface CodedWriterParts {
  readonly chunkservers: ChunkserverPool;
  readonly codecs: Codecs;
  readonly timers: Timers;
}

export class CodedWriter {
  readonly #parts: CodedWriterParts;
  readonly #arenas = new StripeArenas();
  readonly #streamed = new Budget(STREAMED_BYTES_MAX);

  constructor(parts: CodedWriterParts) {
    this.#parts = parts;
  }

  /** Sends a chunk once; "paused" if the source kept the connections waiting for too long. */
  async write(code: Code, task: ChunkTask): Promise<WrittenUnits | "paused"> {
    const { call, body } = task;
    const frames = new SourceFrames(call, body, this.#parts.timers);
    const row = new FrameRow();
    try {
      while (row.byteLength < code.data * code.cellBytes) {
        const frame = await frames.next(false);
        if (frame === "paused") return frame;
        if (frame === undefined) break;
        row.push(frame);
      }
      invariant(0 < row.byteLength, "an empty chunk is not sent");
      if (stripeOf(code, row.byteLength, 0).cellBytes <= SMALL_CHUNK_BYTES_MAX) {
        const isWhole = row.byteLength < code.data * code.cellBytes;
        if (isWhole) return await this.#writeSmall(code, task, row);
      }
      return await this.#writeStreamed(code, task, { row, frames });
    } finally {
      frames.close();
    }
  }

  /** All of a small chunk is here (E2). */
  async #writeSmall(
    code: Code,
    { target, limits, onSent }: ChunkTask,
    row: FrameRow,
  ): Promise<WrittenUnits> {
    const { byteLength: lengthBytes } = row;
    const stripe = stripeOf(code, lengthBytes, 0);
    const { cellBytes } = stripe;
    const units = unitCount(code);
    const memory = Buffer.allocUnsafeSlow(units * cellBytes);
    const cells = codeStripe(
      { code, codec: this.#parts.codecs.of(code) },
      stripe,
      row,
      [...new Array(units).keys()].map((n) => memory.subarray(n * cellBytes, (n + 1) * cellBytes)),
    );
    const unitCrcs = await this.#writeFrames(target, cells, limits);
    onSent(lengthBytes);
    let crc32c = 0;
    for (const [unit, sum] of unitCrcs.slice(0, code.data).entries()) {
      crc32c = crc32cCombine(crc32c, sum, cells[unit]?.byteLength ?? 0);
    }
    const { data, parity } = code;
    return { lengthBytes, crc32c, coding: { data, parity, cellBytes: code.cellBytes, unitCrcs } };
  }

  /** @returns The checksum of each unit; 0 for one without bytes, which is stored nowhere. */
  #writeFrames(
    target: Allocation,
    cells: readonly Uint8Array[],
    limits: RequestOptions,
  ): Promise<readonly number[]> {
    const writes = cells.map(async (cell, unit) => {
      if (cell.byteLength === 0) return 0;
      const one = unitTarget(target, unit);
      const writing = this.#parts.chunkservers.writeSmall(one, cell, limits);
      const [holder] = one.replicas;
      const written = await (holder === undefined ? writing : atServer(holder, limits, writing));
      return written.crc32c;
    });
    return allTogether(writes, { timers: this.#parts.timers, limits });
  }

  async #writeStreamed(
    code: Code,
    task: ChunkTask,
    source: { readonly row: FrameRow; readonly frames: SourceFrames },
  ): Promise<WrittenUnits | "paused"> {
    const { target, limits } = task;
    const share = shareOf(code);
    const permit =
      this.#streamed.tryTake(share) ?? (await this.#streamed.take(share, limits.signal));
    const arena = this.#arenas.take(code);
    let streams: UnitStreams | undefined;
    try {
      const { chunkservers, timers } = this.#parts;
      streams = await UnitStreams.open(chunkservers, code, target, { timers, limits });
      const isAll = await sendStripes(code, task, { ...source, streams, arena });
      if (isAll) return await streams.finish();
      streams.abort();
      return "paused";
    } catch (error) {
      streams?.abort();
      throw error;
    } finally {
      this.#arenas.give(code, arena);
      permit.release();
    }
  }
}

/** What a chunk under way takes of STREAMED_BYTES_MAX. */
function shareOf(code: Code): number {
  return Math.max(arenaBytes(code), STREAMED_BYTES_MAX / STREAMED_CHUNKS_MAX);
}

/** @returns False if the source paused for too long. */
async function sendStripes(
  code: Code,
  { onSent }: ChunkTask,
  parts: {
    readonly row: FrameRow;
    readonly frames: SourceFrames;
    readonly streams: UnitStreams;
    readonly arena: StripeArena;
  },
): Promise<boolean> {
  const { row, frames, streams, arena } = parts;
  const stripeBytes = code.data * code.cellBytes;
  let sentBytes = 0;
  for (let isOver = false; ; ) {
    while (row.byteLength < stripeBytes && !isOver) {
      const frame = await frames.next(true);
      if (frame === "paused") return false;
      if (frame === undefined) isOver = true;
      else row.push(frame);
    }
    if (row.byteLength === 0) return true;
    const inStripe = Math.min(row.byteLength, stripeBytes);
    const lengthBytes = sentBytes + inStripe;
    const stripe = stripeOf(code, lengthBytes, stripeCount(code, lengthBytes) - 1);
    const room = await arena.take();
    const cells = codeStripe({ code, codec: arena.codec }, stripe, row, room.cells);
    await streams.write(stripe, cells, room.sent);
    sentBytes = lengthBytes;
    onSent(sentBytes);
  }
}
