// Reads every replica from the disk again and again, so that damage is found while other copies are
// intact, and not when somebody needs this one.
//
// B1. What is found is the store's to note and to report: the scrub only reads (ChunkStore.verify).
// B2. It reads at most `bytesPerSecond`; an eighth of it while requests of others are served. So
//     it never stops for good, and costs a busy disk little.
// B3. The progress is written every SAVE_MS and at the end of a round: after a restart the round
//     goes on there. Losing the file of it costs a round, no byte.
//     Files that are gone are looked for before a round, and again in a long one: a look at a name
//     costs little, and need not wait until the reading comes by.
// B4. A failure of the disk ends the store, and the scrub with it.
// B5. A round, and a look at the names, reads what was there when it began (or when the process
//     did): chunks have rising handles, so else neither would come to an end while others write.

import {
  type Cancellation,
  CancelSource,
  type ChunkHandle,
  type Clock,
  type Closable,
  type Crc32c,
  chunkHandle,
  type Disk,
  expectLumeoError,
  type Logger,
  LumeoError,
  type Timers,
} from "@lumeofs/base";
import type { DiskChunkStore } from "../store/disk-chunk-store.js";
import { SealedFile } from "../store/sealed-file.js";
import { pause, Throttle } from "../transfer/throttle.js";
import {
  began,
  decodeProgress,
  encodeProgress,
  ended,
  NOTHING_SCRUBBED,
  PROGRESS_BYTES_MAX,
  passed,
  type ScrubProgress,
} from "./progress.js";

const PAGE = 256;
const SAVE_MS = 10_000;
/** What is left of the speed while others are served. */
const YIELDED_PART = 1 / 8;
/** What a replica costs at least: the disk has to go there. */
const REPLICA_COST_BYTES = 16 * 1_024;
/** What a look at the name of a file is taken to cost. */
const NAME_COST_BYTES = 512;
/** Between two looks at all names, at least. */
const FILES_MS_MIN = 1_000;

export interface ScrubConfig {
  /** 0 switches the scrub off. */
  readonly bytesPerSecond: number;
  /** From the beginning of a round to that of the next one, at least. */
  readonly roundMsMin: number;
}

export interface ScrubPorts {
  readonly store: Pick<DiskChunkStore, "find" | "page" | "verify" | "lookForFiles" | "status">;
  /** The disk of the store. */
  readonly disk: Disk;
  readonly crc32c: Crc32c;
  /** Requests of clients and other servers: how many ever came, and how many are served now. */
  readonly served: () => { readonly count: number; readonly inFlight: number };
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** The progress could not be written: the disk has failed. */
  readonly onFailure: (error: LumeoError) => void;
}

export interface ScrubStatus extends ScrubProgress {
  readonly bytesPerSecond: number;
  /** Slowed down for others at the last piece. */
  readonly isYielding: boolean;
}

/** See the head of this file. */
export class Scrub implements Closable {
  readonly #config: ScrubConfig;
  readonly #ports: ScrubPorts;
  readonly #file: SealedFile;
  readonly #throttle: Throttle;
  readonly #closing = new CancelSource();
  #progress: ScrubProgress;
  #savedAtMs: number;
  #filesLookedAtMs: number | undefined;
  #servedBefore = 0;
  #isYielding = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(
    config: ScrubConfig,
    ports: ScrubPorts,
    kept: { readonly file: SealedFile; readonly progress: ScrubProgress },
  ) {
    this.#config = config;
    this.#ports = ports;
    this.#file = kept.file;
    this.#progress = kept.progress;
    this.#throttle = new Throttle(ports);
    this.#savedAtMs = ports.clock.monotonicMs();
  }

  /** Goes on where the last process was. A failure of the disk rejects. */
  static async start(config: ScrubConfig, ports: ScrubPorts): Promise<Scrub> {
    const { disk, crc32c, logger } = ports;
    const form = { path: "scrub", magic: "LUMEOSCR", version: 1, bytesMax: PROGRESS_BYTES_MAX };
    const file = new SealedFile({ disk, crc32c, ...form });
    const progress = await readProgress(file, logger);
    const scrub = new Scrub(config, ports, { file, progress });
    scrub.#running = scrub.#run();
    return scrub;
  }

  status(): ScrubStatus {
    const { bytesPerSecond } = this.#config;
    return { ...this.#progress, bytesPerSecond, isYielding: this.#isYielding };
  }

  async close(): Promise<void> {
    this.#closing.abort(new LumeoError("CLOSED", "The scrub is closing"));
    await this.#running;
  }

  async #run(): Promise<void> {
    if (this.#config.bytesPerSecond === 0) return;
    const signal: Cancellation = this.#closing;
    try {
      for (;;) {
        await this.#waitForRound(signal);
        await this.#round(signal);
      }
    } catch (thrown) {
      const error = expectLumeoError(thrown);
      if (error.code === "STORE_FAILED") return; // B4: the store has told
      if (error.code !== "CLOSED") this.#ports.logger.error("scrub ended", { error });
      if (error.code === "CLOSED") await this.#save();
    }
  }

  /** Returns at once inside a round. The calendar may have been set: no wait is longer than one. */
  async #waitForRound(signal: Cancellation): Promise<void> {
    const { roundBeganAt, lastRound } = this.#progress;
    if (roundBeganAt !== undefined || lastRound === undefined) return;
    const { roundMsMin } = this.#config;
    const since = this.#ports.clock.wallMs() - lastRound.beganAt;
    const waitMs = Math.min(Math.max(0, roundMsMin - Math.max(0, since)), roundMsMin);
    await pause(this.#ports.timers, waitMs, signal);
  }

  async #round(signal: Cancellation): Promise<void> {
    const { store, clock, logger } = this.#ports;
    if (this.#progress.roundBeganAt === undefined) {
      this.#progress = began(this.#progress, clock.wallMs());
    }
    const upto = store.status().highestHandle; // B5
    for (let isOver = false; !isOver; ) {
      await this.#lookForFiles(signal);
      const { position } = this.#progress;
      const page = await store.page(position === 0 ? undefined : chunkHandle(position), PAGE);
      const old = page.filter(({ handle }) => handle <= upto);
      for (const { handle } of old) await this.#look(handle, signal);
      isOver = old.length < PAGE;
    }
    this.#progress = ended(this.#progress, clock.wallMs());
    await this.#save();
    const { roundCount, readBytes } = this.#progress;
    logger.info("scrub round complete", { index: roundCount, bytes: readBytes });
  }

  /** Whether all chunks have their files, if that was not asked lately. */
  async #lookForFiles(signal: Cancellation): Promise<void> {
    const { store, clock } = this.#ports;
    const before = this.#filesLookedAtMs;
    const periodMs = Math.max(this.#config.roundMsMin, FILES_MS_MIN);
    if (before !== undefined && clock.monotonicMs() - before < periodMs) return;
    this.#filesLookedAtMs = clock.monotonicMs();
    const upto = store.status().highestHandle; // B5
    let after: ChunkHandle | undefined;
    while ((after ?? 0) < upto) {
      const { last, lost } = await store.lookForFiles(after, PAGE);
      if (last === undefined) return;
      this.#progress = { ...this.#progress, foundCount: this.#progress.foundCount + lost };
      after = last;
      await this.#pace(PAGE * NAME_COST_BYTES, signal);
    }
  }

  async #look(handle: ChunkHandle, signal: Cancellation): Promise<void> {
    const { store, clock } = this.#ports;
    const known = store.find(handle);
    let readBytes = 0;
    let isFound = false;
    if (known !== undefined && !known.isDamaged) {
      await this.#pace(REPLICA_COST_BYTES, signal);
      await store.verify(handle, async (bytes) => {
        readBytes += bytes;
        await this.#pace(bytes, signal);
      });
      // The verdict may be about a replica that was replaced meanwhile.
      isFound = store.find(handle)?.isDamaged ?? false;
    }
    this.#progress = passed(this.#progress, { handle, readBytes, isFound });
    if (SAVE_MS <= clock.monotonicMs() - this.#savedAtMs) await this.#save();
  }

  /** B2. */
  #pace(bytes: number, signal: Cancellation): Promise<void> {
    const { count, inFlight } = this.#ports.served();
    this.#isYielding = 0 < inFlight || this.#servedBefore !== count;
    this.#servedBefore = count;
    const part = this.#isYielding ? YIELDED_PART : 1;
    return this.#throttle.take(bytes, this.#config.bytesPerSecond * part, signal);
  }

  /** B3. */
  async #save(): Promise<void> {
    this.#savedAtMs = this.#ports.clock.monotonicMs();
    try {
      await this.#file.write(encodeProgress(this.#progress));
    } catch (cause) {
      const message = `The progress of the scrub was not written: ${(cause as Error).message}`;
      const error = new LumeoError("STORE_FAILED", message, { cause });
      this.#ports.onFailure(error);
      throw error;
    }
  }
}

async function readProgress(file: SealedFile, logger: Logger): Promise<ScrubProgress> {
  try {
    const content = await file.read();
    return content === undefined ? NOTHING_SCRUBBED : decodeProgress(content);
  } catch (error) {
    if (!(error instanceof LumeoError) || error.code !== "CORRUPT") throw error;
    logger.warn("progress of the scrub damaged, beginning anew", { error });
    return NOTHING_SCRUBBED;
  }
}
