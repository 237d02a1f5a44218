// Looks after tails while this master leads: each has a primary that knows of its epoch; a primary
// that fails is followed by another one; a tail whose members are leaving is sealed. What it knows
// beyond the state is in memory, and a new leader begins by telling all primaries of their epochs.
//
// K1. One piece of work at a time for each tail.
// K2. Another epoch is granted only when the lease of the last primary is over (rule 15). Writes do
//     not need that; reads do.
// K3. Nobody is taken at their word that a primary has failed: the primary is asked first.
// K4. No primary is waited for that stands still: while it seals, which may take long, it is asked
//     again and again whether it is there. Appenders wait meanwhile.
// K5. Whoever waits for the care of a tail waits for a bounded time: while appenders go on asking
//     about a tail that cannot be sealed, that care has no end.

import {
  asLumeoError,
  type ChunkHandle,
  type Clock,
  type Epoch,
  InvariantViolation,
  isActive,
  type Logger,
  LumeoError,
  type MonotonicMs,
  type ServerId,
  type Timers,
} from "@lumeofs/base";
import type { TokenMint } from "../../access/token-mint.js";
import type { Fleet } from "../../fleet/servers.js";
import { getCount } from "../../metadata/counters.js";
import { nodeOf } from "../../metadata/nodes.js";
import { getServer, type Server } from "../../metadata/servers.js";
import type { StateReader } from "../../metadata/state.js";
import { getTail, type NumberedTail, type Tail, tailsPage } from "../../metadata/tail-table.js";
import type { LeaseBook } from "../../tails/lease-book.js";
import {
  isGone,
  lackingMembers,
  type MemberStanding,
  nextEpoch,
  type Obstacle,
  obstacleOf,
  planSalvage,
  reasonToSeal,
  type Salvage,
  salvagedMembers,
  votersAfter,
} from "../../tails/next-epoch.js";
import type { MetadataLog } from "../metadata-log.js";
import type { Holder } from "../orders.js";
import type { EpochOrder, TailOrders } from "./tail-orders.js";
import { watchOrder } from "./watched-order.js";

/** Orders that are begun at once. */
const AT_ONCE_MAX = 64;
const PAGE = 512;
/** What takes longer goes on behind, while others are looked after. */
const LOOK_AFTER_MS = 2_000;
/** Pause between two looks at a tail that is waited for. */
const POLL_MS = 50;
/** A primary that seals is asked so often whether it is there. (K4) */
const SEAL_LOOK_MS = 1_000;
/** A primary that did not answer for one tail is not asked for the others for so long. */
const DEAF_MS = 1_000;

export interface TailKeeperParts {
  readonly log: MetadataLog;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly fleet: Fleet;
  readonly orders: TailOrders;
  readonly leases: LeaseBook;
  readonly mint: TokenMint;
  /** Servers that can take a copy, at most so many, the best first. */
  readonly spares: (count: number, taken: readonly ServerId[]) => Promise<readonly ServerId[]>;
  /** A primary gets a fresh token so often: the order is repeated. */
  readonly repeatMs: number;
  readonly logger: Logger;
}

/** What is known of one tail beyond the state. */
interface Care {
  /** The primary of this epoch said that it has begun. */
  begun: { readonly epoch: Epoch; readonly at: MonotonicMs } | undefined;
  /** Somebody said that this epoch is over, or that its primary is hard to reach. */
  complaint: { readonly epoch: Epoch; readonly isOver: boolean; readonly why: string } | undefined;
  /** Why it is to be sealed, if somebody wants that. */
  sealFor: string | undefined;
  /** Work under way; then once more, because something new was heard meanwhile. */
  running: Promise<void> | undefined;
  isStale: boolean;
}

export class TailKeeper {
  readonly #parts: TailKeeperParts;
  readonly #cares = new Map<ChunkHandle, Care>();
  /** When servers did not answer in time. */
  readonly #deafAt = new Map<ServerId, MonotonicMs>();
  #term = -1;

  constructor(parts: TailKeeperParts) {
    this.#parts = parts;
  }

  /** One look at all tails. */
  async work(): Promise<"done"> {
    this.#beginTerm();
    const { log } = this.#parts;
    const state = await log.read();
    for (let after = 0; ; ) {
      const page = await tailsPage(state, after, PAGE);
      const needy = page.filter(({ handle, tail }) => {
        return this.#careOf(handle).running === undefined && this.#needs(state, handle, tail);
      });
      for (let i = 0; i < needy.length; i += AT_ONCE_MAX) {
        const some = needy.slice(i, i + AT_ONCE_MAX).map(({ handle }) => this.attend(handle));
        await this.#atMost(LOOK_AFTER_MS, Promise.all(some)); // (K5)
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      after = last.handle;
    }
    for (const [handle, { running }] of this.#cares) {
      if (running === undefined && getTail(state, handle) === undefined) this.#forget(handle);
    }
    return "done";
  }

  /** Does what a tail needs now. Never throws what is only a failure of somebody else. */
  attend(handle: ChunkHandle): Promise<void> {
    this.#beginTerm();
    const care = this.#careOf(handle);
    if (care.running !== undefined) {
      care.isStale = true;
      return care.running;
    }
    care.running = this.#run(handle, care).finally(() => {
      care.running = undefined;
    });
    return care.running;
  }

  /** A client or a chunkserver says that an epoch is over, or its primary hard to reach. */
  complain(handle: ChunkHandle, complaint: NonNullable<Care["complaint"]>): Promise<void> {
    this.#beginTerm();
    const care = this.#careOf(handle);
    if (care.complaint?.isOver !== true || care.complaint.epoch < complaint.epoch) {
      care.complaint = complaint;
    }
    return this.attend(handle);
  }

  /** Leases as of this term of office. */
  get leases(): LeaseBook {
    this.#beginTerm();
    return this.#parts.leases;
  }

  /** A tail is to be sealed, whoever has to do that. */
  wantSeal(handle: ChunkHandle, why: string): Promise<void> {
    this.#beginTerm();
    this.#careOf(handle).sealFor = why;
    return this.attend(handle);
  }

  /** Has a tail sealed; whether that was done within the time. */
  async seal(handle: ChunkHandle, why: string, withinMs: number): Promise<boolean> {
    const { clock, timers, log } = this.#parts;
    const deadline = clock.monotonicMs() + withinMs;
    for (;;) {
      if (getTail(await log.read(), handle) === undefined) return true;
      const leftMs = deadline - clock.monotonicMs();
      if (leftMs <= 0) return false;
      const pause = new Promise<void>((resolve) => void timers.after(POLL_MS, resolve));
      await this.#atMost(leftMs, Promise.all([this.wantSeal(handle, why), pause])); // (K5)
    }
  }

  /** What keeps a tail from going on, as far as is known. */
  obstacle(state: StateReader, { authority }: Tail): Obstacle | undefined {
    return obstacleOf(authority, (server) => this.#standing(state, server));
  }

  /**
   * Decides that what the servers have that are there is all there ever was of a tail, and has it
   * sealed. What only lost servers may have had is given up: only for operators, and only where
   * those that must answer are lost for good.
   *
   * @param isSure  Else it is only looked at.
   * @throws LumeoError NOT_FOUND, INVALID_ARGUMENT (nothing is lost for good), UNAVAILABLE.
   */
  async salvage(handle: ChunkHandle, isSure: boolean): Promise<Salvage> {
    const state = await this.#parts.log.read();
    const tail = getTail(state, handle);
    if (tail === undefined) {
      const why = "no records are appended to it";
      throw new LumeoError("NOT_FOUND", `Cannot salvage chunk ${handle}: ${why}`);
    }
    const { authority } = tail;
    const standing = (server: ServerId) => this.#standing(state, server);
    const salvage = planSalvage(handle, authority, standing);
    if (!isSure) return salvage;
    const survivors = votersAfter(salvage);
    const lastActive = { ...authority.lastActive, members: survivors };
    const lacking = lackingMembers(authority, standing).length;
    const spares = await this.#parts.spares(lacking, authority.newest.members);
    const next = nextEpoch({ ...authority, lastActive }, standing, spares);
    if (next.kind === "wait" && 0 < survivors.length) {
      throw new LumeoError("UNAVAILABLE", `Cannot salvage chunk ${handle}: ${next.why}`);
    }
    const members = next.kind === "wait" ? [] : salvagedMembers(next, salvage);
    const expectedNewest = authority.newest.epoch;
    const { log, leases, logger } = this.#parts;
    const command = { kind: "salvageTail", handle, expectedNewest, survivors, members } as const;
    const reply = await log.change(command);
    if (reply.kind === "refused") throw new LumeoError(reply.code, reply.message);
    leases.begin(handle);
    logger.warn("tail salvaged: what lost servers had is given up", { chunk: handle });
    await this.wantSeal(handle, "it was salvaged");
    return salvage;
  }

  /** Has all tails sealed that can be within the time, on the leader; elsewhere nothing. */
  async sealAll(why: string, withinMs: number): Promise<void> {
    const { log } = this.#parts;
    if (!log.isLeading || getCount(log.local, "tails") === 0) return;
    const state = await log.read();
    for (let after = 0; ; ) {
      const page = await tailsPage(state, after, PAGE);
      await Promise.all(page.map(({ handle }) => this.seal(handle, why, withinMs)));
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.handle;
    }
  }

  /** Waits for work that goes on behind if it takes longer. */
  async #atMost(ms: number, work: Promise<unknown>): Promise<void> {
    let stop = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      const alarm = this.#parts.timers.after(ms, resolve);
      stop = () => alarm.cancel();
    });
    await Promise.race([work, over]).finally(stop);
  }

  async #run(handle: ChunkHandle, care: Care): Promise<void> {
    do {
      care.isStale = false;
      try {
        await this.#care(handle, care);
      } catch (error) {
        if (error instanceof InvariantViolation) throw error;
        const { code } = asLumeoError(error);
        this.#parts.logger.debug("care of a tail failed", { chunk: handle, code, error });
      }
    } while (care.isStale);
  }

  async #care(handle: ChunkHandle, care: Care): Promise<void> {
    const state = await this.#parts.log.read();
    const tail = getTail(state, handle);
    if (tail === undefined) return;
    const { newest } = tail.authority;
    const isComplained = care.complaint?.epoch === newest.epoch;
    const standing = (server: ServerId) => this.#standing(state, server);
    const isOver =
      (isComplained && care.complaint?.isOver === true) ||
      isGone(standing(newest.primary)) ||
      0 < lackingMembers(tail.authority, standing).length;
    if (isOver || !(await this.#ensureBegun(state, handle, tail))) {
      return this.#replace(state, handle, tail);
    }
    await this.#sealIfWanted(state, handle, tail);
  }

  /** Whether the primary knows of its epoch; asks it if that is in doubt. (K3) */
  async #ensureBegun(state: StateReader, handle: ChunkHandle, tail: Tail): Promise<boolean> {
    const care = this.#careOf(handle);
    const { newest } = tail.authority;
    if (!this.#isDoubtful(state, care, tail)) return true;
    const { clock, leases } = this.#parts;
    const at = clock.monotonicMs();
    if (at < (this.#deafAt.get(newest.primary) ?? -Infinity) + DEAF_MS) return false;
    if ((await this.#askPrimary(state, handle, tail)) !== "begun") return false;
    care.begun = { epoch: newest.epoch, at };
    leases.keep(handle);
    if (care.complaint?.epoch === newest.epoch) care.complaint = undefined;
    return true;
  }

  /** Says the order for its epoch to a primary, perhaps not for the first time. */
  async #askPrimary(
    state: StateReader,
    handle: ChunkHandle,
    tail: Tail,
  ): Promise<"begun" | "ended" | LumeoError> {
    const { clock, orders, logger } = this.#parts;
    const { epoch, primary: server } = tail.authority.newest;
    try {
      const primary = getServer(state, server);
      if (primary === undefined) return "ended";
      return await orders.beginEpoch(primary, this.#orderOf(state, handle, tail));
    } catch (thrown) {
      if (thrown instanceof InvariantViolation) throw thrown;
      const error = asLumeoError(thrown);
      const { code } = error;
      if (code === "TIMEOUT") this.#deafAt.set(server, clock.monotonicMs());
      logger.info("primary of a tail does not answer", { chunk: handle, epoch, server, code });
      return error;
    }
  }

  async #replace(state: StateReader, handle: ChunkHandle, tail: Tail): Promise<void> {
    const { leases, log, logger } = this.#parts;
    const care = this.#careOf(handle);
    const { newest } = tail.authority;
    if (!(await this.#endLease(handle))) return;
    const standing = (server: ServerId) => this.#standing(state, server);
    const lacking = lackingMembers(tail.authority, standing).length;
    const spares = lacking === 0 ? [] : await this.#parts.spares(lacking, newest.members);
    const next = nextEpoch(tail.authority, standing, spares);
    if (next.kind === "wait") {
      logger.debug(`tail waits: ${next.why}`, { chunk: handle, epoch: newest.epoch });
      return;
    }
    const { primary, members } = next;
    const grant = { kind: "grantTailEpoch", handle, expectedNewest: newest.epoch } as const;
    const reply = await log.change({ ...grant, primary, members });
    if (reply.kind === "refused") return;
    leases.begin(handle);
    const why = care.complaint?.why ?? "its primary is gone";
    const told = { chunk: handle, epoch: newest.epoch + 1, server: primary };
    logger.info(`tail has another epoch: ${why}`, told);
    care.complaint = undefined;
    care.isStale = true;
  }

  /** Waits until nobody reads under the last epoch (K2); false if this leader's term ends first. */
  async #endLease(handle: ChunkHandle): Promise<boolean> {
    const { leases, clock, timers, log } = this.#parts;
    const { term } = log;
    leases.end(handle);
    const leftMs = leases.leftMs(handle, clock.monotonicMs());
    if (0 < leftMs) {
      await new Promise<void>((resolve) => void timers.after(leftMs, resolve));
    }
    return log.term === term && leases.isOver(handle, clock.monotonicMs());
  }

  async #sealIfWanted(state: StateReader, handle: ChunkHandle, tail: Tail): Promise<void> {
    const care = this.#careOf(handle);
    const { newest } = tail.authority;
    const why = care.sealFor ?? reasonToSeal(tail.authority, (id) => this.#standing(state, id));
    const primary = getServer(state, newest.primary);
    if (why === undefined || primary === undefined || !isActive(tail.authority)) return;
    const { orders, logger } = this.#parts;
    const { epoch } = newest;
    try {
      const sealed = await watchOrder(this.#parts.timers, {
        order: (signal) => orders.sealTail(primary, { handle, epoch }, signal),
        look: async () => {
          const answer = await this.#askPrimary(state, handle, tail);
          return answer instanceof LumeoError ? answer : undefined;
        },
        everyMs: SEAL_LOOK_MS,
      });
      if (sealed.kind === "silent") {
        care.complaint = { epoch, isOver: false, why: "it was to seal, and stands still" };
        care.isStale = true; // another one at once
      } else if (!sealed.value) {
        care.complaint = { epoch, isOver: true, why: "it refused to seal" };
      } else logger.debug(`tail sealed: ${why}`, { chunk: handle, epoch });
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      const { code } = asLumeoError(error);
      care.complaint = { epoch, isOver: false, why: `it was to seal: ${code}` };
    }
  }

  #needs(state: StateReader, handle: ChunkHandle, tail: Tail): boolean {
    const care = this.#careOf(handle);
    if (care.sealFor !== undefined || care.complaint !== undefined) return true;
    if (this.#isDoubtful(state, care, tail)) return true;
    return reasonToSeal(tail.authority, (id) => this.#standing(state, id)) !== undefined;
  }

  #isDoubtful(state: StateReader, care: Care, { authority }: Tail): boolean {
    const { newest } = authority;
    const { begun, complaint } = care;
    if (begun?.epoch !== newest.epoch || complaint?.epoch === newest.epoch) return true;
    const { clock, repeatMs } = this.#parts;
    if (repeatMs <= clock.monotonicMs() - begun.at) return true;
    return this.#standing(state, newest.primary) !== "good";
  }

  #orderOf(state: StateReader, handle: ChunkHandle, { authority }: Tail): EpochOrder {
    const { epoch, primary, members, previous } = authority.newest;
    const others = members.filter((member) => member !== primary);
    return {
      handle,
      epoch,
      members: holders(state, [primary, ...others]),
      previous:
        previous === undefined
          ? undefined
          : { epoch: previous.epoch, members: holders(state, previous.members) },
      token: this.#parts.mint.forChunk(state, ["lead"], { handle, epoch }),
    };
  }

  #standing(state: StateReader, id: ServerId): MemberStanding {
    const { fleet, clock } = this.#parts;
    const server = getServer(state, id);
    if (server === undefined || server.isRetired) return "lost";
    const liveness = fleet.liveness(id, clock.monotonicMs());
    if (liveness !== "alive") return liveness === "dead" ? "dead" : "silent";
    const { standing } = nodeOf(state, server.name);
    return standing === "draining" || standing === "decommissioned" ? "draining" : "good";
  }

  #careOf(handle: ChunkHandle): Care {
    const known = this.#cares.get(handle);
    if (known !== undefined) return known;
    const fresh: Care = {
      begun: undefined,
      complaint: undefined,
      sealFor: undefined,
      running: undefined,
      isStale: false,
    };
    this.#cares.set(handle, fresh);
    return fresh;
  }

  #forget(handle: ChunkHandle): void {
    this.#cares.delete(handle);
    this.#parts.leases.forget(handle);
  }

  /** What was known as an earlier leader is worth nothing. */
  #beginTerm(): void {
    const { log, leases, clock } = this.#parts;
    if (log.term === this.#term) return;
    this.#term = log.term;
    this.#cares.clear();
    this.#deafAt.clear();
    leases.reset(clock.monotonicMs());
  }
}

function holders(state: StateReader, ids: readonly ServerId[]): readonly Holder[] {
  return ids.flatMap((id) => {
    const server: Server | undefined = getServer(state, id);
    return server === undefined ? [] : [{ id, server }];
  });
}

/**
 * What keeps a tail from going on, for people, with the way out; undefined if nothing does.
 *
 * @param what  What cannot be done.
 */
export function stuckError(
  what: string,
  keeper: TailKeeper,
  state: StateReader,
  { handle, tail }: NumberedTail,
): LumeoError | undefined {
  const obstacle = keeper.obstacle(state, tail);
  if (obstacle === undefined) return undefined;
  const { missing, of, needed, isLasting, isForGood } = obstacle;
  const names = missing.map((id) => getServer(state, id)?.name ?? `server ${id}`).join(" and ");
  const they = `${needed} of the ${of} servers that have chunk ${handle}`;
  const are = `${they} must answer, ${names} do not`;
  const last = `if their disks are lost for good, lumeo chunk salvage ${handle} keeps the rest`;
  const wayOut = isForGood ? last : `start them${isLasting ? `; ${last}` : ""}`;
  return new LumeoError(isForGood ? "DATA_LOSS" : "UNAVAILABLE", `${what}: ${are}; ${wayOut}`);
}
