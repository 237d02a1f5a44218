// Carries moves out: has the copy made, then has another server read it again from the target's
// disk. Only when both have gone well is a move done. Nothing is decided here, and nothing is kept:
// a move that is ordered twice, by this leader or by the one before it, is found made.

import { asLumeoError, type Logger, type ServerId } from "@lumeofs/base";
import { type PaceLimits, weightOf } from "../../healing/pace.js";
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
  /** Copies that a server cannot give or take now wait here. */
  readonly limits: PaceLimits;
}

/** What is under way at the servers, by its weight. */
interface Busy {
  readonly in: Map<ServerId, number>;
  readonly out: Map<ServerId, number>;
}

export class MoveRunner {
  readonly #parts: MoveRunnerParts;
  /** With a signal each: one for all would be listened to by all of them. */
  readonly #running = new Map<MoveOrder, AbortController>();
  readonly #busy: Busy = { in: new Map(), out: new Map() };
  #waiting: MoveOrder[] = [];
  #isAwake = false;
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
    this.#wake();
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

  /** Orders what waits when everybody who gives orders, or has ended, has done so. */
  #wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    queueMicrotask(() => {
      this.#isAwake = false;
      this.#next();
    });
  }

  /** Orders those that wait, in their order, as far as their servers have room. */
  #next(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const order of waiting) {
      if (this.#isFree(order)) this.#run(order);
      else this.#waiting.push(order);
    }
  }

  #isFree(order: MoveOrder): boolean {
    const { limits } = this.#parts;
    const weight = weightOf(order.chunk.lengthBytes, limits);
    return endsOf(order).every(([way, server]) => {
      return (this.#busy[way].get(server) ?? 0) + weight <= limits.movesPerServer;
    });
  }

  #count(order: MoveOrder, sign: 1 | -1): void {
    const weight = sign * weightOf(order.chunk.lengthBytes, this.#parts.limits);
    for (const [way, server] of endsOf(order)) {
      this.#busy[way].set(server, (this.#busy[way].get(server) ?? 0) + weight);
    }
  }

  #run(order: MoveOrder): void {
    const stopping = new AbortController();
    this.#running.set(order, stopping);
    this.#count(order, 1);
    void this.#carryOut(order, stopping.signal).then((ended) => {
      this.#running.delete(order);
      this.#count(order, -1);
      this.#ended.push(ended);
      this.#wake();
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
    const { orders, logger } = this.#parts;
    const { bytesPerSecond: bytesPerSecondMax } = this.#parts.limits;
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
    const { orders, logger } = this.#parts;
    const { bytesPerSecond: bytesPerSecondMax } = this.#parts.limits;
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
function endsOf({ move, sources }: MoveOrder): readonly (readonly [keyof Busy, ServerId])[] {
  const [first] = sources;
  const target = ["in", move.target] as const;
  return first === undefined ? [target] : [target, ["out", first.id]];
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
