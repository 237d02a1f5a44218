// Tells the masters, again and again, which growing chunks are here, and does what they answer:
// what nobody needs goes, what is sealed ends, and what is in doubt learns the newest grant. Damage
// is told at once, because the copy testifies again only in another epoch (rule 20).

import {
  type ChunkHandle,
  type Closable,
  type Logger,
  LumeoError,
  type Timers,
} from "@lumeofs/base";
import type { TailMasters } from "./tail-masters.js";
import type { TailPrimaries } from "./tail-primaries.js";
import type { TailStore } from "./tail-store.js";

const PAGE = 1_000;

export interface TailReportsPorts {
  readonly tails: TailStore;
  readonly primaries: TailPrimaries;
  readonly masters: TailMasters;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Between two rounds over all of them. */
  readonly pauseMs: number;
}

/** See the head of this file. */
export class TailReports implements Closable {
  readonly #ports: TailReportsPorts;
  readonly #alarm: { cancel(): void };
  readonly #damageTold = new Map<ChunkHandle, number>();
  #round: Promise<void> | undefined;
  #isClosed = false;

  constructor(ports: TailReportsPorts) {
    this.#ports = ports;
    this.#alarm = ports.timers.every(ports.pauseMs, () => this.soon());
  }

  /** Begins a round, unless one is under way. */
  soon(): void {
    if (this.#isClosed) return;
    this.#round ??= this.#report()
      .catch((error: unknown) => {
        if (!(error instanceof LumeoError)) throw error;
        this.#ports.logger.debug("tails not reported", { code: error.code, error });
      })
      .finally(() => {
        this.#round = undefined;
      });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#alarm.cancel();
    await this.#round;
  }

  async #report(): Promise<void> {
    await this.#tellDamage();
    for (let after = 0; !this.#isClosed; ) {
      const page = this.#ports.tails.page(after, PAGE);
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.handle;
      await this.#obey(await this.#ports.masters.reportTails(page));
      if (page.length < PAGE) return; // not once more for those that were opened meanwhile
    }
  }

  async #obey(answer: Awaited<ReturnType<TailMasters["reportTails"]>>): Promise<void> {
    const { tails, primaries } = this.#ports;
    for (const { handle, epoch } of answer.newest) await tails.resolve(handle, epoch);
    for (const { handle, epoch } of answer.sealed) await this.#try(() => tails.end(handle, epoch));
    for (const { handle, epoch } of answer.superfluous) {
      await this.#try(() => tails.remove(handle, epoch));
    }
    for (const handle of answer.garbage) {
      primaries.find(handle)?.end();
      await this.#try(() => tails.forget(handle));
    }
  }

  /** What cannot be done now is told again with the next round. */
  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof LumeoError) || error.code === "STORE_FAILED") throw error;
      this.#ports.logger.debug("tail not ended", { code: error.code, error });
    }
  }

  async #tellDamage(): Promise<void> {
    const { tails, masters } = this.#ports;
    const damaged = new Set(tails.damaged());
    for (const handle of this.#damageTold.keys()) {
      if (!damaged.has(handle)) this.#damageTold.delete(handle);
    }
    for (const handle of damaged) {
      const promised = tails.find(handle)?.state.promised ?? 0;
      if (promised === 0 || this.#damageTold.get(handle) === promised) continue;
      await masters.endEpoch({ handle, epoch: promised }, "a member has found damage");
      this.#damageTold.set(handle, promised);
    }
  }
}
