// Carries moves out: has the copy made, then has another server read it again from the target's
// disk. Only when both have gone well is a move done. Nothing is decided here, and nothing is kept:
// a move that is ordered twice, by this leader or by the one before it, is found made.

import { asLumeoError, type Logger, type ServerId } from "@lumeofs/base";
import type { OpenMove } from "../../healing/balance.js";
import { type PaceLimits, weightOf } from "../../healing/pace.js";
import type { Making } from "../../healing/plan-making.js";
import type { ChunkRecord } from "../../metadata/chunk-table.js";
import { holdsNothing, type MemberContent, memberContent } from "../../metadata/member-content.js";
import type { MoveOutcome, NewMove } from "../../metadata/moves.js";
import type { Server } from "../../metadata/servers.js";
import {
  COPY_SOURCES_MAX,
  type CopyOrder,
  type Holder,
  type Orders,
  type Rebuild,
  type SealedReplica,
  type SourceFault,
} from "../orders.js";

export interface MoveOrder {
  readonly move: NewMove;
  readonly chunk: ChunkRecord;
  readonly target: Server;
  readonly making: Making;
  /** Those to ask first at the front; one of them reads the copy again. */
  readonly sources: readonly Holder[];
  /** So many of the sources give at the same time. */
  readonly givers: number;
}

export interface EndedMove {
  readonly move: NewMove;
  /** Length of the copy. */
  readonly bytes: number;
  readonly outcome: MoveOutcome;
  /** Servers whose copies were found bad on the way. */
  readonly bad: readonly ServerId[];
  /** Of a failed one. */
  readonly why?: string | undefined;
}

export interface MoveRunnerParts {
  readonly orders: Orders;
  /** Of this leader: what all of its orders bear. */
  readonly mandate: number;
  readonly logger: Logger;
  /** Copies that a server cannot give or take now wait here. */
  readonly limits: PaceLimits;
}

/** See `#next`. */
const PASSED_OVER_MAX = 64;

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
  /** How often others were looked at while an order waited. */
  readonly #passedOver = new WeakMap<MoveOrder, number>();
  #isAwake = false;
  #isStopped = false;
  #ended: EndedMove[] = [];

  constructor(parts: MoveRunnerParts) {
    this.#parts = parts;
  }

  /** Moves that wait, are ordered, or have ended and are not settled. */
  get size(): number {
    return this.#waiting.length + this.#running.size + this.#ended.length;
  }

  /** The same, with the bytes that they bring: their chunks' members have not changed yet. */
  *open(): Iterable<OpenMove> {
    for (const order of [...this.#waiting, ...this.#running.keys()]) {
      yield { ...order.move, bytes: contentOf(order).lengthBytes };
    }
    for (const { move, bytes, outcome } of this.#ended)
      if (outcome === "moved") yield { ...move, bytes };
  }

  /** Orders a move as soon as its servers have room for it. */
  start(order: MoveOrder): void {
    if (this.#isStopped) return;
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

  /** This master does not lead any more: it orders nothing, the next leader does. */
  stop(): void {
    this.#isStopped = true;
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

  /**
   * Orders those that wait, in their order, as far as their servers have room. One that needs
   * several servers at once would be overtaken for ever by those that need two: what has been
   * passed over often enough keeps its servers free for itself.
   */
  #next(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const kept = new Set<string>();
    for (const order of waiting) {
      const ends = endsOf(order).map((end) => end.join(" "));
      if (this.#isFree(order) && !ends.some((end) => kept.has(end))) {
        this.#run(order);
        continue;
      }
      const count = (this.#passedOver.get(order) ?? 0) + 1;
      this.#passedOver.set(order, count);
      if (PASSED_OVER_MAX <= count) for (const end of ends) kept.add(end);
      this.#waiting.push(order);
    }
  }

  #isFree(order: MoveOrder): boolean {
    const { limits } = this.#parts;
    const weight = weightOf(contentOf(order).lengthBytes, limits);
    return endsOf(order).every(([way, server]) => {
      return (this.#busy[way].get(server) ?? 0) + weight <= limits.movesPerServer;
    });
  }

  #count(order: MoveOrder, sign: 1 | -1): void {
    const weight = sign * weightOf(contentOf(order).lengthBytes, this.#parts.limits);
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
    const { logger } = this.#parts;
    try {
      if (order.making === "none") return endOf(order, "moved", []);
      return await this.#copy(order, signal);
    } catch (error) {
      const { code, message } = asLumeoError(error);
      const fields = { chunk: order.move.handle, code, error };
      if (code === "CORRUPT") logger.error("units do not fit together", fields);
      else logger.debug("move failed", fields);
      return failed(order, [], message);
    }
  }

  async #copy(order: MoveOrder, signal: AbortSignal): Promise<EndedMove> {
    const { orders, mandate, logger } = this.#parts;
    const { bytesPerSecond: bytesPerSecondMax } = this.#parts.limits;
    const { move, target } = order;
    const given = { ...copyOf(order), mandate, bytesPerSecondMax, signal };
    const copy = await orders.copyReplica(target, given);
    switch (copy.kind) {
      case "copied":
        return this.#audit(order, badOf(copy.faults), signal);
      case "here":
        return this.#audit(order, [], signal);
      case "noSource":
        logger.debug("move found no source", { chunk: move.handle, error: copy.why });
        return failed(order, badOf(copy.faults), copy.why);
      case "twoHistories":
        logger.error("chunk has two histories", { chunk: move.handle, error: copy.why });
        return failed(order, [], copy.why);
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
    let why = "no server could read the new copy again";
    for (const auditor of sources) {
      const audit = { chunk, holder, bytesPerSecondMax, signal };
      const found = await orders.auditReplica(auditor.server, audit);
      if (found.kind === "intact") return endOf(order, "moved", bad);
      why = found.why;
      if (found.kind === "unreached") continue;
      const fields = { chunk: move.handle, server: move.target, error: found.why };
      logger.warn("new copy is bad", fields);
      break;
    }
    return failed(order, bad, why);
  }
}

/** Who is busy with a move: its target, and the sources that are asked first. */
function endsOf({ move, sources, givers }: MoveOrder) {
  const out = sources.slice(0, givers).map(({ id }) => ["out", id] as const);
  return [["in", move.target] as const, ...out];
}

function endOf(order: MoveOrder, outcome: MoveOutcome, bad: readonly ServerId[]): EndedMove {
  return { move: order.move, bytes: contentOf(order).lengthBytes, outcome, bad };
}

function failed(order: MoveOrder, bad: readonly ServerId[], why: string): EndedMove {
  return { ...endOf(order, "failed", bad), why: `${order.target.name}: ${why}` };
}

/** What the new copy has to be: of units, what the leaving one is. */
function contentOf({ move: { leaving }, chunk }: MoveOrder): MemberContent {
  return leaving === undefined ? chunk : memberContent(chunk, leaving);
}

function sealedOf(order: MoveOrder): SealedReplica {
  const { lengthBytes, crc32c } = contentOf(order);
  return { handle: order.move.handle, epoch: order.chunk.epoch, lengthBytes, crc32c };
}

type CopyPlan = Pick<CopyOrder, "chunk" | "sources" | "isUnit" | "rebuild">;

function copyOf(order: MoveOrder): CopyPlan {
  const chunk = sealedOf(order);
  const isUnit = order.chunk.coding !== undefined;
  const rebuild = order.making === "rebuild" ? rebuildOf(order) : undefined;
  if (rebuild !== undefined) return { chunk, sources: [], isUnit, rebuild };
  return { chunk, sources: order.sources.slice(0, COPY_SOURCES_MAX), isUnit };
}

/** Units without bytes need no reading, and count like all others. */
function rebuildOf({ move, chunk, sources }: MoveOrder): Rebuild | undefined {
  const { coding, members } = chunk;
  if (coding === undefined || move.leaving === undefined) return undefined;
  const nowhere = members.filter((member) => holdsNothing(chunk, member));
  const source = (member: ServerId, holder: Holder | undefined) => {
    return { unit: members.indexOf(member), ...memberContent(chunk, member), holder };
  };
  return {
    ...{ data: coding.data, parity: coding.parity, unit: members.indexOf(move.leaving) },
    sources: [
      ...nowhere.map((member) => source(member, undefined)),
      ...sources.map((holder) => source(holder.id, holder)),
    ],
  };
}

function badOf(faults: readonly SourceFault[]): readonly ServerId[] {
  return faults.filter((fault) => fault.isBad).map((fault) => fault.server);
}
