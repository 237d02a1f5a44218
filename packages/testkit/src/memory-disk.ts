// A Disk in memory that never fails: for tests which are about something else.

import { type Disk, type File, LumeoError } from "@lumeofs/base";
import { FileBytes, FileTree, normalized } from "./file-tree.js";

const TOTAL_BYTES_DEFAULT = 2 ** 40;

/** Everything is durable at once; a second user of the same object sees what the first has left. */
export class MemoryDisk implements Disk {
  readonly #tree = new FileTree<FileBytes>();
  readonly #totalBytes: number;

  constructor(options: { readonly totalBytes?: number } = {}) {
    this.#totalBytes = options.totalBytes ?? TOTAL_BYTES_DEFAULT;
  }

  async open(path: string, options: { readonly create: boolean }): Promise<File> {
    if (options.create && this.#tree.find(path) === undefined) {
      this.#tree.mustHoldNameOf(path);
      this.#tree.set(path, new FileBytes());
    }
    return new MemoryFile(path, this.#tree.get(path));
  }

  async list(folder: string): Promise<readonly string[]> {
    return this.#tree.list(normalized(folder));
  }

  async exists(path: string): Promise<boolean> {
    return this.#tree.find(path) !== undefined || this.#tree.hasFolder(normalized(path));
  }

  async makeFolder(path: string): Promise<void> {
    const absent = this.#tree.missingFolders(normalized(path));
    for (const folder of absent) this.#tree.addFolder(folder);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#tree.mustHoldNameOf(to);
    this.#tree.set(to, this.#tree.get(from));
    if (from !== to) this.#tree.unset(from);
  }

  async remove(path: string): Promise<void> {
    this.#tree.get(path);
    this.#tree.unset(path);
  }

  async syncFolder(_path: string): Promise<void> {}

  async space(): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
    const used = this.#tree.paths().reduce((sum, path) => sum + this.#tree.get(path).length, 0);
    return { totalBytes: this.#totalBytes, freeBytes: Math.max(0, this.#totalBytes - used) };
  }
}

class MemoryFile implements File {
  #isOpen = true;
  readonly #path: string;
  readonly #bytes: FileBytes;

  constructor(path: string, bytes: FileBytes) {
    this.#path = path;
    this.#bytes = bytes;
  }

  async readAt(into: Uint8Array, position: number): Promise<number> {
    this.#mustBeOpen();
    return this.#bytes.readAt(into, position);
  }

  async writeAt(parts: readonly Uint8Array[], position: number): Promise<void> {
    this.#mustBeOpen();
    let at = position;
    for (const part of parts) {
      this.#bytes.writeAt(part, at);
      at += part.byteLength;
    }
  }

  writeDurably(parts: readonly Uint8Array[], position: number): Promise<void> {
    return this.writeAt(parts, position);
  }

  async sync(): Promise<void> {
    this.#mustBeOpen();
  }

  async truncate(length: number): Promise<void> {
    this.#mustBeOpen();
    this.#bytes.truncate(length);
  }

  async size(): Promise<number> {
    this.#mustBeOpen();
    return this.#bytes.length;
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  #mustBeOpen(): void {
    if (!this.#isOpen) throw new LumeoError("CLOSED", `Cannot use "${this.#path}": it is closed`);
  }
}
