// What must be in the cluster, from the journal alone: for every path the states that it may be
// in. It shares no code with the model that the callers live by.
//
// E1. An operation with an effect on a path may be the last one there unless another one, that was
//     acknowledged, began after it was over. One that nobody knows the outcome of is over when its
//     caller gave up: a request that takes effect after a later one was acknowledged is a loss.
// E2. A snapshot shows each path as it may have been at one moment between begin and end.
// E3. An operation with several effects has all of them or none.

import type { Content } from "./content.js";
import type { JournalLine, Operation, OperationEnd } from "./journal.js";
import type { SoakRecord } from "./records.js";

/** A file with this content, or nothing. */
export type Expected = Content | undefined;

interface Deed {
  readonly began: number;
  /** Infinity while it was under way. */
  over: number;
  end: OperationEnd | "pending";
  offset: number | undefined;
  readonly op: Operation;
}

/** One append to a file. */
export interface ExpectedRecord {
  readonly record: SoakRecord;
  /** Positions in the journal: what is over before another begins has the lower one. */
  readonly began: number;
  readonly over: number;
  readonly end: OperationEnd | "pending";
  /** Where it is, if the caller was told. */
  readonly offset: number | undefined;
}

/** One deed's effect on one path. */
interface Trace {
  readonly deed: Deed;
  readonly content: Expected;
}

export interface ExpectedSnapshot {
  readonly directory: string;
  readonly name: string;
  /** "maybe": its making or its removal has an outcome that nobody knows. */
  readonly presence: "there" | "gone" | "maybe";
  /** States that a path below the directory may have in it. */
  possible(path: string): readonly Expected[];
}

/** Several effects of an operation whose outcome nobody knows (E3). */
export interface Doubt {
  readonly effects: readonly { readonly path: string; readonly content: Expected }[];
}

const END_OF_TIME = Number.POSITIVE_INFINITY;

export class Expectations {
  readonly #deeds: readonly Deed[];
  readonly #traces = new Map<string, Trace[]>();

  constructor(lines: readonly JournalLine[]) {
    const deeds = new Map<number, Deed>();
    for (const [at, line] of lines.entries()) {
      if ("op" in line) {
        const { n, op } = line;
        deeds.set(n, { began: at, over: END_OF_TIME, end: "pending", offset: undefined, op });
        continue;
      }
      const deed = deeds.get(line.n);
      if (deed === undefined) throw new Error(`operation ${line.n} ended and never began`);
      deed.end = line.end;
      deed.over = at;
      deed.offset = line.offset;
    }
    this.#deeds = [...deeds.values()];
    for (const deed of this.#deeds) {
      if (deed.op.kind !== "change") continue;
      for (const { path, content } of deed.op.effects) {
        const traces = this.#traces.get(path) ?? [];
        traces.push({ deed, content });
        this.#traces.set(path, traces);
      }
    }
  }

  /** Every path that an operation was to change. */
  get paths(): readonly string[] {
    return [...this.#traces.keys()];
  }

  /** Files that were only appended to, with all their records. */
  get logs(): ReadonlyMap<string, readonly ExpectedRecord[]> {
    const logs = new Map<string, ExpectedRecord[]>();
    for (const { op, began, over, end, offset } of this.#deeds) {
      if (op.kind !== "append") continue;
      const records = logs.get(op.path) ?? [];
      const { id, content } = op;
      records.push({ record: { id, content }, began, over, end, offset });
      logs.set(op.path, records);
    }
    return logs;
  }

  /** Acknowledged operations. */
  get acknowledged(): number {
    return this.#deeds.filter(({ end }) => end === "ok").length;
  }

  /** Bytes of all contents that were acknowledged, also of those that were replaced since. */
  get acknowledgedBytes(): number {
    let bytes = 0;
    for (const traces of this.#traces.values()) {
      for (const { deed, content } of traces) {
        if (deed.end === "ok") bytes += content?.size ?? 0;
      }
    }
    for (const { op, end } of this.#deeds) {
      if (op.kind === "append" && end === "ok") bytes += op.content.size;
    }
    return bytes;
  }

  /** The states that a path may be in after everything. */
  possible(path: string): readonly Expected[] {
    return this.#between(path, END_OF_TIME, END_OF_TIME);
  }

  /** Everything that any operation was to bring there, for telling how a wrong content is wrong. */
  everIntended(path: string): readonly Content[] {
    const traces = this.#traces.get(path) ?? [];
    return traces.flatMap(({ content }) => (content === undefined ? [] : [content]));
  }

  get snapshots(): readonly ExpectedSnapshot[] {
    return this.#deeds.flatMap((made): readonly ExpectedSnapshot[] => {
      const { op } = made;
      if (op.kind !== "snapshot" || made.end === "refused") return [];
      const { directory, name } = op;
      const presence = this.#presence(made, directory, name);
      const possible = (path: string) => this.#between(path, made.began, made.over);
      return [{ directory, name, presence, possible }];
    });
  }

  get doubts(): readonly Doubt[] {
    return this.#deeds.flatMap(({ op, end }) => {
      const isInDoubt = end === "unknown" || end === "pending";
      return op.kind === "change" && isInDoubt && 1 < op.effects.length ? [op] : [];
    });
  }

  #presence(made: Deed, directory: string, name: string): ExpectedSnapshot["presence"] {
    const drops = this.#deeds.filter(
      ({ op, end }) =>
        op.kind === "dropSnapshot" &&
        op.directory === directory &&
        op.name === name &&
        end !== "refused",
    );
    if (drops.some(({ end }) => end === "ok")) return "gone";
    return made.end === "ok" && drops.length === 0 ? "there" : "maybe";
  }

  /** E1, seen at a moment that is not before `from` and not after `to`. */
  #between(path: string, from: number, to: number): readonly Expected[] {
    const traces = (this.#traces.get(path) ?? []).filter(
      ({ deed }) => deed.end !== "refused" && deed.began < to,
    );
    const sure = traces.filter(({ deed }) => deed.end === "ok" && deed.over < from);
    const left = traces.filter(
      ({ deed }) => !sure.some(({ deed: later }) => deed.over < later.began),
    );
    const states = left.map(({ content }) => content);
    return sure.length === 0 ? [undefined, ...states] : states;
  }
}
