// One run: a chunk on five servers or more, clients that append and read, everything that may go
// wrong for a while, then nothing any more; in the end all copies are equal and the chunk is
// sealed. Everything follows from the seed.

import {
  InvariantViolation,
  integerBetween,
  isActive,
  type Random,
  type ServerId,
} from "@lumeofs/base";
import {
  type LinkSettings,
  PARTITION_MODES,
  PERFECT_LINK,
  partition,
  SimNetwork,
  World,
} from "@lumeofs/testkit";
import { type Parts, PRODUCT } from "../parts.js";
import { Broken, Checker } from "./checker.js";
import { SimClient } from "./client.js";
import { SimMasters } from "./masters.js";
import { SimServer, type Surroundings } from "./server.js";
import { MASTERS, nameOf, type Wire } from "./wire.js";

export interface SimulationOptions {
  readonly seed: number;
  readonly parts?: Parts;
  /** Clocks run this much too fast or too slow; the terms of the leases allow 0.01. */
  readonly clockDrift?: number;
  /** Copies of the chunk. */
  readonly replicas?: 2 | 3;
}

export interface SimulationResult {
  readonly events: number;
  readonly acknowledged: number;
  readonly grants: number;
  readonly readsServed: number;
  /** Reads that missed something: only with clocks beyond the terms. */
  readonly readsStale: number;
}

/** A run that broke a property, got stuck, or stopped itself. */
export class SimulationFailure extends Error {
  constructor(
    readonly seed: number,
    readonly property: string,
    what: string,
  ) {
    super(`seed ${seed}: ${what}`);
  }
}

const SERVERS = 5;
const TERMS = { lengthMs: 400, drift: 0.01, slackMs: 40 };
const FAULTS_MS = 6_000;
const HEALING_MS = 60_000;
const STORES_MAX = 12;

/** @throws SimulationFailure */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const run = new Run(options);
  try {
    return await run.live();
  } catch (error) {
    const { seed } = options;
    if (error instanceof Broken) throw new SimulationFailure(seed, error.property, error.message);
    if (error instanceof InvariantViolation) {
      throw new SimulationFailure(seed, "stopped", `the core stopped itself: ${error.message}`);
    }
    throw error;
  }
}

class Run {
  readonly #options: SimulationOptions;
  readonly #world: World;
  readonly #random: Random;
  readonly #network: SimNetwork<Wire>;
  readonly #checker: Checker;
  readonly #masters: SimMasters;
  readonly #servers = new Map<ServerId, SimServer>();
  readonly #clients: readonly SimClient[];
  readonly #around: Surroundings;
  readonly #drift: number;
  #writes = 0;
  #isCalm = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#drift = options.clockDrift ?? TERMS.drift;
    const world = new World(options.seed);
    this.#world = world;
    this.#random = world.random("run");
    const parts = options.parts ?? PRODUCT;
    this.#network = new SimNetwork<Wire>(world, drawLinks(this.#random));
    const isDriftLawful = this.#drift <= TERMS.drift;
    this.#checker = new Checker(parts.emptyReplica().history, isDriftLawful);
    const shared = { network: this.#network, checker: this.#checker, terms: TERMS };
    this.#masters = new SimMasters(world, {
      ...shared,
      replicas: options.replicas ?? 3,
      clockError: this.#clockError(),
      stores: () => new Map([...this.#servers].map(([id, server]) => [id, server.isGone])),
    });
    this.#around = {
      ...shared,
      world,
      parts,
      diskMsMean: this.#oneOf([0.5, 5, 30]),
      resendMs: this.#oneOf([40, 80]),
      authority: () => this.#masters.authority,
    };
    for (let id = 1; id <= SERVERS; id++) this.#addServer();
    this.#clients = this.#addClients();
  }

  async live(): Promise<SimulationResult> {
    const faults = this.#beginFaults();
    await this.#world.run(() => false, { timeMs: FAULTS_MS });
    for (const stop of faults) stop();
    this.#heal();
    await this.#until("appends end", () => this.#clients.every(({ isDone }) => isDone));
    await this.#until("members are equal", () => this.#areEqual());
    this.#seal();
    await this.#until("the chunk is sealed", () => this.#isSealed());
    const copies = new Map([...this.#servers].map(([id, { disk }]) => [id as number, disk]));
    for (const [id, server] of this.#servers) if (server.isGone) copies.delete(id);
    this.#checker.healed(this.#masters.authority, copies);
    const { acknowledged, readsServed, readsStale } = this.#checker;
    const grants = this.#masters.primaries.length;
    return { events: this.#world.events, acknowledged, grants, readsServed, readsStale };
  }

  #beginFaults(): readonly (() => void)[] {
    return [
      this.#often(700, (server) => {
        if (server.isRunning) this.#bounce(server, () => server.crash());
      }),
      this.#often(900, (server) => {
        if (!server.isRunning) return;
        server.pause();
        this.#later(() => server.resume(), 600);
      }),
      this.#often(2_000, (server) => {
        if (this.#mayLose(server)) this.#replace(server);
      }),
      this.#often(2_500, (server) => {
        const intactTo = integerBetween(this.#random, 0, server.disk.history.lastSeq);
        if (this.#mayLose(server)) this.#bounce(server, () => server.damage(intactTo));
      }),
      this.#often(800, () => this.#divide()),
      this.#often(600, () => this.#masters.regrant()),
      this.#often(2_000, () => this.#masters.changeLeader()),
    ];
  }

  #heal(): void {
    this.#isCalm = true;
    this.#network.heal();
    this.#network.settings = PERFECT_LINK;
    for (const server of this.#servers.values()) {
      server.resume();
      if (!server.isRunning && !server.isGone) server.start();
    }
    for (const client of this.#clients) client.isEnding = true;
  }

  /** One server after the other meets this fault, at random times; the result stops it. */
  #often(pauseMs: number, strike: (server: SimServer) => void): () => void {
    let isStopped = this.#random.fraction() < 0.3;
    const next = (): void => {
      this.#world.after(this.#random.fraction() * 2 * pauseMs, () => {
        if (isStopped || this.#isCalm) return;
        strike(this.#oneOf([...this.#servers.values()].filter(({ isGone }) => !isGone)));
        next();
      });
    };
    next();
    return () => {
      isStopped = true;
    };
  }

  #bounce(server: SimServer, end: () => void): void {
    end();
    this.#later(() => {
      if (!server.isRunning && !server.isPaused && !server.isGone) server.start();
    }, 600);
  }

  #later(run: () => void, withinMs: number): void {
    this.#world.after(this.#random.fraction() * withinMs, run);
  }

  #divide(): void {
    const names = [MASTERS, ...[...this.#servers.keys()].map(nameOf)];
    // Mostly it hits whoever is primary, and the masters want another one soon.
    const isAimed = this.#random.fraction() < 0.6;
    const victim = isAimed ? nameOf(this.#masters.authority.newest.primary) : undefined;
    if (isAimed) this.#later(() => this.#masters.regrant(), 300);
    const cut = partition(this.#oneOf(PARTITION_MODES), names, this.#random, victim);
    for (const [from, to] of cut) this.#network.cut(from, to);
    this.#later(() => {
      for (const [from, to] of cut) this.#network.join(from, to);
    }, 1_500);
  }

  /** One loss at a time: the sets that decide keep all but one of their copies that can testify. */
  #mayLose(victim: SimServer): boolean {
    const { newest, lastActive } = this.#masters.authority;
    if (victim.isGone || STORES_MAX <= this.#servers.size) return false;
    return [...newest.members, ...lastActive.members].every((member) => {
      const server = this.#servers.get(member);
      return server !== undefined && !server.isGone && this.#around.parts.isWitness(server.disk);
    });
  }

  /** The disk is lost; another store comes in its place. */
  #replace(server: SimServer): void {
    server.wipe();
    this.#addServer();
  }

  #addServer(): void {
    const server = new SimServer(this.#servers.size + 1, this.#around, this.#clockError());
    this.#servers.set(server.id, server);
  }

  #addClients(): readonly SimClient[] {
    const staleRate = this.#oneOf([0, 0.2, 0.5]);
    const around = {
      world: this.#world,
      network: this.#network,
      thinkMsMean: this.#oneOf([5, 40, 150]),
      timeoutMs: this.#oneOf([60, 200]),
      primary: (): number => {
        const isStale = this.#random.fraction() < staleRate && !this.#isCalm;
        const { authority, primaries } = this.#masters;
        return isStale ? this.#oneOf(primaries.slice(-3)) : authority.newest.primary;
      },
      nextWrite: (): number => ++this.#writes,
      floor: (): number => this.#checker.floor,
    };
    const count = integerBetween(this.#random, 1, 4);
    return Array.from({ length: count }, (_, i) => new SimClient(i + 1, around));
  }

  #areEqual(): boolean {
    const { authority } = this.#masters;
    if (!isActive(authority)) return false;
    const members = authority.newest.members.map((member) => this.#servers.get(member)?.disk);
    const [first] = members;
    const isOne = members.every((disk) => {
      const isSame = disk?.history.last.epoch === first?.history.last.epoch;
      return isSame && disk?.history.lastSeq === first?.history.lastSeq;
    });
    const isCommitted = members.every((disk) => disk?.commitSeq === disk?.history.lastSeq);
    const isEmpty = (server: SimServer): boolean => {
      return server.isGone || server.disk.history.lastSeq === 0;
    };
    const outside = [...this.#servers.values()].filter(({ id }) => {
      return !authority.newest.members.includes(id);
    });
    return isOne && isCommitted && outside.every(isEmpty);
  }

  /** Asks whoever is primary, until somebody has done it. */
  #seal(): void {
    const { sealed, newest } = this.#masters.authority;
    if (sealed !== undefined) return;
    this.#network.send("c1", nameOf(newest.primary), { kind: "seal" });
    this.#world.after(100, () => this.#seal());
  }

  #isSealed(): boolean {
    const { sealed, newest } = this.#masters.authority;
    if (sealed === undefined) return false;
    const history = this.#servers.get(newest.primary)?.disk.history;
    if (history?.lengthBytes === sealed.lengthBytes && history.crc32c === sealed.crc32c) {
      return this.#areEqual();
    }
    throw new Broken("C8", "the seal does not say what the chunk holds");
  }

  async #until(what: string, done: () => boolean): Promise<void> {
    const timeMs = this.#world.now + HEALING_MS;
    const end = await this.#world.run(done, { timeMs });
    if (end !== "condition") {
      throw new SimulationFailure(this.#options.seed, "stuck", `never comes to pass: ${what}`);
    }
  }

  #clockError(): { readonly rate: number } {
    return { rate: 1 + (2 * this.#random.fraction() - 1) * this.#drift };
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[integerBetween(this.#random, 0, values.length - 1)] as T;
  }
}

function drawLinks(random: Random): LinkSettings {
  const oneOf = (values: readonly number[]): number => {
    return values[integerBetween(random, 0, values.length - 1)] as number;
  };
  return {
    delayMsMin: oneOf([0.1, 1]),
    delayMsMean: oneOf([0.5, 5, 30]),
    loss: oneOf([0, 0.02, 0.2]),
    duplicate: oneOf([0, 0.05, 0.3]),
    reorder: random.fraction() < 0.6,
  };
}
