// A simulated chunkserver with one chunk: a disk that takes its time, the replica, and the primary
// of an epoch while it has one.

import {
  type ChunkAuthority,
  type Clock,
  type EpochGrant,
  type HeldLease,
  type Instant,
  type LeaseTerms,
  type Random,
  renewHeld,
  type ServerId,
  serverId,
} from "@lumeofs/base";
import { type ClockError, Lifetime, SimClock, type SimNetwork, type World } from "@lumeofs/testkit";
import type { ReplicaMessage, ReplicaReply } from "../../../src/replication/message.js";
import type {
  PrimaryInput,
  PrimaryOutput,
  PrimaryState,
  PrimaryStep,
} from "../../../src/replication/primary-state.js";
import { beginRead, mayEndRead } from "../../../src/replication/reads.js";
import type { ReplicaState } from "../../../src/replication/replica.js";
import type { Parts } from "../parts.js";
import type { Checker } from "./checker.js";
import { MASTERS, nameOf, serverOf, type Wire } from "./wire.js";

/** What all servers of a run share. */
export interface Surroundings {
  readonly world: World;
  readonly network: SimNetwork<Wire>;
  readonly parts: Parts;
  readonly checker: Checker;
  readonly terms: LeaseTerms;
  readonly diskMsMean: number;
  readonly resendMs: number;
  /** For the checker alone. */
  authority(): ChunkAuthority;
}

interface Leadership {
  state: PrimaryState;
  lease: HeldLease | undefined;
  readonly asked: Map<number, Instant>;
  /** Who waits for which request. */
  readonly clients: Map<number, { readonly name: string; readonly write: number }>;
  readonly lengths: Map<number, number>;
}

export class SimServer {
  readonly id: ServerId;
  isGone = false;
  #disk: ReplicaState;
  #memory: ReplicaState;
  #diskBusyTo = 0;
  #lifetime: Lifetime;
  #clock: Clock;
  #leadership: Leadership | undefined;
  #requests = 0;
  #tickets = 0;
  readonly #around: Surroundings;
  readonly #random: Random;
  readonly #clockError: ClockError;

  constructor(id: number, around: Surroundings, clockError: ClockError) {
    this.id = serverId(id);
    this.#around = around;
    this.#clockError = clockError;
    this.#random = around.world.random(`server ${id}`);
    this.#disk = around.parts.emptyReplica();
    this.#memory = this.#disk;
    this.#lifetime = new Lifetime(around.world);
    this.#clock = new SimClock(around.world, this.#lifetime, clockError);
    this.start();
  }

  get disk(): ReplicaState {
    return this.#disk;
  }

  get isRunning(): boolean {
    return this.#lifetime.isRunning;
  }

  get isPaused(): boolean {
    return this.#lifetime.isPaused;
  }

  /** Begins a process on what the disk holds. */
  start(): void {
    const { world, network, resendMs } = this.#around;
    this.#lifetime.end();
    const lifetime = new Lifetime(world);
    this.#lifetime = lifetime;
    const clock = new SimClock(world, lifetime, this.#clockError);
    this.#clock = clock;
    this.#memory = this.#disk;
    this.#diskBusyTo = world.now;
    network.attach(nameOf(this.id), (from, wire) => {
      lifetime.deliver(() => this.#receive(from, wire));
    });
    clock.every(resendMs, () => this.#step({ kind: "resend" }));
    clock.every(resendMs * 1.5, () => this.#renew());
  }

  /** The process ends; what was not on the disk is lost, and so is the primary. */
  crash(): void {
    this.#lifetime.end();
    this.#leadership = undefined;
    this.#around.network.attach(nameOf(this.id), undefined);
  }

  /** The disk is lost: this server never comes back. */
  wipe(): void {
    this.crash();
    this.isGone = true;
  }

  /** At its next start the server finds everything behind a record damaged. */
  damage(intactTo: number): void {
    this.crash();
    const kept = Math.min(intactTo, this.#disk.history.lastSeq);
    this.#disk = this.#around.parts.changeReplica(this.#disk, { kind: "damage", intactTo: kept });
  }

  pause(): void {
    this.#lifetime.pause();
  }

  resume(): void {
    if (this.#lifetime.isPaused) this.#lifetime.resume();
  }

  #receive(from: string, wire: Wire): void {
    switch (wire.kind) {
      case "toReplica":
        return this.#serve(wire.message, (reply) => this.#send(from, { kind: "toPrimary", reply }));
      case "toPrimary": {
        const input = { from: serverId(serverOf(from)), reply: wire.reply };
        return this.#step({ kind: "received", ...input });
      }
      case "grant":
        return this.#begin(wire.grant);
      case "activated":
      case "sealRecorded":
        if (this.#leadership?.state.grant.epoch !== wire.epoch) return;
        return this.#step({ kind: wire.kind, isDone: wire.isDone });
      case "renewed":
        return this.#renewed(wire);
      case "append":
        return this.#append(from, wire);
      case "seal":
        return this.#step({ kind: "seal" });
      case "read":
        return this.#read(from, wire);
    }
  }

  #begin(grant: EpochGrant): void {
    const leadership = this.#leadership;
    if (leadership !== undefined && grant.epoch <= leadership.state.grant.epoch) return;
    const begun = this.#around.parts.beginEpoch(grant);
    const books = { asked: new Map(), clients: new Map(), lengths: new Map() };
    this.#leadership = { state: begun.state, lease: undefined, ...books };
    this.#carryOut(begun);
  }

  #step(input: PrimaryInput): void {
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    this.#carryOut(this.#around.parts.stepPrimary(leadership.state, input));
  }

  #carryOut({ state, outputs }: PrimaryStep): void {
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    leadership.state = state;
    for (const output of outputs) this.#put(leadership, output);
  }

  #put(leadership: Leadership, output: PrimaryOutput): void {
    const { state } = leadership;
    switch (output.kind) {
      case "send":
        if (output.to === this.id) return this.#serveOwn(leadership, output.message);
        return this.#send(nameOf(output.to), { kind: "toReplica", message: output.message });
      case "activate":
        if (state.kind !== "leading") return;
        return this.#send(MASTERS, { ...output, history: state.history });
      case "sealAtMasters":
        return this.#send(MASTERS, { ...output, kind: "recordSeal" });
      case "appended": {
        const asked = leadership.clients.get(output.request);
        if (asked === undefined) return;
        const lengthBytes = leadership.lengths.get(output.request) ?? 0;
        const { position, offset } = output;
        const by = { epoch: state.grant.epoch, lengthBytes };
        this.#around.checker.acked(asked.write, { ...position, offset }, by);
        return this.#send(asked.name, { kind: "appended", request: asked.write });
      }
      case "refused":
      case "sealed":
      case "ended":
        return;
    }
  }

  #serveOwn(leadership: Leadership, message: ReplicaMessage): void {
    this.#serve(message, (reply) => {
      if (this.#leadership === leadership) this.#step({ kind: "received", from: this.id, reply });
    });
  }

  /** Decides now, writes for a while, and answers then. Writes end in their order. */
  #serve(message: ReplicaMessage, answer: (reply: ReplicaReply) => void): void {
    const { world, parts, checker, diskMsMean } = this.#around;
    if (message.kind === "remove" && this.#memory.promised <= message.epoch) {
      checker.removed(this.id, this.#memory, this.#around.authority());
    }
    const { state, write } = parts.stepReplica(this.#memory, message);
    this.#memory = state;
    this.#diskBusyTo = Math.max(world.now, this.#diskBusyTo) + this.#random.fraction() * diskMsMean;
    this.#lifetime.after(this.#diskBusyTo - world.now, () => {
      const { change, then } = write;
      if (change !== undefined) {
        const before = this.#disk;
        this.#disk = parts.changeReplica(before, change);
        checker.changed(this.id, before, this.#disk, change);
      }
      checker.answered(this.id, this.#disk, then);
      answer(then);
    });
  }

  #append(from: string, { request }: Extract<Wire, { kind: "append" }>): void {
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    const number = ++this.#requests;
    leadership.clients.set(number, { name: from, write: request.request });
    leadership.lengths.set(number, request.lengthBytes);
    this.#step({ kind: "append", ...request, request: number });
  }

  #read(from: string, { id, floor }: Extract<Wire, { kind: "read" }>): void {
    const leadership = this.#leadership;
    const view = leadership && beginRead(leadership.state);
    if (leadership === undefined || view === undefined) {
      return this.#send(from, { kind: "readDone", id, view: undefined });
    }
    this.#lifetime.after(this.#random.fraction() * 20, () => {
      const { terms, checker } = this.#around;
      const lease = { terms, held: leadership.lease };
      const isLawful =
        this.#leadership === leadership && mayEndRead(view, leadership.state, lease, this.#now());
      if (isLawful) checker.readEnded(floor, view.lengthBytes);
      this.#send(from, { kind: "readDone", id, view: isLawful ? view : undefined });
    });
  }

  #renew(): void {
    const leadership = this.#leadership;
    if (leadership === undefined || beginRead(leadership.state) === undefined) return;
    const ticket = ++this.#tickets;
    leadership.asked.set(ticket, this.#now());
    this.#send(MASTERS, { kind: "renew", epoch: leadership.state.grant.epoch, ticket });
  }

  #renewed({ epoch, ticket }: Extract<Wire, { kind: "renewed" }>): void {
    const leadership = this.#leadership;
    const askedAt = leadership?.asked.get(ticket);
    if (leadership === undefined || askedAt === undefined) return;
    leadership.lease = renewHeld(leadership.lease, epoch, askedAt);
  }

  #now(): Instant {
    return { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() };
  }

  #send(to: string, wire: Wire): void {
    this.#around.network.send(nameOf(this.id), to, wire);
  }
}
