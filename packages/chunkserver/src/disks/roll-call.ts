// Whether everything is here that the masters count on: asked for all the time, one page after the
// other. A member may lack a chunk without having lost a disk: the others sealed a growing one of
// which it had never heard, or somebody has removed files. Nobody else would notice before the
// chunk is read.
//
// A1. A chunk is lost if two answers name it, a pause apart, and no disk has it after the second:
//     what is being sealed, copied or moved meanwhile is not.
// A2. While the chunks of a lost disk are searched (loss-search.ts), that search speaks alone.

import {
  CancelSource,
  type ChunkHandle,
  type Closable,
  expectLumeoError,
  LumeoError,
} from "@lumeofs/base";
import { pause } from "../transfer/throttle.js";
import { type AssignedPage, type AssignedPorts, compareWithDisks } from "./assigned-chunks.js";

export interface RollCallPorts extends AssignedPorts {
  /** Between two pages. */
  readonly pauseMs: number;
}

/** See the head of this file. */
export class RollCall implements Closable {
  readonly #ports: RollCallPorts;
  readonly #closing = new CancelSource();
  readonly #running: Promise<void>;
  /** Where the next page begins. */
  #after = 0;
  /** Of that page: what was missing when it was looked at first; undefined before. */
  #missed: ReadonlySet<ChunkHandle> | undefined;

  constructor(ports: RollCallPorts) {
    this.#ports = ports;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort(new LumeoError("CLOSED", "The roll call is closing"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { timers, pauseMs, logger } = this.#ports;
    while (!this.#closing.aborted) {
      try {
        await pause(timers, pauseMs, this.#closing);
        if (!this.#isSearching) await this.#look();
      } catch (thrown) {
        const error = expectLumeoError(thrown);
        if (!this.#closing.aborted) logger.debug("no roll call", { code: error.code, error });
      }
    }
  }

  /** A2. */
  get #isSearching(): boolean {
    return 0 < this.#ports.disks.roster.lossAtMs;
  }

  async #look(): Promise<void> {
    const { chunks, masters } = this.#ports;
    const page = await masters.listAssigned(this.#after);
    if (this.#isSearching || this.#closing.aborted) return;
    const missing = page.handles.filter((handle) => chunks.find(handle) === undefined);
    const missed = this.#missed;
    if (0 < missing.length && missed === undefined) {
      this.#missed = new Set(missing);
      return;
    }
    this.#tell(page, new Set(missing.filter((handle) => missed?.has(handle) !== true)));
    this.#missed = undefined;
    this.#after = page.isLast ? 0 : page.upto;
  }

  /** @param fresh  Missing for the first time: not lost yet (A1). */
  #tell({ handles, upto }: AssignedPage, fresh: ReadonlySet<ChunkHandle>): void {
    const named = { handles: handles.filter((handle) => !fresh.has(handle)), upto };
    const { missing: count, isNews } = compareWithDisks(this.#ports, this.#after, named);
    if (isNews) this.#ports.logger.warn("chunks missing", { count });
  }
}
