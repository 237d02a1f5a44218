// The change feed: what happened to names, one record for each change, in the order of the log.
// Whoever changes a name calls `emit`; readers page through the table by revision, on any master.
//
// F1. A change has the revision of its command, and sequences count from 0 within a revision.
// F2. A refused command leaves no change: `emit` writes where the command writes.
// F3. Changes at or below the floor may be gone; all above it are there.

import { type ByteReader, type ByteWriter, invariant, type WallMs, wallMs } from "@lumeofs/base";
import { corrupt, encodeWhole, readText, readWhole, writeText } from "./fields.js";
import type { Moment } from "./inodes.js";
import {
  type ChangePosition,
  changeFloorKey,
  changeKey,
  changesAfter,
  numberOf,
  sequenceOf,
} from "./keys.js";
import type { State, StateReader, StateView } from "./state.js";

/** What happened to the name at `path`. Directories are created, deleted, renamed as a whole. */
export type Change = {
  readonly file: "file" | "directory";
  readonly path: string;
  /** Of a file's content; 0 for a directory. */
  readonly sizeBytes: number;
} & (
  | { readonly kind: PlainChangeKind }
  /** `from` is where it was. What it replaced at `path` is not told apart. */
  | { readonly kind: "rename"; readonly from: string }
);

/** `write` puts other content in the place of a file's; `attributes` changes all but content. */
type PlainChangeKind = "create" | "write" | "delete" | "attributes";
export type ChangeKind = Change["kind"];

/** A change with its place in the feed. */
export interface FeedChange extends ChangePosition {
  readonly at: WallMs;
  readonly change: Change;
}

const KIND = { create: 1, write: 2, delete: 3, rename: 4, attributes: 5 } as const;
const FILE = { file: 1, directory: 2 } as const;
/** Fits the two bytes that a key has for it. No command comes near: its names are bounded. */
const SEQUENCE_MAX = 0xffff;

/** Before every change. */
export const FEED_START: ChangePosition = { revision: 0, sequence: 0 };

/** Adds a change to the feed, behind those that this command has emitted before. One put. */
export function emit(state: State, now: Moment, change: Change): void {
  const sequence = now.emitted.count++;
  invariant(sequence <= SEQUENCE_MAX, "a command changes no more names than a key can count");
  state.put(changeKey({ revision: now.index, sequence }), encodeChange(change, now.at));
}

/** Removes named changes, all of them at or below the new floor. Repeating is harmless. */
export function trimChanges(
  state: State,
  trim: { readonly changes: readonly ChangePosition[]; readonly floor: number },
): void {
  for (const position of trim.changes) {
    invariant(position.revision <= trim.floor, "a trimmed change lies below the floor");
    state.delete(changeKey(position));
  }
  if (trim.floor <= changeFloor(state)) return;
  state.put(
    changeFloorKey(),
    encodeWhole((writer) => writer.u53(trim.floor)),
  );
}

/** The lowest revision after which the feed is complete. */
export function changeFloor(view: StateView): number {
  const bytes = view.get(changeFloorKey());
  return bytes === undefined ? 0 : readWhole("change floor", bytes, (reader) => reader.u53());
}

/** Changes behind a position, oldest first. The caller compares with the floor. */
export async function changesPage(
  reader: StateReader,
  after: ChangePosition,
  countMax: number,
): Promise<readonly FeedChange[]> {
  const { from, to } = changesAfter(after);
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key, value]) => ({
    revision: numberOf(key),
    sequence: sequenceOf(key),
    ...decodeChange(value),
  }));
}

export function encodeChange(change: Change, at: WallMs): Uint8Array {
  return encodeWhole((writer) => writeChange(writer, change, at));
}

/** @throws LumeoError CORRUPT */
export function decodeChange(bytes: Uint8Array): Pick<FeedChange, "at" | "change"> {
  return readWhole("change record", bytes, readChange);
}

function writeChange(w: ByteWriter, change: Change, at: WallMs): void {
  w.u8(KIND[change.kind]).u8(FILE[change.file]).u53(at).u53(change.sizeBytes);
  writeText(w, change.path);
  if (change.kind === "rename") writeText(w, change.from);
}

function readChange(r: ByteReader): Pick<FeedChange, "at" | "change"> {
  const kind = nameOf(KIND, r.u8(), "change kind");
  const file = nameOf(FILE, r.u8(), "file kind of a change");
  const at = wallMs(r.u53());
  const sizeBytes = r.u53();
  const path = readText(r);
  const about = { file, path, sizeBytes };
  return {
    at,
    change: kind === "rename" ? { kind, ...about, from: readText(r) } : { kind, ...about },
  };
}

function nameOf<Name extends string>(
  table: Readonly<Record<Name, number>>,
  value: number,
  what: string,
): Name {
  for (const name in table) if (table[name] === value) return name;
  throw corrupt(what, `it is ${value}`);
}
