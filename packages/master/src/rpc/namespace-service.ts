// The stream that carries all operations of a client: NamespaceService.Operate.
//
// N1. Operations of one stream run at the same time, and begin in the order in which they came.
// N2. A stream has at most OPERATIONS_MAX operations under way, counted until their answers are
//     taken by the transport; above it nothing more is read from the client.
// N3. A message without operations asks whether this master lives, and is answered at once: a client
//     tells a master that is busy from one that stands still.
// N4. An operation is answered exactly once: with its result, its error, or TIMEOUT.

import type { Timers } from "@lumeofs/base";
import { asLumeoError, Budget, InvariantViolation, LumeoError, type Permit } from "@lumeofs/base";
import { type RpcMethod, type RpcStream, serveStream } from "@lumeofs/node/rpc";
import { type lumeo, NamespaceService } from "@lumeofs/proto";
import { AnswerQueue } from "./answer-queue.js";
import type { Meter } from "./meter.js";
import { decodeOperation } from "./operation-wire.js";
import { type Answer, answerOfError, execute, type OperationParts } from "./operations.js";
import { decodeReadWish, servedBy } from "./served-read.js";

/** Operations under way on one stream. */
export const OPERATIONS_MAX = 4_096;
/** For an operation that names no time of its own. */
const TIMEOUT_MS_DEFAULT = 30_000;
const TIMEOUT_MS_MAX = 10 * 60_000;

type Wire = lumeo.master.v1.IOperation;
type OperateStream = RpcStream<lumeo.master.v1.IOperateResponse, lumeo.master.v1.IOperateRequest>;

export interface NamespaceParts extends OperationParts {
  readonly timers: Timers;
  readonly meter: Meter;
}

export function namespaceMethods(parts: NamespaceParts): readonly RpcMethod[] {
  return [
    serveStream(NamespaceService.operate, (stream) => new OperateSession(parts, stream).run()),
  ];
}

/** One client on its stream. */
export class OperateSession {
  readonly #parts: NamespaceParts;
  readonly #stream: OperateStream;
  readonly #slots = new Budget(OPERATIONS_MAX);
  readonly #answers: AnswerQueue;
  #failure: unknown;

  constructor(parts: NamespaceParts, stream: OperateStream) {
    this.#parts = parts;
    this.#stream = stream;
    this.#answers = new AnswerQueue(
      (results) => stream.send({ results: [...results] }),
      (error) => this.#fail(error),
    );
  }

  /** Serves until the client ends the stream, and then answers what is under way. */
  async run(): Promise<void> {
    for await (const { operations } of this.#stream) {
      if (!operations?.length) this.#answers.showLife();
      for (const wire of operations ?? []) {
        const slot = this.#slots.tryTake(1) ?? (await this.#slots.take(1));
        if (this.#failure !== undefined) throw this.#failure;
        this.#begin(wire, slot);
      }
    }
    if (this.#failure !== undefined) throw this.#failure;
    await this.#slots.take(OPERATIONS_MAX); // all answers are out
  }

  #begin(wire: Wire, slot: Permit): void {
    const { timers, meter } = this.#parts;
    const id = wire.id ?? 0;
    const done = meter.began(kindOf(wire));
    let isAnswered = false;
    let isFinished = false;
    let isSent = false;
    const release = (): void => {
      if (isFinished && isSent) slot.release();
    };
    const answer = (given: Answer, code: string): void => {
      if (isAnswered) return;
      isAnswered = true;
      alarm.cancel();
      done(code);
      this.#answers.push({ id, ...given }, () => {
        isSent = true;
        release();
      });
    };
    const timeoutMs = Math.min(wire.timeoutMs || TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX);
    const alarm = timers.after(timeoutMs, () => {
      answer(answerOfError(timeoutError(wire, timeoutMs)), "TIMEOUT");
    });
    void this.#execute(wire).then(({ given, code }) => {
      isFinished = true;
      answer(given, code);
      release();
    });
  }

  async #execute(wire: Wire): Promise<{ readonly given: Answer; readonly code: string }> {
    try {
      const operation = decodeOperation(wire);
      return { given: await execute(this.#parts, operation, decodeReadWish(wire)), code: "OK" };
    } catch (thrown) {
      if (thrown instanceof InvariantViolation) throw thrown;
      const error = asLumeoError(thrown);
      const given = { ...answerOfError(error), ...servedBy(this.#parts.log) };
      return { given, code: error.code };
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error ?? new LumeoError("CONNECTION_LOST", "The client has gone");
    this.#stream.cancel(asLumeoError(this.#failure));
  }
}

function timeoutError(wire: Wire, timeoutMs: number): LumeoError {
  const what = `Operation ${kindOf(wire)} was not finished within ${timeoutMs} ms`;
  return new LumeoError("TIMEOUT", `${what}: it may still take effect`);
}

const KINDS = [
  "openSession",
  "commit",
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
