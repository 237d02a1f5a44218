// One race for cells of a stripe (stripe-race.ts decides): sends the requests, takes what comes,
// rebuilds what is missing, keeps the clock.

import {
  type CancelSource,
  type ChunkCoding,
  LumeoError,
  type MonotonicMs,
  type Stripe,
  unitLength,
} from "@lumeofs/base";
import type { Call } from "../call.js";
import type { LocatedChunk, ReplicaState } from "../operations.js";
import { type RaceEnd, type RaceRun, runRace } from "../race-run.js";
import type { SpanRaceParts } from "../span-race.js";
import type { Codecs } from "./codecs.js";
import { rebuiltCells } from "./rebuilt-cells.js";
import {
  type CellOrigin,
  type CellPart,
  StripeRace,
  type StripeStep,
  type UnitOutlook,
} from "./stripe-race.js";
import { type SummedBytes, UnitPart } from "./unit-part.js";

/** A unit that did not give what it should have. */
export interface UnitFailure {
  readonly unit: number;
  readonly error: LumeoError;
}

/** The wanted parts, in their order. */
export interface StripeDone {
  readonly kind: "done";
  readonly cells: readonly SummedBytes[];
}

export interface StripeFetchParts extends SpanRaceParts {
  readonly codecs: Codecs;
}

export interface StripeTask {
  readonly chunk: LocatedChunk;
  readonly coding: ChunkCoding;
  readonly stripe: Stripe;
  readonly wanted: readonly CellPart[];
  /** Who holds each unit. */
  readonly holders: readonly ReplicaState[];
  readonly outlooks: readonly UnitOutlook[];
  /** A refused token is a failure of the server: it was new. */
  readonly isTokenNew: boolean;
  readonly onFailure: (failure: UnitFailure) => void;
  /** This one has sent all that was asked of it. */
  readonly onDone: (holder: ReplicaState) => void;
}

/** Runs a race to its end. @throws what is no failure of a unit; the call's reason. */
export function fetchStripe(
  parts: StripeFetchParts,
  call: Call,
  task: StripeTask,
): Promise<RaceEnd<StripeDone>> {
  const { timers } = parts.ports;
  const rules = { timers, call, subject: "stripe", isTokenNew: task.isTokenNew };
  return runRace(rules, (run) => new StripeFetch(parts, task, { call, run }).start());
}

interface Course {
  readonly call: Call;
  readonly run: RaceRun<StripeDone>;
}

interface Leg {
  readonly bytes: UnitPart;
  readonly holder: ReplicaState;
  readonly cancel: CancelSource;
}

class StripeFetch {
  readonly #parts: StripeFetchParts;
  readonly #task: StripeTask;
  readonly #call: Call;
  readonly #run: RaceRun<StripeDone>;
  readonly #race: StripeRace;
  readonly #legs: Leg[] = [];

  constructor(parts: StripeFetchParts, task: StripeTask, { call, run }: Course) {
    this.#parts = parts;
    this.#task = task;
    this.#call = call;
    this.#run = run;
    const { coding: code, stripe, wanted, outlooks } = task;
    this.#race = new StripeRace({ code, stripe, wanted, outlooks }, parts.hedges);
  }

  start(): void {
    this.#obey(this.#race.start(this.#now()));
  }

  #obey(steps: readonly StripeStep[]): void {
    for (const step of steps) {
      if (this.#run.isOver) return;
      switch (step.kind) {
        case "ask":
          this.#ask(step.piece, step.part);
          break;
        case "cancel":
          this.#cancel(step.piece, step.silentMs);
          break;
        case "wake":
          this.#run.wakeIn(step.inMs, () => this.#obey(this.#race.woke(this.#now())));
          break;
        case "done":
          this.#run.finish({ kind: "done", cells: this.#bytesOf(step.cells) });
          break;
        case "lost":
          this.#run.finish({ kind: "failed" });
      }
    }
  }

  #ask(piece: number, part: CellPart): void {
    const { chunk, coding, stripe, holders } = this.#task;
    const holder = holders[part.unit] as ReplicaState; // whoever is asked is there
    const unitBytes = unitLength(coding, chunk.lengthBytes, part.unit);
    const bytes = new UnitPart(part, stripe.cellOffset, unitBytes);
    const leg: Leg = { bytes, holder, cancel: this.#run.newCancel() };
    this.#legs[piece] = leg;
    this.#parts.scores.began(holder.server, this.#now());
    void this.#read(piece, leg, unitBytes);
  }

  /** Never rejects. */
  async #read(piece: number, leg: Leg, lengthBytes: number): Promise<void> {
    const { chunk, coding } = this.#task;
    const { handle, epoch, token } = chunk;
    const { bytes, holder, cancel: signal } = leg;
    const crc32c = coding.unitCrcs[bytes.part.unit] ?? 0;
    const unit = { handle, epoch, lengthBytes, crc32c };
    const part = { chunk: unit, token, offset: bytes.begin, end: bytes.end };
    const options = { timeoutMs: this.#call.timeoutMs, signal };
    try {
      for await (const some of this.#parts.chunkservers.read(holder, part, options)) {
        if (!this.#race.isRunning(piece)) return;
        bytes.take(some);
        const now = this.#now();
        const waitedMs = this.#race.heard(piece, now);
        this.#parts.scores.answered(holder.server, waitedMs, now);
      }
      if (!this.#race.isRunning(piece)) return;
      this.#task.onDone(holder);
      this.#obey(this.#race.done(piece, this.#now()));
    } catch (thrown) {
      if (!this.#run.isOver && this.#race.isRunning(piece)) this.#failed(piece, thrown);
    } finally {
      this.#parts.scores.ended(holder.server);
    }
  }

  #failed(piece: number, thrown: unknown): void {
    const leg = this.#legs[piece] as Leg;
    const error = this.#run.failureOf(thrown);
    if (error === undefined) return;
    this.#task.onFailure({ unit: leg.bytes.part.unit, error });
    this.#obey(this.#race.failed(piece, this.#now()));
  }

  #bytesOf(cells: readonly CellOrigin[]): readonly SummedBytes[] {
    const { crc32c } = this.#parts.ports;
    const rebuilt = rebuiltCells({
      codec: this.#parts.codecs.of(this.#task.coding),
      cells,
      source: ({ unit, piece }, { from, to }) => {
        if (piece === undefined) return new Uint8Array(to - from);
        const { bytes } = this.#legs[piece] as Leg;
        const end = Math.min(to, bytes.part.to);
        return bytes.padded({ unit, from, to: end }, to - from);
      },
    });
    return cells.map((cell) => {
      const bytes = rebuilt.get(cell);
      if (bytes !== undefined) return { pieces: [bytes], crc32c: crc32c(bytes) };
      const { piece = -1 } = cell.kind === "read" ? cell : {};
      return (this.#legs[piece] as Leg).bytes.cut(cell.part, crc32c);
    });
  }

  #cancel(piece: number, silentMs: number | undefined): void {
    const { holder, cancel } = this.#legs[piece] as Leg;
    if (silentMs !== undefined) this.#parts.scores.lost(holder.server, silentMs, this.#now());
    cancel.abort(new LumeoError("ABORTED", "The cell is not needed any more"));
  }

  #now(): MonotonicMs {
    return this.#parts.ports.clock.monotonicMs();
  }
}
