// One race for a span (read-race.ts decides): sends the requests, takes the pieces, keeps the
// clock.
//
// A race gives a row of checked blocks in order. What it has got stays when it fails: the next race
// goes on there.

import { type CancelSource, crc32cCombine, LumeoError, type MonotonicMs } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { HedgePolicy } from "./hedge-policy.js";
import type { LocatedChunk, ReplicaState } from "./operations.js";
import type { Ports } from "./ports.js";
import { type RaceEnd, type RaceRun, runRace } from "./race-run.js";
import { type RaceStep, ReadRace } from "./read-race.js";
import type { CheckedBytes, ChunkserverPool } from "./rpc/chunkserver-pool.js";
import type { ServerScores } from "./server-scores.js";

/** What has been read of a span so far: whole blocks from its first one on. */
export interface Progress {
  readonly begin: number;
  readonly end: number;
  pieces: Uint8Array[];
  at: number;
  crc32c: number;
}

/** A replica that did not give what it should have. */
export interface Failure {
  readonly replica: ReplicaState;
  readonly error: LumeoError;
}

/** All is there; this one sent the last of it. */
export interface SpanDone {
  readonly kind: "done";
  readonly last: ReplicaState;
  readonly startedAt: number;
}

export interface SpanRaceParts {
  readonly chunkservers: Pick<ChunkserverPool, "read">;
  readonly scores: ServerScores;
  readonly hedges: HedgePolicy;
  readonly ports: Ports;
}

export interface SpanRaceTask {
  readonly chunk: LocatedChunk;
  /** In the order in which they are asked. */
  readonly replicas: readonly ReplicaState[];
  readonly progress: Progress;
  /** A refused token is a failure of the server: it was new. */
  readonly isTokenNew: boolean;
  /** The servers themselves are to send it. */
  readonly fromServer: boolean;
  readonly onFailure: (failure: Failure) => void;
}

interface Leg {
  readonly replica: ReplicaState;
  readonly cancel: CancelSource;
  /** Where its first byte belongs, and its next one. */
  readonly startedAt: number;
  at: number;
}

/** Runs a race to its end. @throws what is no failure of a replica; the call's reason. */
export function raceForSpan(
  parts: SpanRaceParts,
  call: Call,
  task: SpanRaceTask,
): Promise<RaceEnd<SpanDone>> {
  const { timers } = parts.ports;
  const rules = { timers, call, subject: "span", isTokenNew: task.isTokenNew };
  return runRace(rules, (run) => new SpanRace(parts, task, { call, run }).start());
}

interface Course {
  readonly call: Call;
  readonly run: RaceRun<SpanDone>;
}

class SpanRace {
  readonly #parts: SpanRaceParts;
  readonly #task: SpanRaceTask;
  readonly #call: Call;
  readonly #run: RaceRun<SpanDone>;
  readonly #race: ReadRace<ReplicaState>;
  readonly #legs = new Map<number, Leg>();

  constructor(parts: SpanRaceParts, task: SpanRaceTask, { call, run }: Course) {
    this.#parts = parts;
    this.#task = task;
    this.#call = call;
    this.#run = run;
    this.#race = new ReadRace(task.replicas, parts.hedges, this.#now());
  }

  start(): void {
    this.#obey(this.#race.start(this.#now()));
  }

  #obey(steps: readonly RaceStep<ReplicaState>[]): void {
    for (const step of steps) {
      if (this.#run.isOver) return;
      switch (step.kind) {
        case "ask":
          this.#ask(step.leg, step.replica);
          break;
        case "cancel":
          this.#cancel(step.leg, step.silentMs);
          break;
        case "wake":
          this.#run.wakeIn(step.inMs, () => this.#obey(this.#race.woke(this.#now())));
          break;
        case "exhausted":
          this.#run.finish({ kind: "failed" });
      }
    }
  }

  #ask(number: number, replica: ReplicaState): void {
    const { at } = this.#task.progress;
    const leg: Leg = { replica, cancel: this.#run.newCancel(), startedAt: at, at };
    this.#legs.set(number, leg);
    this.#parts.scores.began(replica.server, this.#now());
    void this.#read(number, leg);
  }

  /** Never rejects. */
  async #read(number: number, leg: Leg): Promise<void> {
    const { chunk, progress, fromServer } = this.#task;
    const { replica, cancel: signal, startedAt: offset } = leg;
    const part = { chunk, token: chunk.token, offset, end: progress.end };
    const options = { timeoutMs: this.#call.timeoutMs, signal, fromServer };
    try {
      for await (const bytes of this.#parts.chunkservers.read(replica, part, options)) {
        if (!this.#race.isRunning(number)) return;
        this.#take(number, leg, bytes);
      }
      if (this.#race.isRunning(number)) this.#done(number, leg);
    } catch (thrown) {
      if (!this.#run.isOver && this.#race.isRunning(number)) this.#failed(number, leg, thrown);
    } finally {
      this.#parts.scores.ended(replica.server);
    }
  }

  #take(number: number, leg: Leg, bytes: CheckedBytes): void {
    const { progress } = this.#task;
    const { replica } = leg;
    if (leg.at !== progress.at) throw passedBy(replica);
    progress.pieces.push(...bytes.pieces);
    progress.crc32c = crc32cCombine(progress.crc32c, bytes.crc32c, bytes.lengthBytes);
    progress.at += bytes.lengthBytes;
    leg.at = progress.at;
    const now = this.#now();
    const { steps, waitedMs } = this.#race.piece(number, now);
    this.#parts.scores.answered(replica.server, waitedMs, now);
    this.#obey(steps);
  }

  #done(number: number, leg: Leg): void {
    const { replica, startedAt } = leg;
    const isAll = this.#task.progress.at === this.#task.progress.end;
    if (!isAll) return this.#failed(number, leg, passedBy(replica));
    this.#run.finish({ kind: "done", last: replica, startedAt });
  }

  #failed(number: number, { replica }: Leg, thrown: unknown): void {
    const error = this.#run.failureOf(thrown);
    if (error === undefined) return;
    this.#task.onFailure({ replica, error });
    this.#obey(this.#race.failed(number, this.#now()));
  }

  #cancel(number: number, silentMs: number): void {
    const leg = this.#legs.get(number);
    if (leg === undefined) return;
    this.#parts.scores.lost(leg.replica.server, silentMs, this.#now());
    leg.cancel.abort(new LumeoError("ABORTED", "Another replica was faster"));
  }

  #now(): MonotonicMs {
    return this.#parts.ports.clock.monotonicMs();
  }
}

/** Another replica was found to be wrong, and what it had sent is asked for again. */
function passedBy({ name }: ReplicaState): LumeoError {
  return new LumeoError("CONNECTION_LOST", `The rest from "${name}" does not fit any more`);
}
