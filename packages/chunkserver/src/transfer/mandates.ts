// Whose orders to make replicas are obeyed: those of the newest leader that was heard of. An order
// names the mandate of the leader that gives it, a number that only grows from one leader to the
// next. A leader that was frozen and does not know yet that it has a successor may give an order
// that no longer fits: what it replaces may have become a member of the chunk meanwhile.
//
// M1. No order is obeyed of an older mandate than one that was obeyed here before, also after a
//     restart: a mandate is on the disks before its first order is obeyed.
// M2. What was obeyed goes on when a newer leader is heard of: its own order for the same chunk
//     comes after it.

import { ByteReader, ByteWriter, type Logger, LumeoError } from "@lumeofs/base";
import type { KeptContent } from "../store/kept-content.js";

/** How the newest mandate lies on a disk. */
export const MANDATE_FILE = {
  path: "mandate",
  magic: "LUMEOMAN",
  version: 1,
  bytesMax: 8,
} as const;

export interface MandatesPorts {
  readonly logger: Logger;
  /** It could not be written: the disk has failed. */
  readonly onFailure: (error: LumeoError) => void;
}

/** See the head of this file. */
export class Mandates {
  readonly #kept: KeptContent;
  readonly #ports: MandatesPorts;
  #newest: number;
  /** One write after the other; each has what was the newest when it began. */
  #written: Promise<void> = Promise.resolve();

  private constructor(kept: KeptContent, ports: MandatesPorts, newest: number) {
    this.#kept = kept;
    this.#ports = ports;
    this.#newest = newest;
  }

  /** @throws LumeoError CORRUPT if what is kept is damaged: M1 would be lost with it. */
  static async read(kept: KeptContent, ports: MandatesPorts): Promise<Mandates> {
    const numbers = (await kept.read()).map((content) => new ByteReader(content).u53());
    return new Mandates(kept, ports, Math.max(0, ...numbers));
  }

  /** The newest that was heard of; 0 before the first. */
  get newest(): number {
    return this.#newest;
  }

  /**
   * Resolves when an order of this mandate may be obeyed. Each order asks, when its chunk's turn
   * has come.
   *
   * @throws LumeoError NOT_LEADER if a newer mandate is known; STORE_FAILED.
   */
  async obey(mandate: number): Promise<void> {
    if (this.#newest < mandate) {
      this.#newest = mandate;
      this.#written = this.#written.then(() => this.#write(mandate));
    }
    await this.#written;
    if (mandate === this.#newest) return;
    throw new LumeoError(
      "NOT_LEADER",
      `Cannot obey the order: it has mandate ${mandate}, and a later leader with mandate ` +
        `${this.#newest} has given orders; ask the masters who leads`,
    );
  }

  async #write(mandate: number): Promise<void> {
    try {
      await this.#kept.write(new ByteWriter(8).u53(mandate).finish());
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `Mandate ${mandate} was not written: ${why}`;
      const error = new LumeoError("STORE_FAILED", message, { cause });
      this.#ports.onFailure(error);
      throw error;
    }
    this.#ports.logger.info("a new leader gives orders", { index: mandate });
  }
}
