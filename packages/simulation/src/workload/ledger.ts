// What clients asked for and were told about files, and whether it can be true.
//
// F1. Reads and changes of each path are those of a plain variable, one after the other in real
//     time: acknowledged contents are never lost, never come back, and are never a mixture (C1).
// F2. A content has one version: no put takes effect twice (C9).
// F3. A snapshot shows each file as it was at one moment while it was made, and always the same.
// F4. A copy has a content of its source, and for ever the one whose checksum was told.

import { History, type Model, type Pending } from "@lumeofs/testkit";
import { must } from "../checks/violation.js";

/** The content of no file. */
export const NOTHING = 0;

export type FileCall =
  /** `over`: only if this is what is there. */
  | { readonly kind: "put"; readonly id: number; readonly over?: number }
  | { readonly kind: "remove" }
  | { readonly kind: "get" }
  /** Somebody is told that the file is not this content any more. */
  | { readonly kind: "changed"; readonly from: number };

/** For a get: which content. For a remove: whether there was one. For a change: that it was. */
export type FileAnswer = number | boolean | "stored" | "refused";

const MODEL: Model<number, FileCall, FileAnswer> = {
  initial: NOTHING,
  step(state, call, answer) {
    switch (call.kind) {
      case "put":
        return afterPut(state, call, answer);
      case "remove":
        if (answer !== undefined && answer !== (state !== NOTHING)) return undefined;
        return NOTHING;
      case "get":
        return answer === undefined || answer === state ? state : undefined;
      case "changed":
        return answer === undefined || state !== call.from ? state : undefined;
    }
  },
  print: String,
};

function afterPut(
  state: number,
  { id, over }: Extract<FileCall, { readonly kind: "put" }>,
  answer: FileAnswer | undefined,
): number | undefined {
  const isTaken = over === undefined || over === state;
  if (answer === undefined) return isTaken ? id : state;
  if (isTaken !== (answer === "stored")) return undefined;
  return isTaken ? id : state;
}

interface Copied {
  readonly source: string;
  /** Checksum and size as they were told; undefined if nobody was told. */
  told: string | undefined;
}

export class Ledger {
  acknowledged = 0;
  reads = 0;
  readonly #history = new History<FileCall, FileAnswer>();
  readonly #now: () => number;
  #lastId = NOTHING;
  readonly #paths = new Map<number, string>();
  readonly #versions = new Map<number, string>();
  readonly #copies = new Map<string, Copied>();
  readonly #frozen = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A content that nobody has stored before. */
  newContent(path: string): number {
    const id = ++this.#lastId;
    this.#paths.set(id, path);
    return id;
  }

  begin(path: string, call: FileCall): Pending<FileAnswer> {
    return this.#history.begin(path, call, this.#now);
  }

  /** A put was acknowledged, or a content was read, with this version (F2). */
  hasVersion(path: string, id: number, version: string): void {
    if (this.#paths.get(id) !== path) return; // a copy has versions of its own
    const known = this.#versions.get(id) ?? version;
    must(known === version, "C9", () => `content ${id} has versions ${known} and ${version}`);
    this.#versions.set(id, version);
  }

  /** Which content a version is, if anybody knows. */
  contentOfVersion(path: string, version: string): number | undefined {
    for (const [id, known] of this.#versions) {
      if (known === version && this.#paths.get(id) === path) return id;
    }
    return undefined;
  }

  /** Whether a content that was read belongs there. */
  belongs(path: string, id: number | undefined, shown: () => string): number {
    const home = id === undefined ? undefined : this.#paths.get(id);
    must(id !== undefined && home !== undefined, "C1", () => `${path} shows ${shown()}`);
    const source = this.#copies.get(path)?.source ?? path;
    must(home === source, "C1", () => `${path} shows content ${id} of ${home}`);
    return id;
  }

  /** A snapshot was made between these times: reads of it are reads of the file then (F3). */
  readSnapshot(
    at: { readonly path: string; readonly snapshot: string },
    made: { readonly begin: number; readonly end: number },
    id: number,
  ): void {
    const known = this.#frozen.get(at.snapshot) ?? id;
    must(known === id, "F3", () => `${at.snapshot} was content ${known} and is content ${id}`);
    if (this.#frozen.has(at.snapshot)) return;
    this.#frozen.set(at.snapshot, id);
    let time = made.begin;
    const read = this.#history.begin(at.path, { kind: "get" }, () => time);
    time = made.end;
    read.answered(id);
  }

  copyBegins(source: string, target: string): Copied {
    const copied: Copied = { source, told: undefined };
    this.#copies.set(target, copied);
    return copied;
  }

  /** F4: what a copy was said to be is what it is. */
  readCopy(target: string, id: number, checksum: string): void {
    const told = this.#copies.get(target)?.told;
    const isSo = told === undefined || (id !== NOTHING && told === checksum);
    must(
      isSo,
      "F4",
      () => `copy ${target} is ${checksum}, content ${id}, and was said to be ${told}`,
    );
    const known = this.#frozen.get(target) ?? id;
    must(known === id || known === NOTHING, "F4", () => `copy ${target} was ${known} and is ${id}`);
    this.#frozen.set(target, id);
  }

  get copies(): readonly string[] {
    return [...this.#copies.keys()];
  }

  get frozen(): ReadonlyMap<string, number> {
    return this.#frozen;
  }

  /** F1. */
  check(): void {
    const verdict = this.#history.check(MODEL);
    must(verdict.kind !== "violation", "C1", () => {
      if (verdict.kind !== "violation") return "";
      const text = verdict.operations.map(({ call, answer, begin, end }) => {
        const when = `[${begin.toFixed(0)},${end.toFixed(0)}]`;
        return `${when} ${JSON.stringify(call)} = ${JSON.stringify(answer)}`;
      });
      return `no order explains ${verdict.key}:\n  ${text.join("\n  ")}`;
    });
  }
}
