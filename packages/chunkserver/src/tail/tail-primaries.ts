// All growing chunks of which this server is the primary: it begins their epochs, keeps their time,
// and holds their leases.
//
// T1. Calls about leases are made one after the other: a renewal that is answered behind a release
//     could bring back what was given up.
// T2. A lease is asked for while somebody reads, and given back when nobody has for a while: so an
//     epoch of a chunk that is only appended to can be followed by another at once.

import {
  type ChunkHandle,
  type Clock,
  type Closable,
  type Epoch,
  type Instant,
  LEASE_TERMS,
  type LeaseTerms,
  type Logger,
  LumeoError,
  type Timers,
} from "@lumeofs/base";
import type { EpochOrder } from "./epoch-order.js";
import type { MemberLink } from "./member-link.js";
import type { TailMasters } from "./tail-masters.js";
import { TailPrimary, type TailPrimaryPorts } from "./tail-primary.js";
import type { TailStore } from "./tail-store.js";

const TICK_MS = 100;
const LEASE_ROUND_MS = 1_000;
/** Nobody has read for so long: the lease is given back. */
const UNREAD_MS = 5_000;
/** Primaries of one call to the masters. */
const LEASES_PER_CALL = 1_000;
/** Growing chunks with their primary here; the headers of all their records are in memory. */
const PRIMARIES_MAX = 2_048;
/**
 * With more records in memory, which is some 60 MiB, the longest chunk with its primary here is
 * sealed. All members of a chunk hold its records, and one of them is its primary.
 */
const RECORDS_HELD_MAX = 100_000;

export interface TailPrimariesPorts {
  readonly tails: TailStore;
  readonly link: MemberLink;
  readonly masters: TailMasters;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly idleSealMs: number;
  readonly terms?: LeaseTerms;
}

/** See the head of this file. */
export class TailPrimaries implements Closable {
  readonly #ports: TailPrimariesPorts;
  readonly #primaries = new Map<ChunkHandle, TailPrimary>();
  readonly #readAt = new Map<TailPrimary, number>();
  readonly #alarms: readonly { cancel(): void }[];
  /** T1. */
  #leasing: Promise<void> = Promise.resolve();
  #isRoundWaiting = false;
  #isClosed = false;

  constructor(ports: TailPrimariesPorts) {
    this.#ports = ports;
    const { timers } = ports;
    this.#alarms = [
      timers.every(TICK_MS, () => this.#tick()),
      timers.every(LEASE_ROUND_MS, () => void this.#leaseRound()),
    ];
  }

  /** The primary of a chunk, if it is here. */
  find(handle: ChunkHandle): TailPrimary | undefined {
    return this.#primaries.get(handle);
  }

  /**
   * Begins an epoch, as the masters order. The same order again changes nothing.
   *
   * @throws LumeoError OVERLOADED
   */
  begin(order: EpochOrder): "begun" | "ended" {
    const { handle, grant } = order;
    const running = this.#primaries.get(handle);
    const current = running?.order.grant.epoch;
    if (current === grant.epoch) running?.renew(order);
    if (current === grant.epoch) return "begun";
    if (current !== undefined && grant.epoch < current) return "ended";
    const { tails } = this.#ports;
    if (tails.isSealed(handle) && tails.find(handle) === undefined) return "begun";
    // Rule 12: what this server has promised, it has begun before, or another server has.
    const promised = tails.find(handle)?.state.promised ?? 0;
    if (running === undefined && grant.epoch <= promised) return "ended";
    running?.abandon();
    if (PRIMARIES_MAX <= this.#primaries.size) {
      const why = `${this.#primaries.size} others have their primary here`;
      throw new LumeoError("OVERLOADED", `Cannot begin an epoch of chunk ${handle}: ${why}`);
    }
    const primary = TailPrimary.begin(order, this.#primaryPorts());
    this.#primaries.set(handle, primary);
    return "begun";
  }

  /** Seals a chunk; resolves to whether the masters have recorded it. */
  async seal(handle: ChunkHandle, epoch: Epoch): Promise<boolean> {
    const primary = this.#primaries.get(handle);
    if (primary?.order.grant.epoch === epoch) return primary.seal();
    const { tails } = this.#ports;
    return primary === undefined && tails.find(handle) === undefined && tails.isSealed(handle);
  }

  /** Whether the primary holds its lease, or gets it now: somebody wants to read. */
  async lease(primary: TailPrimary): Promise<boolean> {
    this.#readAt.set(primary, this.#now().monotonicMs);
    if (!primary.isLeased) await this.#leaseRound();
    return primary.isLeased;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const alarm of this.#alarms) alarm.cancel();
    for (const primary of [...this.#primaries.values()]) primary.abandon();
    await this.#leasing;
  }

  #primaryPorts(): TailPrimaryPorts {
    const { tails, link, masters, logger, idleSealMs, terms = LEASE_TERMS } = this.#ports;
    return {
      ...{ tails, link, masters, logger, idleSealMs, terms },
      now: () => this.#now(),
      over: (primary) => this.#over(primary),
    };
  }

  #over(primary: TailPrimary): void {
    this.#readAt.delete(primary);
    if (this.#primaries.get(primary.handle) === primary) this.#primaries.delete(primary.handle);
    if (primary.lease === undefined || this.#isClosed) return;
    primary.dropLease();
    void this.#oneByOne(() => this.#release([primary]));
  }

  #tick(): void {
    for (const primary of [...this.#primaries.values()]) primary.tick();
  }

  /** Those that wait share one round behind the one that is under way. */
  #leaseRound(): Promise<void> {
    if (!this.#isRoundWaiting && !this.#isClosed) {
      this.#isRoundWaiting = true;
      return this.#oneByOne(async () => {
        this.#isRoundWaiting = false;
        await this.#renewAll();
      });
    }
    return this.#leasing;
  }

  /** Seals the longest chunk if too many records are in memory. */
  #relieve(): void {
    if (this.#ports.tails.recordCount <= RECORDS_HELD_MAX) return;
    let longest: TailPrimary | undefined;
    for (const primary of this.#primaries.values()) {
      if ((longest?.growingRecords ?? 0) < primary.growingRecords) longest = primary;
    }
    if (longest !== undefined) void longest.seal();
  }

  async #renewAll(): Promise<void> {
    this.#relieve();
    const now = this.#now().monotonicMs;
    const unread: TailPrimary[] = [];
    for (const primary of this.#primaries.values()) {
      if (primary.lease === undefined || this.#wantsLease(primary, now)) continue;
      primary.dropLease();
      unread.push(primary);
    }
    if (0 < unread.length) await this.#release(unread);
    const active = [...this.#primaries.values()].filter((one) => one.committedBytes !== undefined);
    for (let at = 0; at < active.length; at += LEASES_PER_CALL) {
      await this.#renew(active.slice(at, at + LEASES_PER_CALL), now);
    }
  }

  async #renew(primaries: readonly TailPrimary[], now: number): Promise<void> {
    const askedAt = this.#now();
    const answers = await this.#ports.masters.renewLeases(
      primaries.map((primary) => ({
        ...epochOf(primary),
        committedBytes: primary.committedBytes ?? 0,
        wantsLease: this.#wantsLease(primary, now),
      })),
    );
    for (const [i, answer] of answers.entries()) {
      if (answer.isGranted) primaries[i]?.renewed(askedAt);
      if (answer.outcome === "over") primaries[i]?.end();
    }
  }

  #wantsLease(primary: TailPrimary, now: number): boolean {
    return now - (this.#readAt.get(primary) ?? -Infinity) <= UNREAD_MS;
  }

  #release(primaries: readonly TailPrimary[]): Promise<void> {
    return this.#ports.masters.releaseLeases(primaries.map(epochOf));
  }

  /** T1. A call that fails is made again with the next round. */
  #oneByOne(work: () => Promise<void>): Promise<void> {
    this.#leasing = this.#leasing.then(work).catch((error: unknown) => {
      if (!(error instanceof LumeoError)) throw error;
      this.#ports.logger.debug("leases not renewed", { code: error.code, error });
    });
    return this.#leasing;
  }

  #now(): Instant {
    const { clock } = this.#ports;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  }
}

function epochOf({ handle, order }: TailPrimary) {
  return { handle, epoch: order.grant.epoch };
}
