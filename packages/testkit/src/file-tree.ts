// Folders and files in memory, without waiting: what MemoryDisk and SimDisk are made of.

import { LumeoError } from "@lumeofs/base";

const PAGE_BYTES = 64 * 1024;
/** Every page that nobody has written, or only with zeros. Never changed. */
const ZEROS = Buffer.alloc(PAGE_BYTES);

/**
 * The bytes of one file; reading behind the end gives nothing, writing behind it fills zeros.
 *
 * It is made of pages that copies share until one of them is written, and zeros take no memory: a
 * crash of a machine costs what it changes, and so does a log that is filled with zeros in advance.
 */
export class FileBytes {
  /** Up to the length, and nothing but zeros behind it. */
  #pages: Uint8Array[] = [];
  /** Pages that belong to nobody else. */
  #own = new Set<Uint8Array>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  readAt(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.byteLength, this.#length - position));
    for (let done = 0; done < count; ) {
      const { page, offset, bytes } = this.#place(position + done, count - done);
      into.set((this.#pages[page] ?? ZEROS).subarray(offset, offset + bytes), done);
      done += bytes;
    }
    return count;
  }

  writeAt(part: Uint8Array, position: number): void {
    this.#grow(position + part.byteLength);
    for (let done = 0; done < part.byteLength; ) {
      const { page, offset, bytes } = this.#place(position + done, part.byteLength - done);
      const piece = part.subarray(done, done + bytes);
      const isNothing = this.#pages[page] === ZEROS && isZero(piece);
      if (!isNothing) this.#writable(page).set(piece, offset);
      done += bytes;
    }
  }

  truncate(length: number): void {
    const last = Math.ceil(length / PAGE_BYTES);
    if (length < this.#length) {
      for (const page of this.#pages.splice(last)) this.#own.delete(page);
      const offset = length % PAGE_BYTES;
      if (offset !== 0 && this.#pages[last - 1] !== ZEROS) this.#writable(last - 1).fill(0, offset);
      this.#length = length;
    }
    this.#grow(length);
  }

  /** Inverts one bit; the position must lie inside the file. */
  flipBit(position: number, bit: number): void {
    if (position < 0 || this.#length <= position) {
      throw new LumeoError("INVALID_ARGUMENT", `Cannot flip a bit at ${position}: behind the end`);
    }
    const { page, offset } = this.#place(position, 1);
    const bytes = this.#writable(page);
    bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
  }

  copy(): FileBytes {
    const copied = new FileBytes();
    copied.#pages = [...this.#pages];
    copied.#length = this.#length;
    this.#own.clear(); // both have them now
    return copied;
  }

  #place(position: number, bytesMax: number) {
    const page = Math.floor(position / PAGE_BYTES);
    const offset = position - page * PAGE_BYTES;
    return { page, offset, bytes: Math.min(bytesMax, PAGE_BYTES - offset) };
  }

  #grow(length: number): void {
    this.#length = Math.max(this.#length, length);
    const count = Math.ceil(this.#length / PAGE_BYTES);
    while (this.#pages.length < count) this.#pages.push(ZEROS);
  }

  #writable(number: number): Uint8Array {
    const page = this.#pages[number] ?? ZEROS;
    if (this.#own.has(page)) return page;
    const own = Uint8Array.from(page);
    this.#pages[number] = own;
    this.#own.add(own);
    return own;
  }
}

function isZero(bytes: Uint8Array): boolean {
  return ZEROS.compare(bytes, 0, bytes.byteLength, 0, bytes.byteLength) === 0;
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
