// A machine with a chunkserver. Its disk may rot, be wiped, and fill.

import { integerBetween, LumeoError, type SeededRandom } from "@lumeofs/base";
import type { Chunkserver, ChunkserverConfig } from "@lumeofs/chunkserver";
import type { Parts } from "../parts.js";
import { Machine, type Run, type Surroundings } from "./machine.js";
import { emptyIndex, type IndexContents, SimIndex } from "./sim-index.js";

const CHUNK_FILES = "chunks/";

export class ChunkserverMachine extends Machine {
  /** Its disk has lost something by itself: what it should have may be missing or wrong. */
  isHarmed = false;
  #index: IndexContents = emptyIndex();
  #chunkserver: Chunkserver | undefined;
  readonly #config: ChunkserverConfig;
  readonly #parts: Parts;

  constructor(config: ChunkserverConfig, parts: Parts, around: Surroundings) {
    super(config.name, around);
    this.#config = config;
    this.#parts = parts;
  }

  /** Undefined while it starts, and while it is down. */
  get chunkserver(): Chunkserver | undefined {
    return this.isUp ? this.#chunkserver : undefined;
  }

  get controlAddress(): string {
    return this.#config.listenControl;
  }

  /** The disk is replaced by an empty one. */
  wipe(): void {
    this.losePower("none");
    this.record(() => "is wiped");
    this.isHarmed = true;
    this.disk.replace();
    this.#index = emptyIndex();
  }

  /** A bit of a file turns over; index files are not flipped: they are databases. */
  flipBit(random: SeededRandom): void {
    const all = this.disk.paths().filter((path) => isWorth(path, this.disk.length(path)));
    const large = all.filter((path) => path.startsWith(CHUNK_FILES));
    // There are few chunk files beside all the others.
    const paths = 0 < large.length && random.fraction() < 0.5 ? large : all;
    const path = paths[integerBetween(random, 0, Math.max(0, paths.length - 1))];
    if (path === undefined) return;
    this.isHarmed = true;
    const position = integerBetween(random, 0, this.disk.length(path) - 1);
    this.record(() => `bit flips in ${path} at ${position}`);
    this.disk.flipBit(path, position, integerBetween(random, 0, 7));
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
        openDisk: async () => this.mount(),
        openIndex: async () => new SimIndex(this.#index, (land) => this.land(run, land)),
        network: run.rpc,
        dataNetwork: run.sockets,
      },
    });
    if (this.run === run) this.#chunkserver = chunkserver;
  }

  protected override failed(run: Run, error: unknown): void {
    const isCorrupt = error instanceof LumeoError && error.code === "CORRUPT";
    if (isCorrupt && !this.isHarmed) this.around.world.fail(error);
    super.failed(run, error);
    // What an operator does with a store that does not start any more.
    if (isCorrupt) this.wipe();
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
