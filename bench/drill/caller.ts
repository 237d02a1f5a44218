// One caller of the drill: makes single calls against the cluster and enters into the model what
// their answers mean. What to call is decided by the workloads.

import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@lumeofs/base";
import type { Lumeo, LumeoErrorCode, PutOptions, PutResult, Reading } from "@lumeofs/client";
import type { Ledger, Outcome } from "@lumeofs/local-cluster";
import { bytesOf, type Content, recognize, streamOf } from "./content.js";
import type { Model, State } from "./model.js";

/** What all callers share. */
export interface Stage {
  readonly model: Model;
  readonly ledger: Ledger;
  /** Aborts when no further call is to begin. */
  readonly end: AbortSignal;
}

/** Bodies up to here are given as bytes, larger ones as streams that can be read once. */
const BYTES_MAX = 1024 * 1024;

export class Caller {
  readonly model: Model;
  readonly ledger: Ledger;
  readonly #end: AbortSignal;

  constructor(
    readonly client: Lumeo,
    readonly random: Random,
    { model, ledger, end }: Stage,
  ) {
    this.model = model;
    this.ledger = ledger;
    this.#end = end;
  }

  get isOver(): boolean {
    return this.#end.aborted;
  }

  /** A whole number from `min` to `max`. */
  between(min: number, max: number): number {
    return min + Math.floor(this.random.fraction() * (max - min + 1));
  }

  pick<T>(choices: readonly T[]): T | undefined {
    return choices[Math.floor(this.random.fraction() * choices.length)];
  }

  /** Content of its own, with a size that is small more often than large. */
  invent(sizeMin: number, sizeMax: number): Content {
    const seed = this.between(1, 2 ** 45);
    const size = sizeMin * (sizeMax / sizeMin) ** this.random.fraction();
    return { seed, size: Math.round(size) };
  }

  /** Rests for a random time; shorter if the drill ends. */
  async rest(msMax: number): Promise<void> {
    const ms = this.random.fraction() * msMax;
    await delay(ms, undefined, { signal: this.#end }).catch(() => undefined);
  }

  /** Stores content that nothing forbids. @returns The answer, if there is one. */
  async put(
    kind: string,
    path: string,
    content: Content,
    options: PutOptions = {},
  ): Promise<PutResult | undefined> {
    const change = this.model.begin(path, content);
    const outcome = await this.#send(kind, path, content, options);
    this.#enter(outcome, [change]);
    if (outcome.kind === "refused") this.#impossible(kind, path, outcome.code);
    if (outcome.kind !== "ok") return undefined;
    if (outcome.value.size !== content.size) {
      this.ledger.anomaly(`${kind} of ${content.size} B to ${path} says ${outcome.value.size} B`);
    }
    return outcome.value;
  }

  /** Tries to store content under a condition that does not hold. */
  async putInVain(kind: string, path: string, options: PutOptions): Promise<void> {
    const content = this.invent(1, 4096);
    const change = this.model.begin(path, content);
    const body = await bytesOf(content);
    const put = () => this.client.put(path, body, options);
    const outcome = await this.ledger.call(kind, path, put, isPrecondition);
    this.#enter(outcome, [change]);
    if (outcome.kind === "ok") this.ledger.anomaly(`${kind} stored ${path} against its condition`);
  }

  /** One of several that store under a condition that only one of them can meet. */
  async putInRace(path: string, content: Content, options: PutOptions): Promise<Outcome<unknown>> {
    this.model.begin(path, content);
    const body = await bytesOf(content);
    const put = () => this.client.put(path, body, options);
    const outcome = await this.ledger.call("race to put", path, put, isPrecondition);
    if (outcome.kind === "ok") this.ledger.changed();
    return outcome;
  }

  async remove(path: string): Promise<boolean> {
    const change = this.model.begin(path, undefined);
    const outcome = await this.ledger.call("remove", path, () => this.client.remove(path));
    this.#enter(outcome, [change]);
    if (outcome.kind === "refused") this.#impossible("remove", path, outcome.code);
    return outcome.kind === "ok";
  }

  /** Renames a file that is there; `target` may be there too. */
  async rename(source: string, target: string, content: Content): Promise<boolean> {
    const changes = [this.model.begin(source, undefined), this.model.begin(target, content)];
    const rename = () => this.client.rename(source, target, { overwrite: true });
    const outcome = await this.ledger.call("rename", source, rename);
    this.#enter(outcome, changes);
    if (outcome.kind === "refused") this.#impossible("rename", source, outcome.code);
    if (outcome.kind === "unknown") this.model.renameInDoubt({ source, target, content });
    return outcome.kind === "ok";
  }

  /** Reads a file and compares it with everything that it may be meanwhile. */
  async read(kind: string, path: string): Promise<void> {
    const seen = this.model.watch(path);
    const look = async (): Promise<boolean> => {
      await using reading = await this.client.get(path);
      return await this.#isExpected(reading, seen);
    };
    const isRight = (code: LumeoErrorCode): boolean => {
      if (code === "LUMEO_NOT_FOUND") return seen().includes(undefined);
      return code === "LUMEO_CONFLICT" && 1 < seen().length; // replaced while it was read
    };
    const outcome = await this.ledger.call(kind, path, look, isRight);
    if (outcome.kind === "ok" && !outcome.value) {
      this.ledger.anomaly(`${kind} of ${path} gave content that was never stored there`);
    }
    if (outcome.kind !== "refused" || isRight(outcome.code)) return;
    this.ledger.anomaly(`${kind} of ${path} was refused with ${outcome.code}, which cannot be`);
  }

  /** Whether the bytes are something that was stored there; large ones are not kept for it. */
  async #isExpected(reading: Reading, seen: () => readonly State[]): Promise<boolean> {
    const { size } = reading.info;
    if (size <= BYTES_MAX) {
      const bytes = await reading.bytes();
      return (await recognize(of(bytes), contentsOf(seen()))) !== undefined;
    }
    const found = await recognize(reading, contentsOf(seen()));
    return found !== undefined || 1 < seen().length; // replaced meanwhile: by what is not known
  }

  async #send(
    kind: string,
    path: string,
    content: Content,
    options: PutOptions,
  ): Promise<Outcome<PutResult>> {
    if (BYTES_MAX < content.size) {
      return this.ledger.call(kind, path, () => this.client.put(path, streamOf(content), options));
    }
    const body = await bytesOf(content);
    return this.ledger.call(kind, path, () => this.client.put(path, body, options));
  }

  #enter(outcome: Outcome<unknown>, changes: readonly ReturnType<Model["begin"]>[]): void {
    if (outcome.kind === "ok") this.ledger.changed();
    for (const change of changes) {
      if (outcome.kind === "ok") change.acknowledged();
      else if (outcome.kind === "refused") change.refused();
      else change.doubtful();
    }
  }

  #impossible(kind: string, path: string, code: string): void {
    // The machine's fault, or a stream that waited too long for its commit: failures, not lies.
    if (code === "LUMEO_NO_SPACE" || code === "LUMEO_CONFLICT") return;
    this.ledger.anomaly(`${kind} of ${path} was refused with ${code}, which cannot be`);
  }
}

function isPrecondition(code: LumeoErrorCode): boolean {
  return code === "LUMEO_PRECONDITION";
}

function contentsOf(states: readonly State[]): readonly Content[] {
  return states.filter((state) => state !== undefined);
}

async function* of(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
