// The stream that carries all operations of a client: NamespaceService.Operate.
//
// N1. Operations of one stream run at the same time, and begin in the order in which they came.
// N2. A stream has at most OPERATIONS_MAX operations under way, counted until their answers are
//     taken by the transport; above it nothing more is read from the client. A large operation
//     counts for several. All streams together are bounded by the room (operation-room.ts).
// N3. A message without operations asks whether this master lives, and is answered at once: a
//     client tells a master that is busy from one that stands still.
// N4. An operation is answered exactly once: with its result, its error, or TIMEOUT.
// N5. The client hears of all masters with the first message, and whenever they change: it finds
//     the others when those that it was given are gone.
// N6. A client that takes no answers for STALLED_MS is given up: what it holds is for others.

import type { Alarm, Timers } from "@lumeofs/base";
import {
  asLumeoError,
  Budget,
  InvariantViolation,
  KiB,
  LumeoError,
  type Permit,
} from "@lumeofs/base";
import { type RpcMethod, type RpcStream, serveStream } from "@lumeofs/node/rpc";
import { type lumeo, NamespaceService } from "@lumeofs/proto";
import { AnswerQueue } from "./answer-queue.js";
import type { MasterDirectory } from "./master-directory.js";
import type { Meter } from "./meter.js";
import { noRoom, roomOf } from "./operation-room.js";
import { decodeOperation } from "./operation-wire.js";
import { type Answer, answerOfError, execute, type OperationParts } from "./operations.js";
import { decodeReadWish, servedBy } from "./served-read.js";

/** Operations under way on one stream. */
export const OPERATIONS_MAX = 4_096;
/** An operation that takes more room than this counts for several. */
const UNIT_BYTES = 8 * KiB;
/** Refusals on their way to a stream; above it nothing more is read from the client. */
const REFUSALS_MAX = 64;
const STALLED_MS = 60_000;
/** For an operation that names no time of its own. */
const TIMEOUT_MS_DEFAULT = 30_000;
const TIMEOUT_MS_MAX = 10 * 60_000;

type Wire = lumeo.master.v1.IOperation;
type Result = lumeo.master.v1.IOperationResult;
type OperateStream = RpcStream<lumeo.master.v1.IOperateResponse, lumeo.master.v1.IOperateRequest>;

export interface NamespaceParts extends OperationParts {
  readonly masters: MasterDirectory;
  readonly timers: Timers;
  readonly meter: Meter;
}

export function namespaceMethods(parts: NamespaceParts): readonly RpcMethod[] {
  return [
    serveStream(NamespaceService.operate, (stream) => new OperateSession(parts, stream).run()),
  ];
}

/** An operation that has no answer yet, or whose answer has not left. */
interface UnderWay {
  readonly wire: Wire;
  readonly slot: Permit;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly done: (code: string) => void;
  isAnswered: boolean;
  isFinished: boolean;
  isSent: boolean;
}

/** One client on its stream. */
export class OperateSession {
  readonly #parts: NamespaceParts;
  readonly #stream: OperateStream;
  readonly #slots = new Budget(OPERATIONS_MAX);
  readonly #refusals = new Budget(REFUSALS_MAX);
  readonly #ending = new AbortController();
  /** What has no answer yet. */
  readonly #underWay = new Set<UnderWay>();
  #alarm: { readonly atMs: number; readonly alarm: Alarm } | undefined;
  #heldBytes = 0;
  #hasEnded = false;
  readonly #answers: AnswerQueue;
  #failure: unknown;
  /** What the client was told last. */
  #masters: readonly string[] = [];

  constructor(parts: NamespaceParts, stream: OperateStream) {
    this.#parts = parts;
    this.#stream = stream;
    this.#answers = new AnswerQueue(
      (results) => this.#send(results),
      (error) => this.#fail(error),
    );
  }

  /** Serves until the client ends the stream, and then answers what is under way. */
  async run(): Promise<void> {
    const stop = this.#parts.masters.onChange(() => this.#answers.showLife());
    try {
      await this.#serve();
    } finally {
      stop();
      this.#alarm?.alarm.cancel();
      this.#hasEnded = true;
      this.#parts.room.leave(this.#heldBytes);
    }
  }

  async #serve(): Promise<void> {
    for await (const { operations } of this.#stream) {
      if (!operations?.length) this.#answers.showLife();
      for (const wire of operations ?? []) {
        const bytes = roomOf(wire);
        const units = Math.ceil(bytes / UNIT_BYTES);
        const slot = this.#slots.tryTake(units) ?? (await this.#take(this.#slots, units));
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#parts.room.enter(bytes)) this.#begin(wire, slot, bytes);
        else await this.#refuse(wire, slot);
      }
    }
    if (this.#failure !== undefined) throw this.#failure;
    await this.#take(this.#slots, OPERATIONS_MAX); // all answers are out
  }

  /** Waits, but not for a client that has gone. */
  #take(budget: Budget, amount: number): Promise<Permit> {
    return budget.take(amount, this.#ending.signal);
  }

  async #send(results: readonly Result[]): Promise<void> {
    const alarm = this.#parts.timers.after(STALLED_MS, () => {
      this.#fail(new LumeoError("TIMEOUT", "Cannot serve the client: it takes no answers"));
    });
    try {
      await this.#stream.send({ results: [...results], ...this.#newMasters() });
    } finally {
      alarm.cancel();
    }
  }

  async #refuse(wire: Wire, slot: Permit): Promise<void> {
    const refusal = this.#refusals.tryTake(1) ?? (await this.#take(this.#refusals, 1));
    const error = noRoom();
    this.#parts.meter.began(kindOf(wire))(error.code);
    this.#answers.push({ id: wire.id ?? 0, ...answerOfError(error) }, () => {
      slot.release();
      refusal.release();
    });
  }

  #leave(bytes: number): void {
    if (this.#hasEnded) return; // given back with all the rest
    this.#heldBytes -= bytes;
    this.#parts.room.leave(bytes);
  }

  #begin(wire: Wire, slot: Permit, bytes: number): void {
    const { clock, meter } = this.#parts;
    this.#heldBytes += bytes;
    const timeoutMs = Math.min(wire.timeoutMs || TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX);
    const underWay: UnderWay = {
      wire,
      slot,
      bytes,
      timeoutMs,
      deadlineMs: clock.monotonicMs() + timeoutMs,
      done: meter.began(kindOf(wire)),
      isAnswered: false,
      isFinished: false,
      isSent: false,
    };
    this.#underWay.add(underWay);
    this.#watch(underWay.deadlineMs);
    const finish = (given: Answer): void => this.#finish(underWay, given, "OK");
    const fail = (thrown: unknown): void => this.#finishFailed(underWay, thrown);
    try {
      const operation = decodeOperation(wire);
      void execute(this.#parts, operation, decodeReadWish(wire)).then(finish, fail);
    } catch (thrown) {
      fail(thrown);
    }
  }

  #finishFailed(underWay: UnderWay, thrown: unknown): void {
    if (thrown instanceof InvariantViolation) throw thrown;
    const error = asLumeoError(thrown);
    const given = { ...answerOfError(error), ...servedBy(this.#parts.log) };
    this.#finish(underWay, given, error.code);
  }

  #finish(underWay: UnderWay, given: Answer, code: string): void {
    underWay.isFinished = true;
    this.#answer(underWay, given, code);
    this.#release(underWay);
  }

  /** Answers, unless that has happened (N4). */
  #answer(underWay: UnderWay, given: Answer, code: string): void {
    if (underWay.isAnswered) return;
    underWay.isAnswered = true;
    this.#underWay.delete(underWay);
    underWay.done(code);
    const result: Result = given;
    result.id = underWay.wire.id ?? 0;
    this.#answers.push(result, () => {
      underWay.isSent = true;
      this.#release(underWay);
    });
  }

  #release({ isFinished, isSent, slot, bytes }: UnderWay): void {
    if (!isFinished || !isSent) return;
    slot.release();
    this.#leave(bytes);
  }

  /** One alarm for all: at or before the earliest deadline. */
  #watch(deadlineMs: number): void {
    if (this.#alarm !== undefined && this.#alarm.atMs <= deadlineMs) return;
    this.#alarm?.alarm.cancel();
    const { clock, timers } = this.#parts;
    const waitMs = Math.max(0, deadlineMs - clock.monotonicMs());
    this.#alarm = { atMs: deadlineMs, alarm: timers.after(waitMs, () => this.#expire()) };
  }

  /** Answers what is late, and sets the alarm for what is not. */
  #expire(): void {
    this.#alarm = undefined;
    const nowMs = this.#parts.clock.monotonicMs();
    let nextMs = Infinity;
    for (const underWay of [...this.#underWay]) {
      const { wire, timeoutMs, deadlineMs } = underWay;
      if (nowMs < deadlineMs) nextMs = Math.min(nextMs, deadlineMs);
      else this.#answer(underWay, answerOfError(timeoutError(wire, timeoutMs)), "TIMEOUT");
    }
    if (nextMs < Infinity) this.#watch(nextMs);
  }

  #newMasters(): { masters: string[]; mastersRevision: number } | undefined {
    const { addresses, revision } = this.#parts.masters;
    if (addresses === this.#masters) return undefined;
    this.#masters = addresses;
    return { masters: [...addresses], mastersRevision: revision };
  }

  #fail(error: unknown): void {
    this.#failure ??= error ?? new LumeoError("CONNECTION_LOST", "The client has gone");
    this.#stream.cancel(asLumeoError(this.#failure));
    this.#ending.abort(this.#failure);
  }
}

function timeoutError(wire: Wire, timeoutMs: number): LumeoError {
  const what = `Operation ${kindOf(wire)} was not finished within ${timeoutMs} ms`;
  return new LumeoError("TIMEOUT", `${what}: it may still take effect`);
}

/** The most frequent ones first. */
const KINDS = [
  "commit",
  "openSession",
  "addChunks",
  "beginUpload",
  "abortUpload",
  "makeDirectory",
  "rename",
  "remove",
  "stat",
  "list",
  "allocate",
] as const satisfies readonly (keyof Wire)[];

function kindOf(wire: Wire): string {
  return KINDS.find((kind) => wire[kind]) ?? "unknown";
}
