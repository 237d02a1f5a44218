// What the leader believes about the chunkservers now: who is alive, how loaded, how full, which
// copies are damaged. Nothing of it is in the log: heartbeats bring all of it again to a new
// leader.
//
// F1. Times come in as arguments and are monotonic times of this process.
// F2. A server that was not heard since this master leads is suspect, later dead: never alive.
// F3. A server that comes and goes is not back: `lostForMs` counts on until it has been heard
//     without a gap for a while, so a flapping server neither hides its loss nor has it announced
//     twice.
// F4. Every list has a limit; what does not fit is dropped, and the next first heartbeat or the
//     next reader brings it again.

import type { ChunkHandle, MonotonicMs, ServerId } from "@lumeofs/base";
import { Checks } from "./checks.js";
import { Contradictions } from "./contradictions.js";

export type Liveness = "alive" | "suspect" | "dead";

export interface FleetLimits {
  /** Silence after which a server gets no new chunks. */
  readonly suspectMs: number;
  /** Silence after which a server is given up. */
  readonly deadMs: number;
  /** A server that comes back is trusted to stay when it was heard without a gap for so long. */
  readonly steadyMs: number;
}

/** Load of a server as it last told. */
export interface ServerLoad {
  readonly chunkCount: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly isReadOnly: boolean;
  readonly writesInFlight: number;
}

/** A copy that a reader complained about. */
export interface Suspicion {
  readonly server: ServerId;
  readonly handle: ChunkHandle;
}

interface Heard {
  at: MonotonicMs;
  load: ServerLoad;
  /** The heartbeat stream is open. */
  isConnected: boolean;
  /** Since when it is heard without a gap. */
  steadySince: MonotonicMs;
  /** The last time at which it had been heard without a gap for long enough, if ever. */
  steadyAt: MonotonicMs | undefined;
  readonly damaged: Set<ChunkHandle>;
}

/** Damaged copies remembered for one server. */
export const DAMAGED_MAX = 100_000;
/** Complaints of readers that wait for their check. */
export const SUSPICIONS_MAX = 10_000;
/** Checks that wait for one server's next heartbeat. */
export const DEFERRED_MAX = 100;

export class Fleet {
  readonly #limits: FleetLimits;
  readonly #heard = new Map<ServerId, Heard>();
  readonly #suspicions = new Map<string, Suspicion>();
  /** Complaints whose server is to hear of them with its next heartbeat. */
  readonly #deferred = new Map<ServerId, Set<ChunkHandle>>();
  /** What servers say of reading their own copies again. */
  readonly checks = new Checks();
  /** Replicas that these masters cannot know of. */
  readonly contradictions = new Contradictions();
  #leadingSince: MonotonicMs;

  constructor(limits: FleetLimits, now: MonotonicMs) {
    this.#limits = limits;
    this.#leadingSince = now;
  }

  /** Begins anew: what another leader heard is unknown here, and what was heard before is old. */
  reset(now: MonotonicMs): void {
    this.#leadingSince = now;
    this.#heard.clear();
    this.#suspicions.clear();
    this.#deferred.clear();
    this.checks.reset();
    this.contradictions.reset();
  }

  /** A heartbeat. The first one of a stream names all damaged copies, later ones the news. */
  heartbeat(
    server: ServerId,
    report: {
      readonly load: ServerLoad;
      readonly damaged: readonly ChunkHandle[];
      readonly isFirst: boolean;
    },
    now: MonotonicMs,
  ): void {
    const before = this.#heard.get(server);
    const damaged =
      before === undefined || report.isFirst ? new Set<ChunkHandle>() : before.damaged;
    for (const handle of report.damaged) addLimited(damaged, handle);
    const { suspectMs, steadyMs } = this.#limits;
    const hasGap = before === undefined || !before.isConnected || suspectMs <= now - before.at;
    const steadySince = hasGap ? now : before.steadySince;
    const steadyAt = steadyMs <= now - steadySince ? now : before?.steadyAt;
    const { load } = report;
    this.#heard.set(server, { at: now, load, isConnected: true, steadySince, steadyAt, damaged });
  }

  /** Its stream has ended: it is suspect at once, not only after its silence. */
  disconnected(server: ServerId): void {
    const heard = this.#heard.get(server);
    if (heard !== undefined) heard.isConnected = false;
  }

  liveness(server: ServerId, now: MonotonicMs): Liveness {
    const heard = this.#heard.get(server);
    const silentMs = now - (heard?.at ?? this.#leadingSince);
    if (this.#limits.deadMs <= silentMs) return "dead";
    if (heard === undefined || !heard.isConnected) return "suspect";
    return silentMs < this.#limits.suspectMs ? "alive" : "suspect";
  }

  /**
   * For how long a server has not been there to stay, though it may come and go; 0 if it is there.
   * Of one that was never there to stay since this master leads: since then.
   */
  lostForMs(server: ServerId, now: MonotonicMs): number {
    const heard = this.#heard.get(server);
    const isBack = heard?.steadyAt === heard?.at && this.liveness(server, now) === "alive";
    if (heard !== undefined && isBack) return 0;
    return now - (heard?.steadyAt ?? this.#leadingSince);
  }

  /** As last told; undefined if it was not heard since this master leads. */
  loadOf(server: ServerId): ServerLoad | undefined {
    return this.#heard.get(server)?.load;
  }

  /** Milliseconds since the last heartbeat; undefined if there was none. */
  silenceOf(server: ServerId, now: MonotonicMs): number | undefined {
    const heard = this.#heard.get(server);
    return heard === undefined ? undefined : now - heard.at;
  }

  isDamaged(server: ServerId, handle: ChunkHandle): boolean {
    return this.#heard.get(server)?.damaged.has(handle) ?? false;
  }

  damagedCount(server: ServerId): number {
    return this.#heard.get(server)?.damaged.size ?? 0;
  }

  /** Copies of this server that are known to be damaged or missing. */
  damagedOf(server: ServerId): readonly ChunkHandle[] {
    return [...(this.#heard.get(server)?.damaged ?? [])];
  }

  /** This copy was replaced by a good one, or is of no use any more. */
  forgetDamage(server: ServerId, handle: ChunkHandle): void {
    this.#heard.get(server)?.damaged.delete(handle);
  }

  /** The server itself has found this copy damaged or missing, or it is of an earlier epoch. */
  markDamaged(server: ServerId, handle: ChunkHandle): void {
    const heard = this.#heard.get(server);
    if (heard !== undefined) addLimited(heard.damaged, handle);
  }

  /** A reader complains about a copy: it is to be checked, and believed only then. */
  suspect(suspicion: Suspicion): void {
    if (this.isDamaged(suspicion.server, suspicion.handle)) return;
    if (SUSPICIONS_MAX <= this.#suspicions.size) return;
    this.#suspicions.set(`${suspicion.server}/${suspicion.handle}`, suspicion);
  }

  /** Takes up to `countMax` complaints to check, oldest first. */
  takeSuspicions(countMax: number): readonly Suspicion[] {
    const taken = [...this.#suspicions].slice(0, countMax);
    for (const [key] of taken) this.#suspicions.delete(key);
    return taken.map(([, suspicion]) => suspicion);
  }

  /** The order to check this copy did not reach its server: it goes with a heartbeat's answer. */
  defer({ server, handle }: Suspicion): void {
    const handles = this.#deferred.get(server) ?? new Set();
    if (handles.size < DEFERRED_MAX) handles.add(handle);
    this.#deferred.set(server, handles);
  }

  /** The copies that this server is to check, once. */
  takeDeferred(server: ServerId): readonly ChunkHandle[] {
    const handles = this.#deferred.get(server);
    this.#deferred.delete(server);
    return handles === undefined ? [] : [...handles];
  }
}

function addLimited(set: Set<ChunkHandle>, handle: ChunkHandle): void {
  if (set.size < DAMAGED_MAX) set.add(handle);
}
