// A machine with a chunkserver. Its disk may rot, be wiped, and fill. One with several disks has a
// weak one, which may fail: the process must go on with the others.

import { type Disk, integerBetween, LumeoError, type SeededRandom } from "@lumeofs/base";
import type { Chunkserver, ChunkserverConfig } from "@lumeofs/chunkserver";
import type { DiskFault } from "@lumeofs/testkit";
import { Violation } from "../checks/violation.js";
import type { Parts } from "../parts.js";
import { Machine, type Run, type Surroundings } from "./machine.js";
import { emptyIndex, type IndexContents, SimIndex } from "./sim-index.js";

const CHUNK_FILES = "chunks/";
/** Of so many chunks one may be dropped. */
const DROP_PAGE = 1_000;

export class ChunkserverMachine extends Machine {
  /** Its disk has lost something by itself: what it should have may be missing or wrong. */
  isHarmed = false;
  #indexes: IndexContents[];
  #chunkserver: Chunkserver | undefined;
  readonly #folders: readonly string[];
  readonly #weak: number;
  #isWeakGone = false;
  /** Since it was wiped it has come up once: from then on it knows its disks. */
  #knowsDisks = false;
  readonly #config: ChunkserverConfig;
  readonly #parts: Parts;

  constructor(config: ChunkserverConfig, parts: Parts, around: Surroundings) {
    const folders = [config.dir].flat();
    super(config.name, around, folders.length);
    this.#config = config;
    this.#parts = parts;
    this.#folders = folders;
    this.#indexes = folders.map(emptyIndex);
    this.#weak = integerBetween(this.random, 0, folders.length - 1);
  }

  /** Undefined while it starts, and while it is down. */
  get chunkserver(): Chunkserver | undefined {
    return this.isUp ? this.#chunkserver : undefined;
  }

  get controlAddress(): string {
    return this.#config.listenControl;
  }

  /** All disks are replaced by empty ones. */
  wipe(): void {
    this.losePower("none");
    this.record(() => "is wiped");
    this.isHarmed = true;
    this.#isWeakGone = false;
    this.#knowsDisks = false;
    for (const disk of this.disks) disk.replace();
    this.#indexes = this.disks.map(emptyIndex);
  }

  /** The weak one of several disks fails at every call from now on. */
  loseDisk(): void {
    if (this.disks.length === 1 || !this.#knowsDisks) return;
    this.record(() => `loses disk ${this.#weak}`);
    this.isHarmed = true;
    this.#isWeakGone = true;
  }

  /** As `loseDisk`, but calls of the disk neither fail nor return. */
  hangDisk(): void {
    if (this.disks.length === 1 || !this.#knowsDisks) return;
    this.isHarmed = true;
    this.hang(this.#weak);
  }

  /** One chunk is gone from under the running process, record and all, and nobody is told. */
  async dropChunk(random: SeededRandom): Promise<void> {
    const { chunkserver } = this;
    if (chunkserver === undefined) return;
    const { store } = chunkserver;
    const page = await store.page(undefined, DROP_PAGE);
    const chunk = page[integerBetween(random, 0, Math.max(0, page.length - 1))];
    if (chunk === undefined) return;
    this.record(() => `has chunk ${chunk.handle} no more`);
    this.isHarmed = true;
    await store.remove([chunk]);
  }

  /** It is there again, or an empty one in its place: it is used when the process starts anew. */
  returnDisk(isEmpty: boolean): void {
    if (!this.#isWeakGone) return;
    this.record(() => `has disk ${this.#weak} again${isEmpty ? ", empty" : ""}`);
    this.kill();
    this.#isWeakGone = false;
    if (!isEmpty) return;
    this.disks[this.#weak]?.replace();
    this.#indexes[this.#weak] = emptyIndex();
  }

  /** A bit of a file turns over; index files are not flipped: they are databases. */
  flipBit(random: SeededRandom): void {
    const disk = this.disks[integerBetween(random, 0, this.disks.length - 1)] ?? this.disk;
    const all = disk.paths().filter((path) => isWorth(path, disk.length(path)));
    const large = all.filter((path) => path.startsWith(CHUNK_FILES));
    // There are few chunk files beside all the others.
    const paths = 0 < large.length && random.fraction() < 0.5 ? large : all;
    const path = paths[integerBetween(random, 0, Math.max(0, paths.length - 1))];
    if (path === undefined) return;
    this.isHarmed = true;
    const position = integerBetween(random, 0, disk.length(path) - 1);
    this.record(() => `bit flips in ${path} at ${position}`);
    disk.flipBit(path, position, integerBetween(random, 0, 7));
  }

  protected async launch(run: Run): Promise<void> {
    this.#chunkserver = undefined;
    const chunkserver = await this.#parts.Chunkserver.start(this.#config, {
      logger: run.logger,
      control: { crash: (error) => this.failed(run, error) },
      host: {
        clock: run.clock,
        timers: run.clock,
        random: run.random,
        newUuid: () => uuidFrom(run.random),
        openDisk: async (folder) => this.#diskAt(folder),
        openIndex: async (folder) => this.#indexAt(run, folder),
        network: run.rpc,
        dataNetwork: run.sockets,
      },
    });
    if (this.run !== run) return;
    this.#chunkserver = chunkserver;
    this.#knowsDisks = true;
  }

  protected override diskFault(disk: number): DiskFault | undefined {
    return this.#isWeakGone && disk === this.#weak ? "EIO" : undefined;
  }

  protected override failed(run: Run, error: unknown): void {
    const isCorrupt = error instanceof LumeoError && error.code === "CORRUPT";
    if (isCorrupt && !this.isHarmed) this.around.world.fail(error);
    this.#checkIsolation(error);
    super.failed(run, error);
    // What an operator does with a store that does not start any more.
    if (isCorrupt) this.wipe();
  }

  /** The failure of one of its disks is not that of the process. */
  #checkIsolation(error: unknown): void {
    const isOfDisk = error instanceof LumeoError && error.code === "STORE_FAILED";
    if (!isOfDisk || this.disks.length === 1 || !this.#knowsDisks) return;
    this.around.world.fail(
      new Violation("isolation", `${this.name} ends with one of its disks: ${error.message}`),
    );
  }

  #diskAt(folder: string): Disk {
    return (this.disks[this.#numberOf(folder)] ?? this.disk).mount();
  }

  #indexAt(run: Run, folder: string): SimIndex {
    const number = this.#numberOf(folder);
    const contents = this.#indexes[number] ?? emptyIndex();
    return new SimIndex(contents, (land) => {
      if (this.diskFault(number) === undefined) return this.land(run, land, number);
      const message = `Cannot write the index of "${folder}": input/output error (EIO)`;
      return Promise.reject(new LumeoError("STORE_FAILED", message));
    });
  }

  #numberOf(folder: string): number {
    return Math.max(0, this.#folders.indexOf(folder));
  }
}

function isWorth(path: string, length: number): boolean {
  return 0 < length && path !== "volume" && !path.endsWith(".draft");
}

function uuidFrom(random: SeededRandom): string {
  const digits = (count: number): string =>
    Array.from({ length: count }, () => integerBetween(random, 0, 15).toString(16)).join("");
  return [8, 4, 4, 4, 12].map(digits).join("-");
}
