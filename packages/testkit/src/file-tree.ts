// Folders and files in memory, without waiting: what MemoryDisk and SimDisk are made of.

import { LumeoError } from "@lumeofs/base";

/** The bytes of one file; reading behind the end gives nothing, writing behind it fills zeros. */
export class FileBytes {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 0) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  readAt(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.byteLength, this.#length - position));
    if (0 < count) into.set(this.#bytes.subarray(position, position + count));
    return count;
  }

  writeAt(part: Uint8Array, position: number): void {
    this.#reserve(position + part.byteLength);
    this.#bytes.set(part, position);
    this.#length = Math.max(this.#length, position + part.byteLength);
  }

  truncate(length: number): void {
    this.#reserve(length);
    if (length < this.#length) this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }

  /** Inverts one bit; the position must lie inside the file. */
  flipBit(position: number, bit: number): void {
    const byte = this.#bytes[position];
    if (byte === undefined || this.#length <= position) {
      throw new LumeoError("INVALID_ARGUMENT", `Cannot flip a bit at ${position}: behind the end`);
    }
    this.#bytes[position] = byte ^ (1 << bit);
  }

  copy(): FileBytes {
    const copied = new FileBytes(this.#length);
    copied.writeAt(this.#bytes.subarray(0, this.#length), 0);
    return copied;
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.byteLength));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Names, each with what it stands for. The folder "" is always there.
 *
 * @throws LumeoError NOT_FOUND from `get` where a file is missing.
 */
export class FileTree<Node> {
  readonly #files = new Map<string, Node>();
  readonly #folders = new Set<string>([""]);

  find(path: string): Node | undefined {
    return this.#files.get(path);
  }

  get(path: string): Node {
    const node = this.#files.get(path);
    if (node === undefined) throw missing(path);
    return node;
  }

  set(path: string, node: Node): void {
    this.#files.set(path, node);
  }

  unset(path: string): void {
    this.#files.delete(path);
  }

  hasFolder(path: string): boolean {
    return this.#folders.has(path);
  }

  /** @throws LumeoError NOT_FOUND if the folder that should hold this name is missing. */
  mustHoldNameOf(path: string): void {
    if (!this.#folders.has(folderOf(path))) throw missing(folderOf(path));
  }

  /** This one folder only, not those above it. */
  addFolder(path: string): void {
    this.#folders.add(path);
  }

  /** The folder and those above it that are not there yet, from the top down. */
  missingFolders(path: string): readonly string[] {
    const absent: string[] = [];
    for (let at = path; !this.#folders.has(at); at = folderOf(at)) absent.unshift(at);
    return absent;
  }

  list(folder: string): readonly string[] {
    const names = [...this.#files.keys(), ...this.#folders]
      .filter((path) => path !== "" && folderOf(path) === folder)
      .map((path) => path.slice(folder === "" ? 0 : folder.length + 1));
    return names.sort();
  }

  paths(): readonly string[] {
    return [...this.#files.keys()].sort();
  }

  /** A new tree of what can be reached from the top, each node as `change` makes it. */
  reachable(change: (node: Node) => Node): FileTree<Node> {
    const tree = new FileTree<Node>();
    const byDepth = [...this.#folders].sort((a, b) => a.length - b.length);
    for (const folder of byDepth) if (tree.hasFolder(folderOf(folder))) tree.addFolder(folder);
    for (const path of this.paths()) {
      if (tree.hasFolder(folderOf(path))) tree.set(path, change(this.get(path)));
    }
    return tree;
  }
}

/** The folder that holds this name; "" for names at the top. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/** "." and "" both mean the top folder. */
export function normalized(folder: string): string {
  return folder === "." ? "" : folder;
}

function missing(path: string): LumeoError {
  return new LumeoError("NOT_FOUND", `Cannot use "${path}": there is no such file or folder`);
}
