// Carries moves out: has the copy made, then has another server read it again from the target's
// disk. Only when both have gone well is a move done. Nothing is decided here, and nothing is kept:
// a move that is ordered twice, by this leader or by the one before it, is found made.

import { asLumeoError, type Logger, type ServerId } from "@lumeofs/base";
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
  /** Copies that one server gives, and takes, at once; others wait here. */
  readonly movesPerServer: number;
}

export class MoveRunner {
  readonly #parts: MoveRunnerParts;
  /** With a signal each: one for all would be listened to by all of them. */
  readonly #running = new Map<MoveOrder, AbortController>();
  #waiting: MoveOrder[] = [];
  #ended: EndedMove[] = [];

  constructor(parts: MoveRunnerParts) {
    this.#parts = parts;
  }

  /** Moves that wait, are ordered, or have ended and are not settled. */
  get size(): number {
    return this.#waiting.length + this.#running.size + this.#ended.length;
  }

  /** Orders a move as soon as its servers have room for it. */
  start(order: MoveOrder): void {
    this.#waiting.push(order);
    this.#next();
  }

  /** Moves that are not ordered yet are dropped unless they are `wanted`. */
  withdraw(wanted: (move: NewMove) => boolean): void {
    const unwanted = this.#waiting.filter(({ move }) => !wanted(move));
    this.#waiting = this.#waiting.filter(({ move }) => wanted(move));
    for (const { move } of unwanted) this.drop(move);
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
    for (const stopping of this.#running.values()) stopping.abort();
    this.#waiting = [];
  }

  /** Orders those that wait, in their order, as far as their servers have room. */
  #next(): void {
    const busy = new Map<string, number>();
    const take = (order: MoveOrder): void => {
      for (const end of endsOf(order)) busy.set(end, (busy.get(end) ?? 0) + 1);
    };
    const isFree = (order: MoveOrder): boolean =>
      endsOf(order).every((end) => (busy.get(end) ?? 0) < this.#parts.movesPerServer);
    for (const order of this.#running.keys()) take(order);
    const still: MoveOrder[] = [];
    for (const order of this.#waiting) {
      if (isFree(order)) {
        take(order);
        this.#run(order);
      } else {
        still.push(order);
      }
    }
    this.#waiting = still;
  }

  #run(order: MoveOrder): void {
    const stopping = new AbortController();
    this.#running.set(order, stopping);
    void this.#carryOut(order, stopping.signal).then((ended) => {
      this.#running.delete(order);
      this.#ended.push(ended);
      this.#next();
    });
  }

  async #carryOut(order: MoveOrder, signal: AbortSignal): Promise<EndedMove> {
    try {
      return await this.#copy(order, signal);
    } catch (error) {
      const { code } = asLumeoError(error);
      this.#parts.logger.debug("move failed", { chunk: order.move.handle, code, error });
      return endOf(order, "failed", []);
    }
  }

  async #copy(order: MoveOrder, signal: AbortSignal): Promise<EndedMove> {
    const { orders, logger, bytesPerSecond: bytesPerSecondMax } = this.#parts;
    const { move, target } = order;
    const chunk = sealedOf(order);
    const sources = order.sources.slice(0, COPY_SOURCES_MAX);
    const copy = await orders.copyReplica(target, { chunk, sources, bytesPerSecondMax, signal });
    switch (copy.kind) {
      case "copied":
        return this.#audit(order, badOf(copy.faults), signal);
      case "here":
        return this.#audit(order, [], signal);
      case "noSource":
        logger.debug("move found no source", { chunk: move.handle, error: copy.why });
        return endOf(order, "failed", badOf(copy.faults));
      case "twoHistories":
        logger.error("chunk has two histories", { chunk: move.handle, error: copy.why });
        return endOf(order, "failed", []);
    }
  }

  /** Not by the target itself, and from its disk. */
  async #audit(
    order: MoveOrder,
    bad: readonly ServerId[],
    signal: AbortSignal,
  ): Promise<EndedMove> {
    const { orders, logger, bytesPerSecond: bytesPerSecondMax } = this.#parts;
    const { move, target, sources } = order;
    const holder = { id: move.target, server: target };
    const chunk = sealedOf(order);
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

/** Who is busy with a move: its target, and the source that is asked first. */
function endsOf({ move, sources }: MoveOrder): readonly string[] {
  return [`in ${move.target}`, `out ${sources[0]?.id ?? ""}`];
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
