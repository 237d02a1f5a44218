// Which units are asked while cells of one stripe are read, and when a cell is rebuilt from others
// instead of being waited for. Pure: what happens and what time it is come in, what is to be done
// goes out.
//
// T1. A cell that is wanted is asked of its own unit alone, as long as nothing speaks against that
//     unit: a healthy stripe costs no byte more than is wanted.
// T2. A unit that something speaks against, that fails, or that falls silent for the policy's delay
//     is not waited for: the range that is wanted of it is asked of as many others as rebuild it.
//     What is asked for anyway counts among these.
// T3. Whichever is there first is taken, the cell itself or what it is rebuilt from; what is still
//     under way when all cells are there is cancelled.
// T4. A unit that has failed is not asked again in this race.
// T5. The race is lost when a cell can neither come nor be rebuilt from units that have not failed.

import { type Code, cellLength, type MonotonicMs, type Stripe } from "@lumeofs/base";
import type { HedgePolicy } from "../hedge-policy.js";

/** A range of one unit's cell, counted from the beginning of the cell. */
export interface CellPart {
  readonly unit: number;
  readonly from: number;
  readonly to: number;
}

/** What speaks against asking a unit; the lower, the better. */
export interface UnitOutlook {
  /** 0: nothing. Infinity: it cannot be asked at all. */
  readonly doubt: number;
  /** Among those of equal doubt. */
  readonly rank: number;
}

/** What the race wants done. `piece` is a number for one request, from 0. */
export type StripeStep =
  | { readonly kind: "ask"; readonly piece: number; readonly part: CellPart }
  /** Not needed any more. It was silent for so long; undefined if it was not slow. */
  | { readonly kind: "cancel"; readonly piece: number; readonly silentMs: number | undefined }
  /** Call `woke` then, unless the race is over. */
  | { readonly kind: "wake"; readonly inMs: number }
  /** All that is wanted is there, in the order of the wishes. */
  | { readonly kind: "done"; readonly cells: readonly CellOrigin[] }
  | { readonly kind: "lost" };

/** Where the bytes of a wanted part come from. */
export type CellOrigin =
  | { readonly kind: "read"; readonly part: CellPart; readonly piece: number }
  /** From these pieces; units without bytes there count as zeros. */
  | { readonly kind: "rebuilt"; readonly part: CellPart; readonly sources: readonly CellSource[] };

export interface CellSource {
  readonly unit: number;
  /** Undefined: absent, all zeros. */
  readonly piece: number | undefined;
}

interface Piece {
  readonly number: number;
  readonly part: CellPart;
  state: "running" | "done" | "failed";
  heardAt: MonotonicMs;
}

/** Where one source stands for one part. */
type Standing = "absent" | "done" | "running" | "silent" | "idle" | "failed";

export interface StripeRaceTask {
  readonly code: Code;
  readonly stripe: Stripe;
  readonly wanted: readonly CellPart[];
  /** By unit. */
  readonly outlooks: readonly UnitOutlook[];
}

export class StripeRace {
  readonly #task: StripeRaceTask;
  readonly #policy: HedgePolicy;
  readonly #pieces: Piece[] = [];
  readonly #failedUnits = new Set<number>();
  /** Units in the order in which sources are asked. */
  readonly #byHope: readonly number[];
  /** Parts that are not waited for alone any more (T2). */
  readonly #rebuilding = new Set<CellPart>();
  #isOver = false;

  constructor(task: StripeRaceTask, policy: HedgePolicy) {
    this.#task = task;
    this.#policy = policy;
    const { outlooks } = task;
    this.#byHope = [...outlooks.keys()].sort((a, b) => {
      const [one, other] = [outlooks[a] as UnitOutlook, outlooks[b] as UnitOutlook];
      return one.doubt - other.doubt || one.rank - other.rank;
    });
    for (const unit of outlooks.keys()) {
      if (this.#doubtOf(unit) === Infinity) this.#failedUnits.add(unit);
    }
  }

  start(now: MonotonicMs): readonly StripeStep[] {
    this.#policy.readBegan();
    const steps: StripeStep[] = [];
    const { wanted } = this.#task;
    // Cells that come as they are first: they are sources for the others.
    for (const part of wanted) {
      if (this.#isBetterRebuilt(part)) this.#rebuilding.add(part);
      else steps.push(this.#ask(part, now));
    }
    steps.push(...this.#topUp(now), ...this.#verdict(now));
    const { delayMs } = this.#policy;
    if (!this.#isOver && delayMs !== Infinity) steps.push({ kind: "wake", inMs: delayMs });
    return steps;
  }

  /** Whether a piece is still listened to. */
  isRunning(piece: number): boolean {
    return !this.#isOver && this.#pieces[piece]?.state === "running";
  }

  /** Some of a piece has come. @returns How long that was waited for. */
  heard(piece: number, now: MonotonicMs): number {
    const one = this.#pieces[piece] as Piece;
    const waitedMs = now - one.heardAt;
    one.heardAt = now;
    this.#policy.waited(waitedMs);
    return waitedMs;
  }

  /** All of a piece has come. */
  done(piece: number, now: MonotonicMs): readonly StripeStep[] {
    (this.#pieces[piece] as Piece).state = "done";
    return this.#verdict(now);
  }

  /** A piece has failed (T4). */
  failed(piece: number, now: MonotonicMs): readonly StripeStep[] {
    const failed = this.#pieces[piece] as Piece;
    const { unit } = failed.part;
    failed.state = "failed";
    this.#failedUnits.add(unit);
    const steps: StripeStep[] = [];
    for (const one of this.#pieces) {
      if (one.part.unit !== unit || one.state !== "running") continue;
      one.state = "failed";
      steps.push({ kind: "cancel", piece: one.number, silentMs: undefined });
    }
    for (const want of this.#task.wanted) if (want.unit === unit) this.#rebuilding.add(want);
    return [...steps, ...this.#topUp(now), ...this.#verdict(now)];
  }

  /** The time that was asked for has come. */
  woke(now: MonotonicMs): readonly StripeStep[] {
    const { delayMs, patienceMs } = this.#policy;
    const waits = this.#pieces.filter(({ state }) => state === "running");
    const silentMs = Math.max(0, ...waits.map(({ heardAt }) => now - heardAt));
    if (silentMs < delayMs) return [wakeIn(delayMs - silentMs)];
    const steps = this.#hedge(now, patienceMs <= silentMs);
    return this.#isOver ? steps : [...steps, wakeIn(delayMs)];
  }

  /** Asks others for what silent units do not send, as far as the budget allows it. */
  #hedge(now: MonotonicMs, isPatienceOver: boolean): readonly StripeStep[] {
    const late = this.#task.wanted.filter((want) => {
      const own = this.#find(want);
      return own?.state === "running" && this.#isSilent(own, now);
    });
    const before = new Set(this.#rebuilding);
    for (const want of late) this.#rebuilding.add(want);
    const needed = [...this.#rebuilding].some((want) => 0 < this.#missing(want, now).length);
    if (!needed) return this.#verdict(now); // enough of the others came, or will, in any case
    if (isPatienceOver || this.#policy.tryHedge()) return this.#topUp(now);
    for (const want of late) if (!before.has(want)) this.#rebuilding.delete(want);
    return [];
  }

  /** Asks as many more units as the parts need that are being rebuilt. */
  #topUp(now: MonotonicMs): StripeStep[] {
    const steps: StripeStep[] = [];
    for (const want of this.#rebuilding) {
      if (this.#isThere(want)) continue;
      for (const unit of this.#missing(want, now)) {
        steps.push(this.#ask(this.#partOf(unit, want), now));
      }
      // Too few others: the unit itself is the last hope, whatever speaks against it.
      const isHopeless = this.#hopesFor(want) < this.#task.code.data;
      const isAskable = this.#find(want) === undefined && !this.#failedUnits.has(want.unit);
      if (isHopeless && isAskable) steps.push(this.#ask(want, now));
    }
    return steps;
  }

  /** Units to be asked for a part, so that enough of its sources are there or on their way. */
  #missing(want: CellPart, now: MonotonicMs): readonly number[] {
    const others = this.#byHope.filter((unit) => unit !== want.unit);
    const counted = others.filter((unit) => {
      const standing = this.#standing(unit, want, now);
      return standing === "absent" || standing === "done" || standing === "running";
    });
    const lacking = Math.max(0, this.#task.code.data - counted.length);
    const idle = others.filter((unit) => this.#standing(unit, want, now) === "idle");
    return idle.slice(0, lacking);
  }

  /** Sources of a part that are there, or may yet come. */
  #hopesFor(want: CellPart): number {
    return this.#byHope.filter((unit) => {
      return unit !== want.unit && this.#standing(unit, want, undefined) !== "failed";
    }).length;
  }

  /** @param now  Undefined: silence is no matter. */
  #standing(unit: number, want: CellPart, now: MonotonicMs | undefined): Standing {
    const part = this.#partOf(unit, want);
    if (part.to <= part.from) return "absent";
    const piece = this.#find(part);
    if (piece?.state === "done") return "done";
    if (this.#failedUnits.has(unit)) return "failed";
    if (piece === undefined) return "idle";
    return now !== undefined && this.#isSilent(piece, now) ? "silent" : "running";
  }

  #isSilent({ heardAt }: Piece, now: MonotonicMs): boolean {
    return this.#policy.delayMs <= now - heardAt;
  }

  /** What a unit has of a range. */
  #partOf(unit: number, { from, to }: CellPart): CellPart {
    const { code, stripe } = this.#task;
    return { unit, from, to: Math.min(to, cellLength(code, stripe, unit)) };
  }

  /** Others that nothing more speaks against are enough to do without this unit. */
  #isBetterRebuilt({ unit, from }: CellPart): boolean {
    const doubt = this.#doubtOf(unit);
    if (doubt === 0) return false;
    const { code, stripe } = this.#task;
    const better = this.#byHope.filter((other) => {
      const isAbsent = cellLength(code, stripe, other) <= from;
      return other !== unit && (isAbsent || this.#doubtOf(other) < doubt);
    });
    return code.data <= better.length || doubt === Infinity;
  }

  #doubtOf(unit: number): number {
    return this.#task.outlooks[unit]?.doubt ?? Infinity;
  }

  #ask(part: CellPart, now: MonotonicMs): StripeStep {
    const piece = this.#pieces.length;
    this.#pieces.push({ number: piece, part, state: "running", heardAt: now });
    return { kind: "ask", piece, part };
  }

  /** What is asked, and has not failed, that holds a part. */
  #find({ unit, from, to }: CellPart): Piece | undefined {
    return this.#pieces.find(({ part, state }) => {
      const holds = part.unit === unit && part.from <= from && to <= part.to;
      return holds && state !== "failed";
    });
  }

  #isThere(want: CellPart): boolean {
    return this.#originOf(want) !== undefined;
  }

  #originOf(want: CellPart): CellOrigin | undefined {
    const own = this.#find(want);
    if (own?.state === "done") return { kind: "read", part: want, piece: own.number };
    if (!this.#rebuilding.has(want)) return undefined;
    const sources: CellSource[] = [];
    for (const [unit] of this.#task.outlooks.entries()) {
      if (unit === want.unit || sources.length === this.#task.code.data) continue;
      const standing = this.#standing(unit, want, undefined);
      if (standing === "absent") sources.push({ unit, piece: undefined });
      if (standing !== "done") continue;
      sources.push({ unit, piece: this.#find(this.#partOf(unit, want))?.number });
    }
    if (sources.length < this.#task.code.data) return undefined;
    return { kind: "rebuilt", part: want, sources };
  }

  /** Whether the race has come to its end (T3, T5). */
  #verdict(now: MonotonicMs): readonly StripeStep[] {
    if (this.#isOver) return [];
    const cells: CellOrigin[] = [];
    let isLost = false;
    for (const want of this.#task.wanted) {
      const origin = this.#originOf(want);
      if (origin !== undefined) cells.push(origin);
      else isLost ||= this.#failedUnits.has(want.unit) && this.#hopesFor(want) < this.#dataUnits;
    }
    const isDone = cells.length === this.#task.wanted.length;
    if (!isDone && !isLost) return [];
    this.#isOver = true;
    const running = this.#pieces.filter(({ state }) => state === "running");
    const steps = running.map(({ number, heardAt }): StripeStep => {
      const silentMs = now - heardAt;
      const isSlow = isDone && this.#policy.delayMs <= silentMs;
      return { kind: "cancel", piece: number, silentMs: isSlow ? silentMs : undefined };
    });
    return [...steps, isDone ? { kind: "done", cells } : { kind: "lost" }];
  }

  get #dataUnits(): number {
    return this.#task.code.data;
  }
}

// A remainder of a fraction may be too small to move a clock on: the race would look for ever.
function wakeIn(ms: number): StripeStep {
  return { kind: "wake", inMs: Math.max(1, Math.ceil(ms)) };
}
