// The masters of the simulation as one process that never fails: their own group is simulated
// elsewhere. Leaders change, which costs them what they knew about leases.

import {
  activateEpoch,
  type ChunkAuthority,
  createAuthority,
  endGiven,
  type GivenLease,
  grantEpoch,
  invariant,
  isActive,
  isOver,
  isSuperfluous,
  type LeaseTerms,
  leaseOfUnknownHolder,
  NOBODYS_LEASE,
  type Random,
  renewGiven,
  type ServerId,
  sealChunk,
  serverId,
} from "@lumeofs/base";
import { type ClockError, Lifetime, SimClock, type SimNetwork, type World } from "@lumeofs/testkit";
import type { Checker } from "./checker.js";
import { MASTERS, nameOf, type Wire } from "./wire.js";

const DUTY_MS = 50;

export class SimMasters {
  authority: ChunkAuthority;
  /** Of all grants, in their order. */
  readonly primaries: ServerId[] = [serverId(1)];
  #given: GivenLease = NOBODYS_LEASE;
  #wantsGrant = false;
  #lastHeardAt: number;
  readonly #clock: SimClock;
  readonly #random: Random;
  readonly #network: SimNetwork<Wire>;
  readonly #checker: Checker;
  readonly #terms: LeaseTerms;
  /** Stores that are known, and whether they are lost. */
  readonly #stores: () => ReadonlyMap<ServerId, boolean>;

  constructor(
    world: World,
    around: {
      readonly network: SimNetwork<Wire>;
      readonly checker: Checker;
      readonly terms: LeaseTerms;
      readonly replicas: 2 | 3;
      readonly clockError: ClockError;
      readonly stores: () => ReadonlyMap<ServerId, boolean>;
    },
  ) {
    this.authority = createAuthority([1, 2, 3].slice(0, around.replicas).map(serverId));
    this.#network = around.network;
    this.#checker = around.checker;
    this.#terms = around.terms;
    this.#stores = around.stores;
    this.#random = world.random("masters");
    this.#clock = new SimClock(world, new Lifetime(world), around.clockError);
    this.#lastHeardAt = this.#clock.monotonicMs();
    this.#clock.every(DUTY_MS, () => this.#duty());
    this.#network.attach(MASTERS, (from, wire) => this.#receive(from, wire));
  }

  /** Somebody wants another primary or other members. */
  regrant(): void {
    this.#wantsGrant = true;
  }

  /** Another leader: it does not know who holds a lease, and for how long. */
  changeLeader(): void {
    this.#given = leaseOfUnknownHolder(this.#clock.monotonicMs());
  }

  #receive(from: string, wire: Wire): void {
    switch (wire.kind) {
      case "activate": {
        const answer = activateEpoch(this.authority, wire.epoch);
        if (answer.kind === "done") {
          this.#checker.activated(this.authority, wire.epoch, wire.history);
          this.authority = answer.authority;
        }
        const isDone = answer.kind === "done";
        return this.#send(from, { kind: "activated", epoch: wire.epoch, isDone });
      }
      case "recordSeal": {
        const answer = sealChunk(this.authority, wire.epoch, wire.content);
        if (answer.kind === "done") this.authority = answer.authority;
        const isDone = answer.kind === "done";
        return this.#send(from, { kind: "sealRecorded", epoch: wire.epoch, isDone });
      }
      case "renew":
        return this.#renew(from, wire);
      default:
        return;
    }
  }

  #renew(from: string, { epoch, ticket }: Extract<Wire, { kind: "renew" }>): void {
    if (epoch !== this.authority.newest.epoch || !isActive(this.authority)) return;
    const given = renewGiven(this.#given, this.#clock.monotonicMs());
    if (given === undefined) return;
    this.#given = given;
    this.#lastHeardAt = this.#clock.monotonicMs();
    this.#send(from, { kind: "renewed", epoch, ticket });
  }

  #duty(): void {
    const now = this.#clock.monotonicMs();
    if (this.#lastHeardAt + 2 * this.#terms.lengthMs < now) this.#wantsGrant = true;
    const isMissing = this.authority.newest.members.some((member) => this.#stores().get(member));
    if (isMissing && isActive(this.authority)) this.#wantsGrant = true;
    if (this.#wantsGrant) this.#given = endGiven(this.#given);
    if (this.#wantsGrant && isOver(this.#terms, this.#given, now)) this.#grant();
    const { newest, lastActive } = this.authority;
    if (!isActive(this.authority) || newest.previous === undefined) {
      this.#send(nameOf(newest.primary), { kind: "grant", grant: newest });
    }
    for (const server of this.#stores().keys()) {
      if (!isSuperfluous(this.authority, server)) continue;
      if (this.#random.fraction() < 0.9) continue;
      const message = { kind: "remove", epoch: lastActive.epoch } as const;
      this.#send(nameOf(server), { kind: "toReplica", message });
    }
  }

  #grant(): void {
    this.#wantsGrant = false;
    const members = this.#nextMembers();
    const primary = this.#oneOf(members.filter((member) => this.#stores().get(member) === false));
    const answer = grantEpoch(this.authority, { primary, members });
    if (answer.kind === "refused") return;
    this.authority = answer.authority;
    this.primaries.push(primary);
    this.#given = NOBODYS_LEASE;
    this.#lastHeardAt = this.#clock.monotonicMs();
  }

  /** Lost stores are replaced; now and then one that is not lost, too. */
  #nextMembers(): readonly ServerId[] {
    const stores = this.#stores();
    const { members } = this.authority.newest;
    const spares = [...stores].flatMap(([store, isLost]) => {
      return isLost || members.includes(store) ? [] : [store];
    });
    const leaving = this.#random.fraction() < 0.3 ? this.#oneOf(members) : undefined;
    return members.map((member) => {
      if (stores.get(member) === false && member !== leaving) return member;
      const at = Math.floor(this.#random.fraction() * spares.length);
      return spares.splice(at, 1)[0] ?? member;
    });
  }

  #oneOf<T>(values: readonly T[]): T {
    const value = values[Math.floor(this.#random.fraction() * values.length)];
    invariant(value !== undefined, "there is something to choose from");
    return value;
  }

  #send(to: string, wire: Wire): void {
    this.#network.send(MASTERS, to, wire);
  }
}
