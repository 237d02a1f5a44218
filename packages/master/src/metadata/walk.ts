// From a path to an inode, name by name from the root.

import { type InodeId, invariant, ROOT_INODE } from "@lumeofs/base";
import { type Precondition, quoted, type Refused, refuse } from "./command.js";
import type { DirectoryInode } from "./directory-record.js";
import type { DirectoryEntry, FileInode } from "./inode-record.js";
import { getEntered, getEntry, mustGetDirectory, type Place } from "./inodes.js";
import { ancestor, type Path } from "./path.js";
import type { StateView } from "./state.js";

export type Walk =
  | { readonly kind: "root"; readonly inode: DirectoryInode }
  | {
      readonly kind: "directory";
      readonly id: InodeId;
      readonly inode: DirectoryInode;
      readonly place: Place;
      /** Of its entry. */
      readonly since: number;
    }
  | {
      readonly kind: "file";
      readonly id: InodeId;
      readonly inode: FileInode;
      readonly place: Place;
      readonly since: number;
    }
  /** The first `known` names lead to the directory `parent`; the next one is not in it. */
  | { readonly kind: "missing"; readonly parent: InodeId; readonly known: number }
  /** The first `known` names lead to a file, and more names follow. */
  | { readonly kind: "blocked"; readonly known: number };

/** Something that an entry leads to. */
export type Found = Extract<Walk, { kind: "file" | "directory" }>;

export function walk(view: StateView, path: Path): Walk {
  let parent: InodeId = ROOT_INODE;
  const last = path.names.length - 1;
  for (const [i, name] of path.names.entries()) {
    const entry = getEntry(view, parent, name);
    if (entry === undefined) return { kind: "missing", parent, known: i };
    if (i === last) return found(view, entry, { parent, name });
    if (entry.kind === "file") return { kind: "blocked", known: i + 1 };
    parent = entry.inode;
  }
  return { kind: "root", inode: mustGetDirectory(view, ROOT_INODE) };
}

/** Why nothing can be made or found at a path that a walk did not reach. */
export function refuseUnreached(
  action: string,
  path: Path,
  walked: Extract<Walk, { kind: "missing" | "blocked" }>,
): Refused {
  const what = `Cannot ${action} ${quoted(path.text)}`;
  if (walked.kind === "blocked") {
    const file = quoted(ancestor(path, walked.known));
    return refuse("NOT_DIRECTORY", `${what}: ${file} is a file, not a directory`);
  }
  if (walked.known === path.names.length - 1) {
    return refuse("NOT_FOUND", `${what}: it does not exist`);
  }
  const directory = quoted(ancestor(path, walked.known + 1));
  return refuse("NOT_FOUND", `${what}: directory ${directory} does not exist`);
}

/** Why something cannot be made where a file or directory is. */
export function refuseExisting(action: string, path: Path, kind: Found["kind"]): Refused {
  return refuse("EXISTS", `Cannot ${action} ${quoted(path.text)}: a ${kind} is there`);
}

/** Why a condition on the file at a path does not hold; undefined for a file that is not there. */
export function refusePrecondition(
  action: string,
  path: Path,
  precondition: Precondition,
  file: FileInode | undefined,
): Refused | undefined {
  if (precondition.kind === "none") return undefined;
  const what = `Cannot ${action} ${quoted(path.text)}`;
  if (precondition.kind === "absent") {
    if (file === undefined) return undefined;
    return refuse("PRECONDITION", `${what}: it exists, with revision ${file.revision}`);
  }
  const { revision } = precondition;
  if (file?.revision === revision) return undefined;
  const is = file === undefined ? "it does not exist" : `its revision is ${file.revision}`;
  return refuse("PRECONDITION", `${what}: ${is}, expected revision ${revision}`);
}

function found(view: StateView, entry: DirectoryEntry, place: Place): Walk {
  const { inode: id, since } = entry;
  const inode = getEntered(view, entry);
  invariant(inode !== undefined, "what an entry leads to is in the table", { id });
  return inode.kind === "file"
    ? { kind: "file", id, inode, place, since }
    : { kind: "directory", id, inode, place, since };
}
