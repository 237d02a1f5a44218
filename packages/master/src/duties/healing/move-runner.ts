// Carries moves out: has the copy made, then has another server read it again from the target's
// disk. Only when both have gone well is a move done. Nothing is decided here, and nothing is kept:
// a move that is ordered twice, by this leader or by the one before it, is found made.

import { asLumeoError, type ChunkHandle, type Logger, type ServerId } from "@lumeofs/base";
import type { ChunkRecord } from "../../metadata/chunk-table.js";
import type { MoveOutcome, NewMove } from "../../metadata/moves.js";
import type { Server } from "../../metadata/servers.js";
import { COPY_SOURCES_MAX, type Holder, type Orders, type SourceFault } from "../orders.js";

export interface MoveOrder {
  readonly move: NewMove;
  readonly chunk: ChunkRecord;
  readonly target: Server;
  /** The one to ask first at the front; it reads the copy again. */
  readonly sources: readonly Holder[];
}

export interface EndedMove {
  readonly move: NewMove;
  /** Length of the chunk. */
  readonly bytes: number;
  readonly outcome: MoveOutcome;
  /** Servers whose copies were found bad on the way. */
  readonly bad: readonly ServerId[];
}

export interface MoveRunnerParts {
  readonly orders: Orders;
  readonly logger: Logger;
  readonly bytesPerSecond: number;
}

export class MoveRunner {
  readonly #parts: MoveRunnerParts;
  readonly #running = new Set<ChunkHandle>();
  readonly #stopping = new AbortController();
  #ended: EndedMove[] = [];

  constructor(parts: MoveRunnerParts) {
    this.#parts = parts;
  }

  /** Moves that are ordered, or ended and not taken. */
  get size(): number {
    return this.#running.size + this.#ended.length;
  }

  start(order: MoveOrder): void {
    const { handle } = order.move;
    this.#running.add(handle);
    void this.#carryOut(order).then((ended) => {
      this.#running.delete(handle);
      this.#ended.push(ended);
    });
  }

  /** A move that nothing can be done for any more. */
  drop(move: NewMove): void {
    this.#ended.push({ move, bytes: 0, outcome: "dropped", bad: [] });
  }

  /** The first moves that have ended, until they are settled. */
  ended(countMax: number): readonly EndedMove[] {
    return this.#ended.slice(0, countMax);
  }

  /** The first `count` ended moves are written down. */
  settled(count: number): void {
    this.#ended = this.#ended.slice(count);
  }

  /** This master does not lead any more: the next leader gives its own orders. */
  stop(): void {
    this.#stopping.abort();
  }

  async #carryOut(order: MoveOrder): Promise<EndedMove> {
    try {
      return await this.#copy(order);
    } catch (error) {
      const { code } = asLumeoError(error);
      this.#parts.logger.debug("move failed", { chunk: order.move.handle, code, error });
      return endOf(order, "failed", []);
    }
  }

  async #copy(order: MoveOrder): Promise<EndedMove> {
    const { orders, logger, bytesPerSecond: bytesPerSecondMax } = this.#parts;
    const { move, target } = order;
    const chunk = sealedOf(order);
    const sources = order.sources.slice(0, COPY_SOURCES_MAX);
    const { signal } = this.#stopping;
    const copy = await orders.copyReplica(target, { chunk, sources, bytesPerSecondMax, signal });
    switch (copy.kind) {
      case "copied":
        return this.#audit(order, badOf(copy.faults));
      case "here":
        return this.#audit(order, []);
      case "noSource":
        logger.debug("move found no source", { chunk: move.handle, error: copy.why });
        return endOf(order, "failed", badOf(copy.faults));
      case "twoHistories":
        logger.error("chunk has two histories", { chunk: move.handle, error: copy.why });
        return endOf(order, "failed", []);
    }
  }

  /** Not by the target itself, and from its disk. */
  async #audit(order: MoveOrder, bad: readonly ServerId[]): Promise<EndedMove> {
    const { orders, logger, bytesPerSecond: bytesPerSecondMax } = this.#parts;
    const { move, target, sources } = order;
    const holder = { id: move.target, server: target };
    const chunk = sealedOf(order);
    const { signal } = this.#stopping;
    for (const auditor of sources) {
      const audit = { chunk, holder, bytesPerSecondMax, signal };
      const found = await orders.auditReplica(auditor.server, audit);
      if (found.kind === "intact") return endOf(order, "moved", bad);
      if (found.kind === "unreached") continue;
      const fields = { chunk: move.handle, server: move.target, error: found.why };
      logger.warn("new copy is bad", fields);
      break;
    }
    return endOf(order, "failed", bad);
  }
}

function endOf(
  { move, chunk }: MoveOrder,
  outcome: MoveOutcome,
  bad: readonly ServerId[],
): EndedMove {
  return { move, bytes: chunk.lengthBytes, outcome, bad };
}

function sealedOf({ move: { handle }, chunk: { epoch, lengthBytes, crc32c } }: MoveOrder) {
  return { handle, epoch, lengthBytes, crc32c };
}

function badOf(faults: readonly SourceFault[]): readonly ServerId[] {
  return faults.filter((fault) => fault.isBad).map((fault) => fault.server);
}
