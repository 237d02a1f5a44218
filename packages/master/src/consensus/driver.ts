// The shell around the Raft core: it turns what happens into inputs and begins the outputs.
//
// V1. One step at a time, inputs in the order of their arrival, outputs begun in their order.
// V2. A message of a persist leaves after its write; the storage queue is the only writer.
// V3. Proposals that arrive while a write is under way go together into the next one: waiting for
//     the disk is what makes batches.
// V4. The first failure of a store, and any broken invariant, ends the member: it is reported once,
//     every caller gets an answer, and nothing is acknowledged any more.
// V5. What a follower applies waits until its write is on the way to the disk: somebody waits for
//     the write, and nobody for the applying.
// V6. Nothing here reads a clock, draws a number or waits by itself: time, chance, disk and network
//     are ports, so that a simulator runs this very code.

import {
  type Alarm,
  assertNever,
  type Clock,
  type Closable,
  integerBetween,
  invariant,
  type Logger,
  LumeoError,
  type NodeId,
  type Random,
  type Timers,
} from "@lumeofs/base";
import type { Entry, LogIndex, SnapshotMeta, Term } from "../raft/entry.js";
import type { RaftInput, RaftOutput, RaftStatus, Refusal } from "../raft/message.js";
import { RaftCore } from "../raft/raft.js";
import { closed, failed, leadershipLost, overloaded, refused } from "./answers.js";
import { compactionPoint } from "./compaction.js";
import type { ConsensusConfig } from "./config.js";
import { ENTRY_DATA_BYTES_MAX } from "./entry-codec.js";
import { MemberFigures } from "./figures.js";
import { Group, type GroupControl } from "./group.js";
import type { LogStore } from "./log-store.js";
import { NextTurn } from "./next-turn.js";
import type { PeerLinks, PeerListener, SnapshotArriving, SnapshotOffer } from "./peer-link.js";
import { Proposals } from "./proposals.js";
import { Reads } from "./reads.js";
import { recover } from "./recovery.js";
import type { ReplicatedState } from "./replicated-state.js";
import type { Freshness, Replication, ReplicationStatus, RoleStatus } from "./replication.js";
import { SnapshotExchange } from "./snapshot-exchange.js";
import type { SnapshotStore } from "./snapshot-store.js";
import { StorageQueue } from "./storage-queue.js";

/** Entries applied in one turn after which other work gets a turn. */
const APPLY_TURN_ENTRIES = 1_000;

/** So large that no two runs of a member ever give the same number to a read. */
const FIRST_READ_MAX = 2 ** 52;

/** How much faster the time of a member runs that has never heard of an election. */
const FOUNDING_SPEED = 5;

export interface DriverConfig
  extends Pick<ConsensusConfig, "id" | "address" | "tickMs" | "raft" | "limits"> {
  /** Drawn when the log was made; empty for a store whose identity the group does not keep. */
  readonly store: string;
}

export interface DriverPorts {
  readonly log: LogStore;
  readonly state: ReplicatedState;
  readonly snapshots: SnapshotStore;
  readonly links: PeerLinks;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The member cannot go on. Called once; the process should end. */
  readonly onFatal: (error: unknown) => void;
}

/** One member of a replicated group. Its ports stay open when it is closed. */
export class Driver implements Replication, Closable {
  readonly figures: MemberFigures;
  readonly #config: DriverConfig;
  readonly #ports: DriverPorts;
  readonly #core: RaftCore;
  readonly #storage: StorageQueue;
  readonly #exchange: SnapshotExchange;
  readonly #proposals = new Proposals();
  readonly #reads: Reads;
  readonly #group: Group;
  readonly #nextTurn: NextTurn;
  readonly #listeners = new Set<(role: RoleStatus) => void>();
  readonly #inbox: RaftInput[] = [];
  #isStepping = false;
  /** The log is changing under the core: inputs wait. */
  #isHeld = false;
  #isGathering = false;
  /** The present step has begun to install a snapshot. */
  #hasInstalled = false;
  #ticks: Alarm | undefined;
  #role: RoleStatus;
  /** Makes the error for every later caller. */
  #stopped: ((action: string) => LumeoError) | undefined;

  private constructor(config: DriverConfig, ports: DriverPorts) {
    this.#config = config;
    this.#ports = ports;
    const { log, state, links, logger } = ports;
    const start = {
      id: config.id,
      hardState: log.hardState,
      snapshot: log.snapshot,
      applied: state.durable,
      membership: log.membershipAt(log.last),
      log,
    };
    this.#core = new RaftCore(start, config.raft, ports.random);
    const { role, term, leader } = this.#core.standing;
    this.#role = { role, term, leader };
    const { id, store, address } = config;
    this.#group = new Group(this.#core.memberships, {
      ...{ id, links, logger, self: { store, address } },
      onFatal: (error) => this.#die(error),
      step: (action, input) => {
        if (this.#stopped !== undefined) throw this.#stopped(action);
        this.#input(input);
      },
      canStep: () => this.#canStep,
      role: () => this.#role,
      peers: () => this.#core.status.peers,
    });
    this.#reads = new Reads(integerBetween(ports.random, 1, FIRST_READ_MAX), ports.clock);
    this.#exchange = new SnapshotExchange(ports, config.limits);
    const [proposals, exchange] = [this.#proposals, this.#exchange];
    this.figures = new MemberFigures({ ...ports, proposals, exchange, core: () => this.details });
    this.#nextTurn = new NextTurn(ports.timers, (error) => this.#die(error));
    this.#storage = new StorageQueue(ports, config.limits.writeBytesMax, {
      writing: () => this.figures.logWriteBegan(),
      persisted: (write, then) => {
        for (const { to, message } of then) links.send(to, message);
        this.#input({ kind: "persisted", write });
        this.#flush();
      },
      installed: (meta, then) => {
        for (const { to, message } of then) links.send(to, message);
        this.#release({ kind: "snapshotInstalled", meta });
        this.#reads.applied(ports.state.applied);
      },
      compacted: (meta) => this.#input({ kind: "compacted", meta }),
      hold: () => {
        this.#isHeld = true;
      },
      idle: () => this.#flush(),
      failed: (error) => this.#die(error),
    });
  }

  /**
   * Brings log and state together, and takes part from now on.
   *
   * @throws CORRUPT if log and state do not fit each other.
   * @throws CONFIG  if the group has removed this member, or knows another store under its name.
   */
  static async start(config: DriverConfig, ports: DriverPorts): Promise<Driver> {
    await recover(ports, ports.logger);
    const driver = new Driver(config, ports);
    driver.#listen();
    driver.#beginTicks();
    return driver;
  }

  propose(command: Uint8Array): Promise<Uint8Array> {
    const { proposalBytesMax, applyLagMax } = this.#config.limits;
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped("propose"));
    if (ENTRY_DATA_BYTES_MAX < command.byteLength) {
      const message =
        `Cannot propose a command of ${command.byteLength} bytes: ` +
        `at most ${ENTRY_DATA_BYTES_MAX} are possible`;
      return Promise.reject(new LumeoError("INVALID_ARGUMENT", message));
    }
    if (
      0 < this.#proposals.bytes &&
      proposalBytesMax < this.#proposals.bytes + command.byteLength
    ) {
      return Promise.reject(overloaded("propose"));
    }
    const { commit, applied } = this.#core.standing;
    const isLagging = this.#role.role === "leader" && applyLagMax < commit - applied;
    if (isLagging) return Promise.reject(overloaded("propose"));
    const reply = this.#proposals.add(command);
    this.#gather();
    return reply;
  }

  read(): Promise<LogIndex> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped("read"));
    if (this.#config.limits.readsMax <= this.#reads.count)
      return Promise.reject(overloaded("read"));
    const index = this.#reads.add();
    this.#gather();
    return index;
  }

  /** Who takes part, who leads, and how to change both. */
  get group(): GroupControl {
    return this.#group;
  }

  get freshness(): Freshness {
    return this.#reads.freshness;
  }

  get status(): ReplicationStatus {
    const { role, term, leader } = this.#role;
    const { commit } = this.#core.standing;
    const { log, state } = this.#ports;
    return {
      id: this.#config.id,
      role,
      term,
      leader,
      leaderAddress: this.#addressOf(leader),
      members: this.#group.memberships.reach,
      commit,
      applied: state.applied,
      durable: state.durable,
      logFirst: log.first,
      logLast: log.last,
    };
  }

  /** Everything that the core knows: for whoever checks it. */
  get details(): RaftStatus {
    return this.#core.status;
  }

  onRole(listener: (role: RoleStatus) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#role);
    return () => this.#listeners.delete(listener);
  }

  /** Adds nothing more to the log on disk: no votes, no entries. Reads and compaction go on. */
  suspendWriting(): void {
    this.#storage.suspend();
  }

  resumeWriting(): void {
    this.#storage.resume();
  }

  /** Takes part no more. Entries under way are in doubt; what was acknowledged is not. */
  async close(): Promise<void> {
    this.#stop(closed);
    await Promise.all([this.#storage.close(), this.#exchange.close()]);
  }

  #listen(): void {
    const { store, address } = this.#config;
    const listener: PeerListener = {
      identified: (peer, identity) => this.#group.identified(peer, identity),
      disowned: (peer, why) => this.#group.disowned(peer, why),
      received: (from, message) => this.#input({ kind: "received", from, message }),
      unreachable: (peer) => this.#input({ kind: "unreachable", peer }),
      gone: (peer) => this.#input({ kind: "gone", peer }),
      offered: async (_from, offer) => this.#exchange.offered(offer),
      arriving: (from, offer, arrival) => this.#arriving(from, offer, arrival),
    };
    this.#ports.links.listen(listener, { store, address });
    this.#group.begin();
  }

  #input(input: RaftInput): void {
    if (this.#stopped !== undefined) return;
    this.#inbox.push(input);
    if (!this.#isStepping && !this.#isHeld) this.#stepAll();
  }

  /** Ends a hold: the core hears first what has happened to the log. */
  #release(input: RaftInput): void {
    this.#inbox.unshift(input);
    this.#isHeld = false;
    if (!this.#isStepping && this.#stopped === undefined) this.#stepAll();
    this.#flush();
  }

  #stepAll(): void {
    this.#isStepping = true;
    try {
      for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
        this.#hasInstalled = false;
        for (const output of this.#core.step(next)) this.#begin(output);
        if (next.kind === "snapshotReceived" && !this.#hasInstalled) this.#dropSnapshot(next.meta);
        if (this.#isHeld || this.#stopped !== undefined) break;
      }
    } catch (error) {
      this.#die(error);
    } finally {
      this.#isStepping = false;
    }
  }

  #begin(output: RaftOutput): void {
    switch (output.kind) {
      case "persist":
        return this.#storage.push(output);
      case "membership":
        return this.#group.changed(output);
      case "changeAccepted":
      case "changeRefused":
      case "transferStarted":
      case "transferRefused":
      case "transferAborted":
        return this.#group.answered(output);
      case "installSnapshot":
        this.#hasInstalled = true;
        this.#nextTurn.hurry();
        return this.#storage.push(output);
      case "send":
        if (output.message.kind === "timeoutNow") this.#reads.handingOver();
        return this.#ports.links.send(output.to, output.message);
      case "apply":
        if (this.#role.role === "leader" || !this.#storage.isBusy)
          return this.#apply(output.entries);
        return this.#nextTurn.put(() => this.#apply(output.entries));
      case "accepted":
        return this.#proposals.accepted(output.first, output.term);
      case "refused":
        return this.#proposals.refused(this.#refusal("propose", output.why));
      case "readReady":
        return this.#reads.ready(output.id, output.index, this.#ports.state.applied);
      case "readRefused":
        return this.#reads.refused(output.id, this.#refusal("read", output.why));
      case "sendSnapshot":
        return this.#sendSnapshot(output);
      case "role":
        return this.#changeRole(output);
      default:
        return assertNever(output);
    }
  }

  /** A new group shall not wait long for its first leader: until then time runs faster. */
  #beginTicks(): void {
    const { tickMs } = this.#config;
    const isFounding = this.#core.standing.term === 0;
    this.#ticks = this.#ports.timers.every(isFounding ? tickMs / FOUNDING_SPEED : tickMs, () => {
      this.#tick();
      if (!isFounding || this.#core.standing.term === 0 || this.#stopped !== undefined) return;
      this.#ticks?.cancel();
      this.#beginTicks();
    });
  }

  #tick(): void {
    this.#input({ kind: "tick" });
    this.#group.tick();
    this.#compactIfLong();
  }

  /** Puts what arrives in this turn to the core together, at the end of the turn. */
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    queueMicrotask(() => {
      this.#isGathering = false;
      // A leader lets a write under way end first: its end flushes (V3).
      if (this.#storage.isBusy && this.#role.role === "leader") this.#beginReads();
      else this.#flush();
    });
  }

  #flush(): void {
    while (this.#proposals.hasGathered && this.#canStep) {
      this.#input({ kind: "propose", commands: this.#proposals.takeBatch() });
    }
    this.#beginReads();
  }

  #beginReads(): void {
    while (this.#reads.canBegin && this.#canStep) {
      this.#input({ kind: "read", id: this.#reads.begin() });
    }
  }

  /** Proposals and reads are answered within their step, so they do not wait in the inbox. */
  get #canStep(): boolean {
    return !this.#isStepping && !this.#isHeld && this.#stopped === undefined;
  }

  #apply(entries: readonly Entry[]): void {
    const { state, timers } = this.#ports;
    const last = entries.at(-1);
    invariant(last !== undefined, "nothing to apply");
    const replies = state.apply(entries);
    this.#exchange.applied(entries);
    invariant(replies.length === entries.length, "an entry has no reply", { index: last.index });
    const lost = (): LumeoError => leadershipLost(this.#role.term);
    for (let i = 0; i < entries.length; i++) {
      this.#proposals.applied(entries[i] as Entry, replies[i] as Uint8Array, lost);
    }
    this.#reads.applied(state.applied);
    const done = (): void => this.#input({ kind: "applied", index: last.index });
    if (state.congested) state.flush().then(done, (error: unknown) => this.#die(error));
    else if (APPLY_TURN_ENTRIES <= entries.length) timers.after(0, done);
    else done();
  }

  #changeRole(role: RoleStatus): void {
    const hasLost = role.role !== "leader" || role.term !== this.#role.term;
    if (hasLost) this.#proposals.lost(leadershipLost(this.#role.term));
    this.#reads.roleChanged();
    this.#group.roleChanged(role, this.#role);
    this.#role = { role: role.role, term: role.term, leader: role.leader };
    if (role.role !== "leader") {
      const why = { kind: "notLeader", leader: role.leader } as const;
      this.#reads.refuseAll(this.#refusal("read", why));
    }
    const { term, leader } = role;
    const fields = { term, ...(leader === undefined ? {} : { peer: leader }) };
    this.#ports.logger.info(`This member is ${role.role}`, fields);
    for (const listener of this.#listeners) listener(this.#role);
  }

  #sendSnapshot({ to, term }: { readonly to: NodeId; readonly term: Term }): void {
    const isWanted = (): boolean => this.#role.role === "leader" && this.#role.term === term;
    this.#exchange.send({ to, term, isWanted }).then(
      (delivered) => this.#input({ kind: "snapshotSent", to, delivered }),
      (error: unknown) => this.#die(error),
    );
  }

  async #arriving(from: NodeId, offer: SnapshotOffer, arrival: SnapshotArriving): Promise<boolean> {
    if (this.#stopped !== undefined) return false;
    try {
      const stored = await this.#exchange.receive(from, offer, arrival);
      if (stored === undefined) return false;
      this.#input({ kind: "snapshotReceived", from, term: offer.term, meta: stored.meta });
      return true;
    } catch (error) {
      this.#die(error);
      return false;
    }
  }

  /** A received snapshot that the core does not want is not kept. */
  #dropSnapshot(meta: SnapshotMeta): void {
    // It may have come twice. What is left over is removed by the next installation.
    if (this.#storage.isInstalling) return;
    this.#exchange.drop(meta).catch((error: unknown) => this.#die(error));
  }

  #compactIfLong(): void {
    if (this.#storage.isCompacting || this.#stopped !== undefined) return;
    const { log, state } = this.#ports;
    const { durable, durableTerm } = state;
    // The core may have yet to hear that so much is applied.
    if (this.#core.standing.applied < durable) return;
    this.#exchange.buildIfDue().catch((error: unknown) => this.#die(error));
    const wanted = this.#exchange.wanted(this.#core.status.peers);
    const upTo = compactionPoint(log, durable, wanted, this.#config.limits);
    if (upTo === undefined) return;
    const meta = { index: durable, term: durableTerm, membership: log.membershipAt(durable) };
    this.#storage.push({ kind: "compact", meta, upTo });
  }

  #refusal(action: string, why: Refusal): LumeoError {
    return refused(action, why, (member) => this.#addressOf(member));
  }

  #addressOf(member: NodeId | undefined): string | undefined {
    if (member === undefined) return undefined;
    return this.#group.addressOf(member);
  }

  #die(error: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#ports.logger.error("This member has failed and stops", { error });
    this.#stop((action) => failed(action, error));
    this.#ports.onFatal(error);
  }

  #stop(refusal: (action: string) => LumeoError): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = refusal;
    this.#ticks?.cancel();
    this.#nextTurn.cancel();
    this.#inbox.length = 0;
    this.#proposals.end({ lost: leadershipLost(this.#role.term), refused: refusal("propose") });
    this.#reads.refuseAll(refusal("read"));
    this.#group.end(refusal("change the group"));
  }
}
