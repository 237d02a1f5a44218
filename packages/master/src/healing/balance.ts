// Which copies a rebalance moves: from servers that are fuller than the mean to emptier ones,
// judged by the copies that the chunk table names and the capacities that servers tell.
//
// B1. A move is chosen only if afterwards the giver is still at least as full as the taker: so each
//     move brings the two nearer to each other, and no sequence of moves goes on for ever.
// B2. A move brings no more copies of a chunk into a failure domain than the giver's would keep: so
//     copies that stand in different ones stay in different ones.

import type { ServerId } from "@lumeofs/base";
import { memberLength } from "../metadata/member-content.js";
import type { HeldChunk } from "./assess.js";
import { domainsOf, mayTakeCopy, sharersOf } from "./choose-move.js";
import type { OpenJob, Picture, Site } from "./picture.js";
import type { Round } from "./round.js";

/** Servers this near to the mean give nothing: a part of it. */
const TOLERANCE = 0.05;

export interface BalanceMove {
  readonly leaving: ServerId;
  readonly target: ServerId;
}

interface Scale {
  readonly site: Site;
  /** Bytes of copies, those that are to come included, and those that are to go not. */
  bytes: number;
  readonly capacityBytes: number;
}

export class Balance {
  readonly job: OpenJob;
  readonly #picture: Picture;
  readonly #scales: readonly Scale[];
  readonly #mean: number;

  /** @param round  A complete look at all chunks, during which none moved. */
  constructor(job: OpenJob, picture: Picture, round: Round) {
    this.job = job;
    this.#picture = picture;
    this.#scales = [...picture.sites.values()].filter(mayTakeCopy).map((site) => ({
      site,
      bytes: round.held(site.id).bytes,
      capacityBytes: Math.max(1, site.room?.capacityBytes ?? 1),
    }));
    const bytes = this.#scales.reduce((sum, scale) => sum + scale.bytes, 0);
    const capacity = this.#scales.reduce((sum, scale) => sum + scale.capacityBytes, 0);
    this.#mean = capacity === 0 ? 0 : bytes / capacity;
  }

  /**
   * A move of one of the chunk's copies, or units, that evens servers out, if there is one; it is
   * counted.
   *
   * @param avoid  Targets that have failed this chunk: whoever begins moves would not take them,
   *               and what is chosen again and again and never begun would never end.
   */
  take(chunk: HeldChunk, avoid: ReadonlySet<ServerId>): BalanceMove | undefined {
    const givers = this.#scales.filter(
      (scale) => chunk.members.includes(scale.site.id) && this.#gives(scale),
    );
    for (const giver of givers.sort((a, b) => fillOf(b) - fillOf(a) || a.site.id - b.site.id)) {
      const bytes = memberLength(chunk, giver.site.id);
      if (bytes === 0) continue; // it evens nothing out, for ever
      const taker = this.#takerFor(chunk, giver, { bytes, avoid });
      if (taker === undefined) continue;
      giver.bytes -= bytes;
      taker.bytes += bytes;
      return { leaving: giver.site.id, target: taker.site.id };
    }
    return undefined;
  }

  #gives(scale: Scale): boolean {
    return this.#mean * (1 + TOLERANCE) < fillOf(scale);
  }

  #takerFor(
    chunk: HeldChunk,
    giver: Scale,
    { bytes, avoid }: { readonly bytes: number; readonly avoid: ReadonlySet<ServerId> },
  ): Scale | undefined {
    const staying = domainsOf(this.#picture, chunk, giver.site.id);
    const kept = sharersOf(giver.site, staying);
    const able = this.#scales.filter(({ site }) => {
      const isApart = sharersOf(site, staying) <= kept;
      return isApart && !chunk.members.includes(site.id) && !avoid.has(site.id);
    });
    const [emptiest] = able.sort((a, b) => fillOf(a) - fillOf(b) || a.site.id - b.site.id);
    if (emptiest === undefined) return undefined;
    const after = {
      giver: (giver.bytes - bytes) / giver.capacityBytes,
      taker: (emptiest.bytes + bytes) / emptiest.capacityBytes,
    };
    return after.taker <= after.giver ? emptiest : undefined;
  }
}

function fillOf({ bytes, capacityBytes }: Scale): number {
  return bytes / capacityBytes;
}
