// What a directory says that it holds against what its entries add up to. Entries and history come
// directory by directory, so one sum is enough.

import type { InodeId } from "@lumeofs/base";
import type { DirectoryInode, Usage } from "../metadata/directory-record.js";
import type { Inode } from "../metadata/inode-record.js";
import { getInode, getOrphan } from "../metadata/inodes.js";
import type { StateView } from "../metadata/state.js";
import { usageOf } from "../metadata/usage.js";
import type { NameFinding } from "./finding.js";
import { pathOfDirectory } from "./records.js";

export class DirectorySums {
  readonly #view: StateView;
  readonly #of: "entries" | "history";
  /** Directories that hold anything. */
  directories = 0;
  #current: InodeId | undefined;
  #count = 0;
  #usage = { sizeBytes: 0, files: 0, directories: 0 };

  constructor(view: StateView, of: "entries" | "history") {
    this.#view = view;
    this.#of = of;
  }

  /** The next record, of this directory; `node` is what it leads to, if that is there. */
  add(directory: InodeId, node: Inode | undefined): readonly NameFinding[] {
    const findings = directory === this.#current ? [] : this.end();
    this.#current = directory;
    this.#count++;
    if (node === undefined || this.#of === "history") return findings;
    const more = usageOf(node);
    this.#usage.sizeBytes += more.sizeBytes;
    this.#usage.files += more.files;
    this.#usage.directories += more.directories;
    return findings;
  }

  /** The directory's records are complete. */
  end(): readonly NameFinding[] {
    const id = this.#current;
    if (id === undefined) return [];
    const [count, usage] = [this.#count, { ...this.#usage }];
    this.#current = undefined;
    this.#count = 0;
    this.#usage = { sizeBytes: 0, files: 0, directories: 0 };
    this.directories++;
    const inode = getInode(this.#view, id);
    if (inode?.kind !== "directory") {
      return [finding("", id, `${count} names are in directory ${id}, which is not there`)];
    }
    const path = pathOfDirectory(this.#view, id);
    return this.#faultsOf(id, inode, { count, usage }).map((what) => finding(path, id, what));
  }

  #faultsOf(
    id: InodeId,
    directory: DirectoryInode,
    { count, usage }: { readonly count: number; readonly usage: Usage },
  ): readonly string[] {
    const isEntries = this.#of === "entries";
    const said = isEntries ? directory.childCount : directory.historyCount;
    const faults: string[] = [];
    if (said !== count) faults.push(`it says ${said} ${this.#of}, and has ${count}`);
    // What an orphan held is being taken from it without counting.
    if (!isEntries || getOrphan(this.#view, id) !== undefined) return faults;
    for (const key of ["sizeBytes", "files", "directories"] as const) {
      if (directory.usage[key] === usage[key]) continue;
      faults.push(`it says ${directory.usage[key]} ${SHOWN[key]} below it, and has ${usage[key]}`);
    }
    return faults;
  }
}

const SHOWN = { sizeBytes: "bytes", files: "files", directories: "directories" } as const;

function finding(path: string, inode: number, what: string): NameFinding {
  return { fault: "directory", path, inode, handle: 0, what };
}
