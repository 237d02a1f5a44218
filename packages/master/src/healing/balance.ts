// Which copies a rebalance moves: from servers that are fuller than the mean to emptier ones,
// judged by the copies that the chunk table names and the capacities that servers tell.
//
// B1. A move is chosen only if afterwards the giver is still at least as full as the taker: so each
//     move brings the two nearer to each other, and no sequence of moves goes on for ever.
//     Copies under way count where they are going to be.
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

/** A copy under way: the chunk table names what leaves, and not yet what comes. */
export interface OpenMove {
  readonly leaving: ServerId | undefined;
  readonly target: ServerId;
  readonly bytes: number;
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

  /**
   * @param round  A complete look at all chunks, which knows of all moves that ended since.
   * @param open   Those that have not ended.
   */
  constructor(job: OpenJob, picture: Picture, round: Round, open: readonly OpenMove[]) {
    this.job = job;
    this.#picture = picture;
    const coming = comingBytes(open);
    this.#scales = [...picture.sites.values()].filter(mayTakeCopy).map((site) => ({
      site,
      bytes: Math.max(0, round.held(site.id).bytes + (coming.get(site.id) ?? 0)),
      capacityBytes: Math.max(1, site.room?.capacityBytes ?? 1),
    }));
    const bytes = this.#scales.reduce((sum, scale) => sum + scale.bytes, 0);
    const capacity = this.#scales.reduce((sum, scale) => sum + scale.capacityBytes, 0);
    this.#mean = capacity === 0 ? 0 : bytes / capacity;
  }

  /** Bytes above what makes a server a giver, of all of them: what is to be moved at least. */
  get excessBytes(): number {
    return this.#scales.reduce((sum, { bytes, capacityBytes }) => {
      return sum + Math.max(0, bytes - this.#mean * (1 + TOLERANCE) * capacityBytes);
    }, 0);
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

/** What servers are going to hold more when all moves have ended well; less if below 0. */
function comingBytes(open: readonly OpenMove[]): ReadonlyMap<ServerId, number> {
  const coming = new Map<ServerId, number>();
  const add = (server: ServerId, bytes: number): void => {
    coming.set(server, (coming.get(server) ?? 0) + bytes);
  };
  for (const { leaving, target, bytes } of open) {
    add(target, bytes);
    if (leaving !== undefined) add(leaving, -bytes);
  }
  return coming;
}

function fillOf({ bytes, capacityBytes }: Scale): number {
  return bytes / capacityBytes;
}
