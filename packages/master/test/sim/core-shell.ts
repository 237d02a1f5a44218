// The smallest shell that carries out what the Raft core asks for: for simulating the core alone,
// and to see whether a fault that the simulation finds lies in the core or in the driver.
//
// Inputs wait in line and are stepped one by one; writes and installations form one queue (M3 of
// raft/message.ts). The first failure of a store ends the process.

import { crc32c, invariant, LumeoError, type NodeId, type Random } from "@lumeofs/base";
import type { Lifetime, SimClock } from "@lumeofs/testkit";
import type { LogStore } from "../../src/consensus/log-store.js";
import type { PeerLinks, PeerListener, SnapshotOffer } from "../../src/consensus/peer-link.js";
import type { ReplicatedState } from "../../src/consensus/replicated-state.js";
import {
  type LogIndex,
  logIndex,
  type Membership,
  type SnapshotMeta,
} from "../../src/raft/entry.js";
import type {
  RaftInput,
  RaftOptions,
  RaftOutput,
  RaftStart,
  RaftStatus,
  Refusal,
} from "../../src/raft/message.js";
import { RaftCore } from "../../src/raft/raft.js";
import type { Process } from "./parts.js";

/** What the shell needs of the core; a mutant can stand in for it. */
export interface Core {
  readonly status: RaftStatus;
  step(input: RaftInput): readonly RaftOutput[];
}

export type MakeCore = (start: RaftStart, options: RaftOptions, random: Random) => Core;

export const REAL_CORE: MakeCore = (start, options, random) => new RaftCore(start, options, random);

export interface ShellPorts {
  readonly log: LogStore;
  readonly state: ReplicatedState;
  readonly links: PeerLinks;
  readonly clock: SimClock;
  readonly lifetime: Lifetime;
  readonly random: Random;
  readonly makeCore: MakeCore;
  /** The process must end: a store failed, or something is wrong in our own code. */
  readonly fatal: (error: unknown) => void;
}

export interface ShellSettings {
  readonly id: NodeId;
  readonly tickMs: number;
  readonly raft: RaftOptions;
  readonly compactEntries: number;
  readonly tailEntries: number;
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: LumeoError) => void;
}

interface Received {
  readonly meta: SnapshotMeta;
  readonly pieces: readonly Uint8Array[];
}

export class CoreShell {
  #failure: unknown;
  #received: Received | undefined;
  #isStepping = false;
  #isWriting = false;
  #isInstalling = false;
  #reads: number;
  readonly #inbox: RaftInput[] = [];
  readonly #writes: (() => Promise<void>)[] = [];
  readonly #proposals = new Map<LogIndex, Waiting<Uint8Array>>();
  readonly #waitingReads = new Map<number, Waiting<LogIndex>>();
  readonly #confirmed: { readonly index: LogIndex; readonly read: Waiting<LogIndex> }[] = [];
  readonly #settings: ShellSettings;
  readonly #ports: ShellPorts;
  readonly #core: Core;

  private constructor(settings: ShellSettings, ports: ShellPorts) {
    this.#settings = settings;
    this.#ports = ports;
    // No two runs of a member give the same number to a read.
    this.#reads = Math.floor(ports.random.fraction() * 2 ** 52);
    const { log, state } = ports;
    const start: RaftStart = {
      id: settings.id,
      hardState: log.hardState,
      snapshot: log.snapshot,
      applied: state.durable,
      membership: log.membershipAt(log.last),
      log,
    };
    this.#core = ports.makeCore(start, settings.raft, ports.random);
  }

  static async start(settings: ShellSettings, ports: ShellPorts): Promise<CoreShell> {
    const { log, state, links, clock } = ports;
    const index = state.durable;
    const isInLog = log.first - 1 <= index && index <= log.last;
    if (!isInLog || log.termAt(index) !== state.durableTerm) {
      // The power failed between the installation of a state and that of its log.
      const membership = membershipAt(log, index);
      await log.reset({ index, term: state.durableTerm, membership });
    }
    const shell = new CoreShell(settings, ports);
    const listener: PeerListener = {
      identified: () => {},
      disowned: () => {},
      received: (from, message) => shell.#take({ kind: "received", from, message }),
      unreachable: (peer) => shell.#take({ kind: "unreachable", peer }),
      gone: (peer) => shell.#take({ kind: "gone", peer }),
      offered: async () => 0,
      arriving: (from, offer, { pieces }) => shell.#arriving(from, offer, pieces),
    };
    links.listen(listener, { store: "", address: "" });
    clock.every(settings.tickMs, () => shell.#take({ kind: "tick" }));
    return shell;
  }

  get details(): RaftStatus {
    return this.#core.status;
  }

  /** As `Driver.group`, but nobody hears how it ended. */
  get group(): Process["group"] {
    return {
      change: async (changes) => this.#take({ kind: "changeMembership", changes }),
      transfer: async (to) => this.#take({ kind: "transferLeadership", to }),
      giveUp: async () => this.#take({ kind: "resign" }),
    };
  }

  /** As `Replication.propose`. */
  propose(command: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(stopped());
      invariant(!this.#isStepping, "a proposal inside of a step");
      this.#isStepping = true;
      const outputs = this.#core.step({ kind: "propose", commands: [command] });
      for (const output of outputs) {
        if (output.kind === "refused") reject(refusal(output.why));
        if (output.kind === "accepted") this.#proposals.set(output.first, { resolve, reject });
      }
      this.#carryOut(outputs);
      this.#isStepping = false;
      this.#drain();
    });
  }

  /** As `Replication.read`. */
  read(): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(stopped());
      const id = ++this.#reads;
      this.#waitingReads.set(id, { resolve, reject });
      this.#take({ kind: "read", id });
    });
  }

  #take(input: RaftInput): void {
    if (this.#failure !== undefined) return;
    this.#inbox.push(input);
    this.#drain();
  }

  #drain(): void {
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let input = this.#inbox.shift(); input !== undefined; input = this.#inbox.shift()) {
        this.#carryOut(this.#core.step(input));
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isStepping = false;
    }
  }

  #carryOut(outputs: readonly RaftOutput[]): void {
    for (const output of outputs) this.#begin(output);
  }

  #begin(output: RaftOutput): void {
    switch (output.kind) {
      case "persist":
        this.#enqueue(() => this.#persist(output));
        break;
      case "installSnapshot":
        this.#isInstalling = true;
        this.#enqueue(() => this.#install(output));
        break;
      case "send":
        this.#ports.links.send(output.to, output.message);
        break;
      case "apply":
        this.#apply(output.entries);
        break;
      case "readReady":
        this.#confirm(output.id, output.index);
        break;
      case "readRefused":
        this.#takeRead(output.id).reject(refusal(output.why));
        break;
      case "sendSnapshot":
        void this.#sendSnapshot(output.to).catch((error: unknown) => this.#fail(error));
        break;
      case "role":
        this.#loseProposals();
        break;
      default:
        // Answers to whoever asked are taken where they are asked for; nobody waits for the rest.
        break;
    }
  }

  #enqueue(write: () => Promise<void>): void {
    this.#writes.push(write);
    if (!this.#isWriting) void this.#writeAll().catch((error: unknown) => this.#fail(error));
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    for (let next = this.#writes.shift(); next !== undefined; next = this.#writes.shift()) {
      await next();
    }
    this.#isWriting = false;
  }

  async #persist(output: Extract<RaftOutput, { kind: "persist" }>): Promise<void> {
    const { hardState, truncateFrom, entries } = output;
    if (hardState !== undefined || truncateFrom !== undefined || 0 < entries.length) {
      await this.#ports.log.write({ hardState, truncateFrom, entries });
    }
    for (const { to, message } of output.then) this.#ports.links.send(to, message);
    this.#take({ kind: "persisted", write: output.write });
  }

  async #install(output: Extract<RaftOutput, { kind: "installSnapshot" }>): Promise<void> {
    const received = this.#received;
    invariant(received?.meta === output.meta, "this snapshot is not there");
    this.#received = undefined;
    await this.#ports.state.install(output.meta, streamOf(received.pieces));
    await this.#ports.log.reset(output.meta);
    this.#isInstalling = false;
    for (const { to, message } of output.then) this.#ports.links.send(to, message);
    this.#take({ kind: "snapshotInstalled", meta: output.meta });
  }

  #apply(entries: Extract<RaftOutput, { kind: "apply" }>["entries"]): void {
    const { state } = this.#ports;
    const replies = state.apply(entries);
    for (const [i, { index }] of entries.entries()) {
      this.#proposals.get(index)?.resolve(replies[i] as Uint8Array);
      this.#proposals.delete(index);
    }
    this.#take({ kind: "applied", index: state.applied });
    while (this.#confirmed[0] !== undefined && this.#confirmed[0].index <= state.applied) {
      this.#confirmed.shift()?.read.resolve(state.applied);
    }
    this.#compactIfLong();
  }

  #compactIfLong(): void {
    const { log, state } = this.#ports;
    const { compactEntries, tailEntries } = this.#settings;
    const upTo = logIndex(Math.max(0, state.durable - tailEntries));
    if (this.#isWriting || upTo - log.first < compactEntries) return;
    // The core has yet to hear of what is durable already.
    if (this.#core.status.applied < state.durable) return;
    this.#enqueue(async () => {
      const index = state.durable;
      if (index < upTo || upTo < log.first) return;
      const meta = { index, term: state.durableTerm, membership: membershipAt(log, index) };
      await log.compact(meta, upTo);
      this.#take({ kind: "compacted", meta });
    });
  }

  #confirm(id: number, index: LogIndex): void {
    const read = this.#takeRead(id);
    if (index <= this.#ports.state.applied) read.resolve(this.#ports.state.applied);
    else this.#confirmed.push({ index, read });
  }

  #takeRead(id: number): Waiting<LogIndex> {
    const read = this.#waitingReads.get(id);
    invariant(read !== undefined, "no such read waits", { id });
    this.#waitingReads.delete(id);
    return read;
  }

  async #sendSnapshot(to: NodeId): Promise<void> {
    const { state, links, log } = this.#ports;
    const image = await state.image();
    const pieces: Uint8Array[] = [];
    for await (const piece of image.pieces()) pieces.push(piece);
    const offer: SnapshotOffer = {
      term: this.#core.status.term,
      meta: {
        index: image.index,
        term: image.term,
        membership: membershipAt(log, image.index),
      },
      sizeBytes: pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
      crc32c: pieces.reduce((sum, piece) => crc32c(piece, sum), 0),
    };
    await image.close();
    const outcome = await links.sendSnapshot(to, offer, () => streamOf(pieces));
    this.#take({ kind: "snapshotSent", to, delivered: outcome === "delivered" });
  }

  async #arriving(
    from: NodeId,
    offer: SnapshotOffer,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<boolean> {
    const kept: Uint8Array[] = [];
    for await (const piece of pieces) kept.push(piece);
    const isBusy = this.#received !== undefined || this.#isInstalling;
    if (this.#failure !== undefined || isBusy) return false;
    this.#received = { meta: offer.meta, pieces: kept };
    const { meta, term } = offer;
    this.#take({ kind: "snapshotReceived", from, term, meta });
    if (!this.#isInstalling) this.#received = undefined;
    return true;
  }

  #loseProposals(): void {
    for (const waiting of this.#proposals.values()) {
      waiting.reject(new LumeoError("LEADERSHIP_LOST", "Cannot say whether it was applied"));
    }
    this.#proposals.clear();
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ports.fatal(error);
  }
}

function membershipAt(log: LogStore, index: LogIndex): Membership {
  const isInLog = log.first - 1 <= index && index <= log.last;
  return isInLog ? log.membershipAt(index) : log.snapshot.membership;
}

function refusal(why: Refusal): LumeoError {
  return why.kind === "notLeader"
    ? new LumeoError("NOT_LEADER", "Cannot serve: not the leader", { leader: why.leader ?? "" })
    : new LumeoError("OVERLOADED", "Cannot serve: too much is under way");
}

function stopped(): LumeoError {
  return new LumeoError("STORE_FAILED", "Cannot serve: this member has stopped");
}

async function* streamOf(pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* pieces;
}
