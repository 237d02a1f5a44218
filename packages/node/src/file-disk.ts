// The Disk port on a real folder.
//
// D1. Every path stays inside the folder: absolute paths and ".." are refused before any call.
// D2. A write is complete or it rejects; short writes are continued.
// D3. Nothing is retried: what the kernel refuses is passed on, with the path and what was tried.
// D4. Of an uncached file whole pages go to the disk directly, past the kernel's cache, where both
//     the file system and the memory allow it; everything else is written as in any file. The
//     refusal of the very way (EINVAL) is no failure of the disk: it ends direct writing.

import { constants } from "node:fs";
import { access, mkdir, open, readdir, rename, stat, statfs, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Disk, type ErrorCode, type File, LumeoError, type OpenOptions } from "@lumeofs/base";
import { beginsAtPage, PAGE_BYTES } from "./aligned-memory.js";

type Handle = Awaited<ReturnType<typeof open>>;

/** The kernel takes at most this many parts in one call (IOV_MAX). */
const WRITE_PARTS_MAX = 1024;
const MAKE = { make: true } as const;

/** A folder of the file system. Errors are NOT_FOUND, NO_SPACE, CLOSED or STORE_FAILED. */
export class FileDisk implements Disk {
  readonly #root: string;
  #writesDirectly = true;

  private constructor(root: string) {
    this.#root = root;
  }

  /**
   * Makes the folder (and those above it), durably, if it is missing.
   *
   * @param how  Without `make`, a missing folder is NOT_FOUND.
   */
  static async open(folder: string, how: { readonly make: boolean } = MAKE): Promise<FileDisk> {
    const root = resolve(folder);
    if (!how.make) {
      await attempt("open folder", folder, () => readdir(root));
      return new FileDisk(root);
    }
    const made = await attempt("make folder", folder, () => makeFolders(root));
    if (made !== undefined) {
      let folderOf = root;
      do {
        folderOf = dirname(folderOf);
        await attempt("sync folder", folderOf, () => syncFolder(folderOf));
      } while (made.length <= folderOf.length);
    }
    return new FileDisk(root);
  }

  async open(path: string, options: OpenOptions): Promise<File> {
    const flags = constants.O_RDWR | (options.create ? constants.O_CREAT : 0);
    const file = this.#inside(path);
    const handle = await attempt("open", path, () => open(file, flags, 0o644));
    const openAgain = (more: number) => open(file, constants.O_RDWR | more);
    if (options.uncached !== true) return new OpenFile(path, handle, { openAgain });
    return new OpenFile(path, handle, {
      openAgain,
      direct: {
        isPossible: () => this.#writesDirectly,
        refused: () => {
          this.#writesDirectly = false;
        },
      },
    });
  }

  async list(folder: string): Promise<readonly string[]> {
    try {
      return (await readdir(this.#inside(folder))).sort();
    } catch (error) {
      if (systemCode(error) === "ENOENT") return [];
      throw failure("list", folder, error);
    }
  }

  async exists(path: string): Promise<boolean> {
    try {
      await access(this.#inside(path));
      return true;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return false;
      throw failure("look for", path, error);
    }
  }

  async makeFolder(path: string): Promise<void> {
    const folder = this.#inside(path);
    await attempt("make folder", path, () => mkdir(folder, { recursive: true }));
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [this.#inside(from), this.#inside(to)];
    await attempt("rename", from, () => rename(source, target));
  }

  async remove(path: string): Promise<void> {
    const file = this.#inside(path);
    await attempt("remove", path, () => unlink(file));
  }

  async syncFolder(path: string): Promise<void> {
    const folder = this.#inside(path);
    await attempt("sync folder", path, () => syncFolder(folder));
  }

  async space(): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
    const found = await attempt("measure", ".", () => statfs(this.#root));
    return { totalBytes: found.blocks * found.bsize, freeBytes: found.bavail * found.bsize };
  }

  /** The real path (D1). "" is the folder itself. */
  #inside(path: string): string {
    const parts = path === "" ? [] : path.split("/");
    const strange = (part: string) => part === "" || part === "." || part === "..";
    if (parts.some(strange) || path.includes("\0") || path.includes("\\")) {
      throw new LumeoError(
        "INVALID_ARGUMENT",
        `Cannot use path "${path}": it is not a plain relative path inside the folder`,
      );
    }
    return join(this.#root, ...parts);
  }
}

/** Whether the file system writes directly; one refusal is enough. */
interface DirectWriting {
  isPossible(): boolean;
  refused(): void;
}

interface OpenFileParts {
  /** Another handle of the same name, with more flags. */
  readonly openAgain: (flags: number) => Promise<Handle>;
  /** Of a file whose contents need not be cached (D4). */
  readonly direct?: DirectWriting;
}

class OpenFile implements File {
  readonly #path: string;
  readonly #handle: Handle;
  readonly #parts: OpenFileParts;
  /** Of the same file: what is written through it is durable at once. Opened when first needed. */
  #durable: Promise<Handle> | undefined;
  /** Of the same file, past the kernel's cache. Opened when first needed. */
  #direct: Promise<Handle> | undefined;
  #closed = false;

  constructor(path: string, handle: Handle, parts: OpenFileParts) {
    this.#path = path;
    this.#handle = handle;
    this.#parts = parts;
  }

  readAt(into: Uint8Array, position: number): Promise<number> {
    return this.#attempt("read", async () => {
      let filled = 0;
      while (filled < into.byteLength) {
        const rest = into.byteLength - filled;
        const { bytesRead } = await this.#handle.read(into, filled, rest, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    });
  }

  writeAt(parts: readonly Uint8Array[], position: number): Promise<void> {
    return this.#attempt("write", async () => {
      const pages = this.#parts.direct?.isPossible() ? wholePages(parts, position) : 0;
      if (pages === 0) return writeAll(this.#handle, parts, position);
      const head = firstBytes(parts, pages);
      if (!(await this.#writeDirectly(head, position))) {
        await writeAll(this.#handle, head, position);
      }
      await writeAll(this.#handle, withoutFirst(parts, pages), position + pages);
    });
  }

  writeDurably(parts: readonly Uint8Array[], position: number): Promise<void> {
    return this.#attempt("write", async () => {
      this.#durable ??= this.#openAgain(constants.O_DSYNC);
      await writeAll(await this.#durable, parts, position);
    });
  }

  sync(): Promise<void> {
    return this.#attempt("sync", () => this.#handle.datasync());
  }

  truncate(length: number): Promise<void> {
    return this.#attempt("truncate", () => this.#handle.truncate(length));
  }

  async size(): Promise<number> {
    return (await this.#attempt("measure", () => this.#handle.stat())).size;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await attempt("close", this.#path, async () => {
      for (const opening of [this.#durable, this.#direct]) {
        const other = await opening?.catch(() => undefined); // its opener has been told
        await other?.close();
      }
      await this.#handle.close();
    });
  }

  /** @returns Whether all was written; false if it cannot be written this way (D4). */
  async #writeDirectly(parts: readonly Uint8Array[], position: number): Promise<boolean> {
    try {
      this.#direct ??= this.#openAgain(constants.O_DIRECT);
      await writeAll(await this.#direct, parts, position);
      return true;
    } catch (error) {
      if (systemCode(error) !== "EINVAL") throw error;
      this.#parts.direct?.refused();
      return false;
    }
  }

  /** The name may lead to another file by now: that one is not written to. */
  async #openAgain(flags: number): Promise<Handle> {
    const other = await this.#parts.openAgain(flags);
    const [here, there] = await Promise.all([this.#handle.stat(), other.stat()]);
    if (here.ino === there.ino && here.dev === there.dev) return other;
    await other.close();
    throw new Error("its name leads to another file now");
  }

  async #attempt<T>(action: string, run: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      throw new LumeoError("CLOSED", `Cannot ${action} "${this.#path}": the file is closed`);
    }
    return attempt(action, this.#path, run);
  }
}

/**
 * Makes a folder and those above it; the highest that was missing. Node's own way never ends where
 * the kernel takes no folders, as below /proc.
 */
async function makeFolders(folder: string): Promise<string | undefined> {
  try {
    await mkdir(folder);
    return folder;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(folder)).isDirectory()) return undefined;
    const parent = dirname(folder);
    if (code !== "ENOENT" || parent === folder) throw error;
    const made = await makeFolders(parent);
    await mkdir(folder).catch(unlessThere);
    return made ?? folder;
  }
}

/** Somebody else may have made it in the meantime. */
function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(
  handle: Handle,
  parts: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let at = position;
  let left = parts.filter((part) => 0 < part.byteLength);
  while (0 < left.length) {
    const group = left.slice(0, WRITE_PARTS_MAX);
    const { bytesWritten } = await handle.writev(group, at);
    if (bytesWritten === 0) throw new Error("the kernel wrote nothing");
    at += bytesWritten;
    left = withoutFirst(left, bytesWritten);
  }
}

/** How many bytes at the beginning of `parts` are whole pages, in memory and in the file. */
function wholePages(parts: readonly Uint8Array[], position: number): number {
  let bytes = 0;
  if (position % PAGE_BYTES !== 0) return bytes;
  for (const part of parts) {
    if (!beginsAtPage(part)) break;
    bytes += part.byteLength - (part.byteLength % PAGE_BYTES);
    if (part.byteLength % PAGE_BYTES !== 0) break;
  }
  return bytes;
}

/** The first `count` bytes of `parts`. */
function firstBytes(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  const first: Uint8Array[] = [];
  for (let i = 0, rest = count; 0 < rest; i++) {
    const part = (parts[i] as Uint8Array).subarray(0, rest);
    first.push(part);
    rest -= part.byteLength;
  }
  return first;
}

/** What is left of `parts` after `count` bytes. */
function withoutFirst(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let rest = count;
  let index = 0;
  for (let part = parts[index]; part !== undefined && part.byteLength <= rest; ) {
    rest -= part.byteLength;
    part = parts[++index];
  }
  const first = parts[index];
  if (first === undefined) return [];
  return rest === 0 ? parts.slice(index) : [first.subarray(rest), ...parts.slice(index + 1)];
}

async function attempt<T>(action: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw failure(action, path, error);
  }
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "NOT_FOUND",
  ENOSPC: "NO_SPACE",
  EDQUOT: "NO_SPACE",
};

function failure(action: string, path: string, cause: unknown): LumeoError {
  if (cause instanceof LumeoError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = CODES[systemCode(cause) ?? ""] ?? "STORE_FAILED";
  return new LumeoError(code, `Cannot ${action} "${path}": ${why}`, { cause });
}

function systemCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
