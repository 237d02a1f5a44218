// Reads the records of growing chunks again and again, so that damage is found while other members
// have them: a chunk that is appended to slowly may grow for hours before it is sealed, and read
// through by the scrub of sealed chunks.
//
// V1. It only reads. What it finds is noted, and told to the masters, by the replica (rule 20).
// V2. It reads a record at a time, as fast as its pace lets it.

import {
  type Cancellation,
  CancelSource,
  type ChunkHandle,
  type Closable,
  type Logger,
  LumeoError,
  type Timers,
} from "@lumeofs/base";
import { dataBytes } from "../replication/append-record.js";
import type { TailStore } from "./tail-store.js";

const PAGE = 256;

export interface TailScrubConfig {
  /** Between two rounds over all growing chunks. */
  readonly pauseMs: number;
  /** Waits until so much more may be read. Throws the signal's reason. */
  readonly pace: (bytes: number, signal: Cancellation) => Promise<void>;
}

export interface TailScrubPorts {
  readonly tails: Pick<TailStore, "page" | "find">;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** See the head of this file. */
export class TailScrub implements Closable {
  readonly #config: TailScrubConfig;
  readonly #ports: TailScrubPorts;
  readonly #closing = new CancelSource();
  readonly #alarm: { cancel(): void };
  #round: Promise<void> | undefined;

  constructor(config: TailScrubConfig, ports: TailScrubPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#alarm = ports.timers.every(config.pauseMs, () => this.#begin());
  }

  async close(): Promise<void> {
    this.#alarm.cancel();
    this.#closing.abort(new LumeoError("CLOSED", "The scrub of growing chunks is closing"));
    await this.#round;
  }

  #begin(): void {
    this.#round ??= this.#readAll()
      .catch((error: unknown) => {
        if (!(error instanceof LumeoError)) throw error; // V1; a failed disk has been told
      })
      .finally(() => {
        this.#round = undefined;
      });
  }

  async #readAll(): Promise<void> {
    for (let after = 0; ; ) {
      const page = this.#ports.tails.page(after, PAGE);
      for (const { handle } of page) await this.#read(handle);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.handle;
    }
  }

  /** Up to the end of its history, which moves meanwhile, or to the first damage. */
  async #read(handle: ChunkHandle): Promise<void> {
    for (let seq = 1; ; seq++) {
      const record = this.#ports.tails.find(handle)?.state.history.at(seq);
      if (record === undefined) return;
      await this.#config.pace(dataBytes(record), this.#closing);
      const replica = this.#ports.tails.find(handle);
      if (replica === undefined || replica.isInDoubt) return;
      if (replica.state.history.at(seq) !== record) return; // another history, or none any more
      try {
        await replica.read(record);
      } catch (error) {
        if (!(error instanceof LumeoError) || error.code !== "CHECKSUM") throw error;
        this.#ports.logger.warn("scrub found a damaged record", { chunk: handle, index: seq });
        return;
      }
    }
  }
}
