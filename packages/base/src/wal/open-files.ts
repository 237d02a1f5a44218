import type { Disk, File } from "../disk.js";
import { invariant } from "../invariant.js";

interface OpenFile {
  readonly file: Promise<File>;
  users: number;
  /** Closed as soon as the last user is done. */
  isDropped: boolean;
}

/** Files kept open between uses: the least recently used is closed when there are too many. */
export class OpenFiles {
  readonly #disk: Disk;
  readonly #limit: number;
  /** In order of use, the oldest first. */
  readonly #open = new Map<string, OpenFile>();

  constructor(disk: Disk, limit: number) {
    invariant(0 < limit, "limit of open files must be positive", { limit });
    this.#disk = disk;
    this.#limit = limit;
  }

  /** Runs `work` with the file at `path`, which must exist; it stays open at least until then. */
  async use<T>(path: string, work: (file: File) => Promise<T>): Promise<T> {
    const entry = this.#take(path);
    try {
      return await work(await entry.file);
    } catch (error) {
      await this.#dropIfUnopened(path, entry);
      throw error;
    } finally {
      entry.users--;
      await this.#closeIfDone(entry);
    }
  }

  /** Forgets a file, because it was removed or replaced. Those who use it may finish. */
  async drop(path: string): Promise<void> {
    const entry = this.#open.get(path);
    if (entry === undefined) return;
    this.#open.delete(path);
    entry.isDropped = true;
    await this.#closeIfDone(entry);
  }

  async close(): Promise<void> {
    for (const path of [...this.#open.keys()]) await this.drop(path);
  }

  #take(path: string): OpenFile {
    const known = this.#open.get(path);
    if (known !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, known);
      known.users++;
      return known;
    }
    const entry = { file: this.#disk.open(path, { create: false }), users: 1, isDropped: false };
    this.#open.set(path, entry);
    if (this.#limit < this.#open.size) void this.#dropOldest();
    return entry;
  }

  async #dropOldest(): Promise<void> {
    for (const [path, entry] of this.#open) {
      if (entry.users === 0) return this.drop(path);
    }
  }

  async #dropIfUnopened(path: string, entry: OpenFile): Promise<void> {
    try {
      await entry.file;
    } catch {
      if (this.#open.get(path) === entry) this.#open.delete(path);
    }
  }

  async #closeIfDone(entry: OpenFile): Promise<void> {
    if (!entry.isDropped || 0 < entry.users) return;
    const file = await entry.file.catch(() => undefined);
    await file?.close();
  }
}
