// After the loss of a disk: finds out, with the masters, which chunks were on it.
//
// The masters say which chunks this server should have, page by page; those that no disk has are
// lost, and told as damaged. Round follows round until nothing is missing and nothing can turn up
// any more: what a writer wrote before the loss may be committed as long as its grant lives. The
// roster says that this is not over, so a restart goes on with it. What a disk brings back that was
// away, and another one has by now, is removed; before that is done, nothing is over.
//
// N1. An answer speaks of a loss only if it was asked for afterwards.

import {
  CancelSource,
  type Clock,
  type Closable,
  expectLumeoError,
  LumeoError,
} from "@lumeofs/base";
import { pause } from "../transfer/throttle.js";
import {
  type AssignedPage,
  type AssignedPorts,
  compareWithDisks,
  LOST_MAX,
} from "./assigned-chunks.js";

/** Between two pages: the leader has other work. */
const PAGE_PAUSE_MS = 20;
/** Before the leader is asked again that did not answer. */
const RETRY_MS = 1_000;
/** From the end of the first, second, … round to the next one: most turns up soon. */
const ROUND_PAUSES_MS = [2_000, 5_000, 10_000, 20_000, 60_000, 600_000] as const;
/** While not all that is lost can be told. */
const FULL_PAUSE_MS = 10_000;

export interface LossSearchPorts extends AssignedPorts {
  readonly clock: Clock;
}

/** See the head of this file. */
export class LossSearch implements Closable {
  readonly #ports: LossSearchPorts;
  readonly #closing = new CancelSource();
  /** Ends a pause; made anew by each loss. */
  #waiting = new CancelSource();
  #losses = 0;
  #rounds = 0;
  #running: Promise<void> | undefined;
  /** A disk may have brought back what another one has by now. */
  #mayHaveShadows: boolean;
  #shadows: Promise<void>;

  constructor(ports: LossSearchPorts) {
    this.#ports = ports;
    ports.disks.onLoss(() => this.#begin());
    this.#mayHaveShadows = ports.disks.isBack || 0 < ports.disks.roster.lossAtMs;
    this.#shadows = this.#mayHaveShadows ? this.#removeShadows() : Promise.resolve();
    if (0 < ports.disks.roster.lossAtMs) this.#begin();
  }

  async close(): Promise<void> {
    this.#closing.abort(new LumeoError("CLOSED", "The search for lost chunks is closing"));
    this.#wake();
    await this.#running;
    await this.#shadows;
  }

  /** What was made again while its disk was away is there twice. */
  async #removeShadows(): Promise<void> {
    const { chunks, timers, logger } = this.#ports;
    try {
      const count = await chunks.removeShadows(() => pause(timers, PAGE_PAUSE_MS, this.#closing));
      this.#mayHaveShadows = false;
      logger.info("second copies removed", { count });
    } catch (thrown) {
      const error = expectLumeoError(thrown);
      logger.debug("second copies not removed", { code: error.code, error });
    }
  }

  #begin(): void {
    if (this.#closing.aborted) return;
    this.#losses++;
    this.#rounds = 0;
    this.#wake();
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Another loss may have come when the last round was over already.
      if (!this.#closing.aborted && 0 < this.#ports.disks.roster.lossAtMs) this.#begin();
    });
  }

  #wake(): void {
    this.#waiting.abort(undefined);
    this.#waiting = new CancelSource();
  }

  async #run(): Promise<void> {
    const { disks, logger } = this.#ports;
    while (!this.#closing.aborted && 0 < disks.roster.lossAtMs) {
      const waiting = this.#waiting;
      try {
        if (await this.#round()) return;
        await this.#pause(this.#pauseMs(), waiting);
      } catch (thrown) {
        const error = expectLumeoError(thrown);
        logger.debug("assigned chunks not learned", { code: error.code, error });
        await this.#pause(RETRY_MS, waiting);
      }
    }
  }

  #pauseMs(): number {
    // What did not fit is found when some of the others have been made again.
    if (LOST_MAX <= this.#ports.chunks.lostCount) return FULL_PAUSE_MS;
    const last = ROUND_PAUSES_MS.length - 1;
    return ROUND_PAUSES_MS[Math.min(this.#rounds++, last)] ?? RETRY_MS;
  }

  /** @returns Whether nothing is lost, and nothing can turn up any more. */
  async #round(): Promise<boolean> {
    const { disks, clock, timers, logger } = this.#ports;
    const beganAt = clock.wallMs();
    const losses = this.#losses;
    let missing = 0;
    let grantMs = 0;
    for (let after = 0; !this.#closing.aborted; ) {
      const page = await this.#page(after);
      missing += compareWithDisks(this.#ports, after, page).missing;
      ({ grantMs } = page);
      if (page.isLast) break;
      after = page.upto;
      await pause(timers, PAGE_PAUSE_MS);
    }
    if (0 < missing) logger.warn("chunks lost with their disk", { count: missing });
    await this.#shadows;
    if (this.#mayHaveShadows && !this.#closing.aborted) this.#shadows = this.#removeShadows();
    const { lossAtMs } = disks.roster;
    const isOver = missing === 0 && lossAtMs + grantMs <= beganAt && losses === this.#losses;
    if (!isOver || this.#mayHaveShadows || this.#closing.aborted) return false;
    await disks.update(() => ({ lossAtMs: 0 }));
    logger.info("nothing is missing any more", {});
    return true;
  }

  async #page(after: number): Promise<AssignedPage> {
    const { disks, masters } = this.#ports;
    const losses = this.#losses;
    const page = await masters.listAssigned(after);
    // N1.
    if (disks.roster.tailFloor === "unknown" && losses === this.#losses) {
      await disks.update(() => ({ tailFloor: page.grantedUpto }));
    }
    return page;
  }

  async #pause(ms: number, waiting: CancelSource): Promise<void> {
    await pause(this.#ports.timers, ms, waiting).catch((reason: unknown) => {
      if (reason !== undefined) throw reason;
    });
  }
}
