// One caller of a soak: makes single calls against the cluster, and enters into the model, which
// callers live by, and into the journal, which the audit reads, what their answers mean. What to
// call is decided by the workloads.

import type { Random } from "@lumeofs/base";
import type { Lumeo, LumeoErrorCode, PutOptions, PutResult, Reading } from "@lumeofs/client";
import type { Ledger, Outcome } from "../ledger.js";
import { rest } from "../rest.js";
import { bytesOf, type Content, recognize, streamOf } from "./content.js";
import type { Effect, Journal, Operation } from "./journal.js";
import type { Model, State } from "./model.js";

/** What all callers share. */
export interface Stage {
  readonly model: Model;
  readonly journal: Journal;
  readonly ledger: Ledger;
  /** Aborts when no further call is to begin. */
  readonly end: AbortSignal;
}

/** A call that changes something. */
export interface Change<T> {
  /** What it is called in the report. */
  readonly kind: string;
  readonly effects: readonly Effect[];
  readonly action: () => Promise<T>;
  /** Which refusals are right answers. */
  readonly isRight?: (code: LumeoErrorCode) => boolean;
}

/** Bodies up to here are given as bytes, larger ones as streams that can be read once. */
const BYTES_MAX = 1024 * 1024;
/** Of the bodies that are small enough for the masters, so many may be kept by them. */
const INLINE_SHARE = 0.3;

export class Caller {
  readonly model: Model;
  readonly ledger: Ledger;
  readonly #journal: Journal;
  readonly #end: AbortSignal;

  constructor(
    readonly client: Lumeo,
    readonly random: Random,
    { model, journal, ledger, end }: Stage,
  ) {
    this.model = model;
    this.ledger = ledger;
    this.#journal = journal;
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

  /** Rests for a random time; shorter if the soak ends. */
  async rest(msMax: number): Promise<void> {
    await rest(this.random.fraction() * msMax, this.#end);
  }

  /** Makes a call that changes paths, all at once or none. */
  async change<T>({ kind, effects, action, isRight }: Change<T>): Promise<Outcome<T>> {
    const changes = effects.map(({ path, content }) => this.model.begin(path, content));
    const operation = { kind: "change", effects } as const;
    const path = effects[0]?.path ?? "";
    const outcome = await this.journaled(operation, () => {
      return this.ledger.call(kind, path, action, isRight);
    });
    for (const change of changes) {
      if (outcome.kind === "ok") change.acknowledged();
      else if (outcome.kind === "refused") change.refused();
      else change.doubtful();
    }
    if (outcome.kind === "refused" && isRight?.(outcome.code) !== true) {
      this.#impossible(kind, path, outcome.code);
    }
    return outcome;
  }

  /**
   * Makes a call between its two lines of the journal.
   *
   * @param offsetOf  Of an append: where the answer says that the record is.
   */
  async journaled<T>(
    operation: Operation,
    call: () => Promise<Outcome<T>>,
    offsetOf: (value: T) => number | undefined = () => undefined,
  ): Promise<Outcome<T>> {
    const over = this.#journal.begin(operation);
    const outcome = await call();
    over(outcome.kind, outcome.kind === "ok" ? offsetOf(outcome.value) : undefined);
    if (outcome.kind === "ok") this.ledger.changed();
    return outcome;
  }

  /** Stores content that nothing forbids. @returns The answer, if there is one. */
  async put(
    kind: string,
    path: string,
    content: Content,
    options: PutOptions = {},
  ): Promise<PutResult | undefined> {
    const body = content.size <= BYTES_MAX ? await bytesOf(content) : undefined;
    const inline = this.#mayBeInline();
    const action = (): Promise<PutResult> =>
      this.client.put(path, body ?? streamOf(content), { inline, ...options });
    const outcome = await this.change({ kind, effects: [{ path, content }], action });
    if (outcome.kind !== "ok") return undefined;
    if (outcome.value.size !== content.size) {
      this.ledger.anomaly(`${kind} of ${content.size} B to ${path} says ${outcome.value.size} B`);
    }
    return outcome.value;
  }

  /** Tries to store content under a condition that does not hold. */
  async putInVain(kind: string, path: string, options: PutOptions): Promise<void> {
    const outcome = await this.#putIf(kind, path, this.invent(1, 4096), options);
    if (outcome.kind === "ok") this.ledger.anomaly(`${kind} stored ${path} against its condition`);
  }

  /** One of several that store under a condition that only one of them can meet. */
  putInRace(path: string, content: Content, options: PutOptions): Promise<Outcome<unknown>> {
    return this.#putIf("race to put", path, content, options);
  }

  async remove(path: string): Promise<boolean> {
    const action = (): Promise<void> => this.client.remove(path);
    const effects = [{ path, content: undefined }];
    return (await this.change({ kind: "remove", effects, action })).kind === "ok";
  }

  /** Renames a file that is there; `target` may be there too. */
  async rename(source: string, target: string, content: Content): Promise<boolean> {
    const effects = [
      { path: source, content: undefined },
      { path: target, content },
    ];
    const action = (): Promise<void> => this.client.rename(source, target, { overwrite: true });
    return (await this.change({ kind: "rename", effects, action })).kind === "ok";
  }

  /** Makes a file with the content of one that is there, without moving bytes. */
  async copy(source: string, target: string, content: Content): Promise<boolean> {
    const effects = [{ path: target, content }];
    const action = () => this.client.copy(source, target, { overwrite: true });
    return (await this.change({ kind: "copy", effects, action })).kind === "ok";
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

  async #putIf(
    kind: string,
    path: string,
    content: Content,
    options: PutOptions,
  ): Promise<Outcome<PutResult>> {
    const body = await bytesOf(content);
    const inline = this.#mayBeInline();
    const action = (): Promise<PutResult> => this.client.put(path, body, { inline, ...options });
    const isRight = (code: LumeoErrorCode): boolean => code === "LUMEO_PRECONDITION";
    return this.change({ kind, effects: [{ path, content }], action, isRight });
  }

  /** A soak is about chunks on chunkservers, mostly. */
  #mayBeInline(): boolean {
    return this.random.fraction() < INLINE_SHARE;
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

  #impossible(kind: string, path: string, code: string): void {
    // The machine's fault, or a stream that waited too long for its commit: failures, not lies.
    if (code === "LUMEO_NO_SPACE" || code === "LUMEO_CONFLICT") return;
    this.ledger.anomaly(`${kind} of ${path} was refused with ${code}, which cannot be`);
  }
}

function contentsOf(states: readonly State[]): readonly Content[] {
  return states.filter((state) => state !== undefined);
}

async function* of(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
