// What the callers of a soak did, on disk: one line when an operation begins and one when its
// outcome is known. The audit reads nothing else: no memory of this process can excuse a loss.
//
// J1. The line of an operation is written before its first byte is sent, and the line of its
//     outcome before its caller goes on: so the order of lines says what was over before what.

import { closeSync, openSync, writeSync } from "node:fs";
import type { Content } from "./content.js";

/** What an operation makes of one path; without a content it is gone. */
export interface Effect {
  readonly path: string;
  readonly content: Content | undefined;
}

export type Operation =
  /** All effects at once, or none. */
  | { readonly kind: "change"; readonly effects: readonly Effect[] }
  /** Keeps a directory as it is at one moment of the operation. */
  | { readonly kind: "snapshot"; readonly directory: string; readonly name: string }
  | { readonly kind: "dropSnapshot"; readonly directory: string; readonly name: string }
  /** Adds a record to a file. */
  | {
      readonly kind: "append";
      readonly path: string;
      readonly id: number;
      readonly content: Content;
    };

/** Acknowledged; surely without effect; or nobody knows. */
export type OperationEnd = "ok" | "refused" | "unknown";

export type JournalLine =
  | { readonly n: number; readonly op: Operation }
  /** `offset`: where an acknowledged record is, as the caller was told. */
  | { readonly n: number; readonly end: OperationEnd; readonly offset?: number };

/** Writes down how an operation ended. */
export type WriteEnd = (end: OperationEnd, offset?: number) => void;

export interface Journal {
  begin(op: Operation): WriteEnd;
}

export class FileJournal implements Journal, Disposable {
  readonly #file: number;
  #count = 0;

  /** @param path  Made anew. */
  constructor(path: string) {
    this.#file = openSync(path, "wx");
  }

  begin(op: Operation): WriteEnd {
    const n = this.#count++;
    this.#write({ n, op });
    return (end, offset) => this.#write({ n, end, ...(offset === undefined ? {} : { offset }) });
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #write(line: JournalLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** @throws SyntaxError if a line is none: the journal of a drill that was killed may end so. */
export function parseJournal(text: string): readonly JournalLine[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as JournalLine);
}
