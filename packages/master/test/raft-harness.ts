// A group of Raft cores in one process, moved by hand: the test decides when time passes, which
// message arrives and which write is durable. Nothing happens by itself.
//
// What the group checks on its own, whatever a test does:
//
// G1. A term has one leader (R1).
// G2. An index is applied with the same entry on all members, over all restarts.
// G3. A confirmed read sees all that anybody had applied when it was asked for.
// G4. Messages that assert durability leave only after their write (R6): the harness sends `then`
//     when the write is carried out, and a crash loses both.

import { type NodeId, nodeId, SeededRandom } from "@lumeofs/base";
import {
  type Entry,
  type HardState,
  type LogIndex,
  logIndex,
  type Membership,
  type SnapshotMeta,
  type Term,
  term,
} from "../src/raft/entry.js";
import type { MemberChange } from "../src/raft/member-change.js";
import { NOBODY } from "../src/raft/membership.js";
import { decodeMembership } from "../src/raft/membership-codec.js";
import type {
  LogReader,
  RaftInput,
  RaftMessage,
  RaftOptions,
  RaftOutput,
  RaftStatus,
} from "../src/raft/message.js";
import { RaftCore } from "../src/raft/raft.js";

export const OPTIONS: RaftOptions = {
  electionTicks: 10,
  heartbeatTicks: 2,
  appendBytesMax: 64 * 1024,
  inFlightAppendsMax: 8,
  inFlightBytesMax: 256 * 1024,
  uncommittedBytesMax: 256 * 1024,
  applyBytesMax: 64 * 1024,
};

export interface Packet {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: RaftMessage;
}

/** A write that the core asked for and that is not carried out yet. */
export type Write = Extract<RaftOutput, { kind: "persist" | "installSnapshot" }>;
type Persist = Extract<RaftOutput, { kind: "persist" }>;

/** The disk of one member: what is here survives a crash. */
export class MemoryLog implements LogReader {
  hardState: HardState = { term: term(0), votedFor: undefined };
  snapshot: SnapshotMeta;
  entriesKept: Entry[] = [];
  /** The entry before the first one that is kept. */
  base: { index: LogIndex; term: Term } = { index: logIndex(0), term: term(0) };

  constructor(membership: Membership) {
    this.snapshot = { index: logIndex(0), term: term(0), membership };
  }

  get first(): LogIndex {
    return logIndex(this.base.index + 1);
  }

  get last(): LogIndex {
    return logIndex(this.base.index + this.entriesKept.length);
  }

  termAt(index: LogIndex): Term {
    return index === this.base.index ? this.base.term : this.at(index).term;
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    const found = [this.at(from)];
    let bytes = found[0]?.data.byteLength ?? 0;
    for (let index = from + 1; index <= to; index++) {
      const entry = this.at(logIndex(index));
      bytes += entry.data.byteLength;
      if (bytesMax < bytes) break;
      found.push(entry);
    }
    return found;
  }

  write(persist: Persist): void {
    if (persist.hardState !== undefined) this.hardState = persist.hardState;
    if (persist.truncateFrom !== undefined) {
      this.entriesKept.length = persist.truncateFrom - this.first;
    }
    for (const entry of persist.entries) {
      if (entry.index !== this.last + 1) throw new Error(`gap in the log at ${entry.index}`);
      this.entriesKept.push(entry);
    }
  }

  reset(meta: SnapshotMeta): void {
    this.entriesKept = [];
    this.base = { index: meta.index, term: meta.term };
    this.snapshot = meta;
  }

  compact(meta: SnapshotMeta, upTo: LogIndex): void {
    const base = { index: upTo, term: this.termAt(upTo) };
    this.entriesKept = this.entriesKept.slice(upTo - this.base.index);
    this.base = base;
    this.snapshot = meta;
  }

  /** Of the last membership entry up to here, or of the snapshot. */
  membershipAt(index: LogIndex): Membership {
    const upTo = this.entriesKept.slice(0, index - this.base.index);
    const entry = upTo.findLast(({ kind }) => kind === "membership");
    return entry === undefined ? this.snapshot.membership : decodeMembership(entry.data);
  }

  private at(index: LogIndex): Entry {
    const entry = this.entriesKept[index - this.first];
    if (entry === undefined)
      throw new Error(`no entry ${index} from ${this.first} to ${this.last}`);
    return entry;
  }
}

export interface Machine {
  core: RaftCore;
  readonly log: MemoryLog;
  /** Asked for and not carried out, oldest first. */
  writes: Write[];
  /** Entries by index; also the state, which is durable at once here. */
  applied: LogIndex;
  isUp: boolean;
  /** Everything but persist, send and apply that the core has put out. */
  readonly answers: RaftOutput[];
  readonly snapshotsWanted: NodeId[];
}

export class Group {
  readonly ids: NodeId[];
  readonly machines = new Map<NodeId, Machine>();
  network: Packet[] = [];
  readonly options: RaftOptions;
  readonly #cut = new Set<string>();
  readonly #leaders = new Map<number, NodeId>();
  readonly #history = new Map<number, Entry>();
  /** For each read: what had been applied anywhere when it was asked for. */
  readonly #readsFrom = new Map<number, number>();
  readonly #random: SeededRandom;
  readonly #membership: Membership;

  constructor(count: number, options: Partial<RaftOptions> & { learners?: number } = {}, seed = 1) {
    const { learners = 0, ...rest } = options;
    this.options = { ...OPTIONS, ...rest };
    this.#random = new SeededRandom(seed);
    this.ids = Array.from({ length: count }, (_, i) => nodeId(`m${i + 1}`));
    this.#membership = {
      voters: this.ids.slice(0, count - learners),
      votersOutgoing: [],
      learners: this.ids.slice(count - learners),
      addresses: {},
      stores: {},
      retired: [],
    };
    for (const id of this.ids) this.boot(id, new MemoryLog(this.#membership), logIndex(0));
  }

  get membership(): Membership {
    return this.#membership;
  }

  /** Starts a member from this disk. */
  boot(id: NodeId, log: MemoryLog, applied: LogIndex): Machine {
    const membership = log.membershipAt(log.last);
    const start = {
      id,
      hardState: log.hardState,
      snapshot: log.snapshot,
      applied,
      membership,
      log,
    };
    const core = new RaftCore(start, this.options, this.#random.fork(id));
    const machine: Machine = {
      core,
      log,
      writes: [],
      applied,
      isUp: true,
      answers: [],
      snapshotsWanted: [],
    };
    this.machines.set(id, machine);
    return machine;
  }

  machine(id: NodeId): Machine {
    const machine = this.machines.get(id);
    if (machine === undefined) throw new Error(`no member ${id}`);
    return machine;
  }

  status(id: NodeId): RaftStatus {
    return this.machine(id).core.status;
  }

  answers<K extends RaftOutput["kind"]>(id: NodeId, kind: K): Extract<RaftOutput, { kind: K }>[] {
    const isOfKind = (o: RaftOutput): o is Extract<RaftOutput, { kind: K }> => o.kind === kind;
    return this.machine(id).answers.filter(isOfKind);
  }

  /** Gives one input to a core and begins what it puts out. */
  step(id: NodeId, input: RaftInput): readonly RaftOutput[] {
    const machine = this.machine(id);
    if (!machine.isUp) return [];
    if (input.kind === "read") this.#readsFrom.set(input.id, this.#history.size);
    const outputs = machine.core.step(input);
    for (const output of outputs) this.#begin(id, machine, output);
    const { role, term: inTerm } = machine.core.standing;
    if (role === "leader") this.#checkLeader(id, inTerm);
    return outputs;
  }

  receive(to: NodeId, from: NodeId, message: RaftMessage): readonly RaftOutput[] {
    return this.step(to, { kind: "received", from, message });
  }

  tick(id: NodeId, count = 1): void {
    for (let i = 0; i < count; i++) this.step(id, { kind: "tick" });
  }

  /** One tick for everybody, and everything that follows from it, `count` times. */
  run(count: number): void {
    for (let i = 0; i < count; i++) {
      for (const id of this.ids) this.tick(id);
      this.settle();
    }
  }

  propose(id: NodeId, ...texts: string[]): void {
    const commands = texts.map((text) => new TextEncoder().encode(text));
    this.step(id, { kind: "propose", commands });
  }

  /** Carries out the oldest write of a member. Its messages leave now. */
  persist(id: NodeId): void {
    const machine = this.machine(id);
    const write = machine.writes.shift();
    if (write === undefined) return;
    if (write.kind === "persist") machine.log.write(write);
    else {
      machine.log.reset(write.meta);
      machine.applied = write.meta.index;
    }
    for (const { to, message } of write.then) this.network.push({ from: id, to, message });
    if (write.kind === "persist") this.step(id, { kind: "persisted", write: write.write });
    else this.step(id, { kind: "snapshotInstalled", meta: write.meta });
  }

  persistAll(id: NodeId): void {
    while (0 < this.machine(id).writes.length && this.machine(id).isUp) this.persist(id);
  }

  /** What a member answers to one message, once everything that it waits for is durable. */
  ask(to: NodeId, from: NodeId, message: RaftMessage): readonly RaftMessage[] {
    this.receive(to, from, message);
    this.persistAll(to);
    return this.take((packet) => packet.from === to && packet.to === from).map((p) => p.message);
  }

  /** The terms of a member's log, what is under way to its disk included. */
  termsOf(id: NodeId): readonly number[] {
    this.persistAll(id);
    return this.machine(id).log.entriesKept.map((entry) => entry.term);
  }

  /** Takes messages out of the network and gives back those that match. */
  take(matches: (packet: Packet) => boolean): Packet[] {
    const taken = this.network.filter(matches);
    this.network = this.network.filter((packet) => !matches(packet));
    return taken;
  }

  deliver(packet: Packet): void {
    if (this.#cut.has(`${packet.from}>${packet.to}`)) return;
    this.receive(packet.to, packet.from, packet.message);
  }

  /** Delivers all messages that match and are in the network now. */
  deliverAll(matches: (packet: Packet) => boolean = () => true): void {
    for (const packet of this.take(matches)) this.deliver(packet);
  }

  /** Carries out writes, snapshots and messages until nothing is left to do. */
  settle(): void {
    for (let round = 0; round < 10_000; round++) {
      for (const id of this.ids) {
        this.persistAll(id);
        this.transferSnapshots(id);
      }
      if (this.network.length === 0) {
        if ([...this.machines.values()].every((m) => !m.isUp || m.writes.length === 0)) return;
      }
      this.deliverAll();
    }
    throw new Error("the group does not settle");
  }

  /** Brings the snapshots that this leader wants to send to where they belong. */
  transferSnapshots(id: NodeId): void {
    const { snapshotsWanted, log } = this.machine(id);
    for (const to of snapshotsWanted.splice(0)) {
      const delivered = this.machine(to).isUp && !this.#cut.has(`${id}>${to}`);
      const meta = log.snapshot;
      const inTerm = this.status(id).term;
      if (delivered) this.step(to, { kind: "snapshotReceived", from: id, term: inTerm, meta });
      this.step(id, { kind: "snapshotSent", to, delivered });
    }
  }

  /** Makes a snapshot of everything applied and forgets the log up to `upTo`. */
  compact(id: NodeId, upTo = this.machine(id).applied): void {
    const { log, applied } = this.machine(id);
    const membership = log.membershipAt(applied);
    const meta = { index: applied, term: log.termAt(applied), membership };
    log.compact(meta, upTo);
    this.step(id, { kind: "compacted", meta });
  }

  /** Power failure: writes under way are gone, messages that left are not. */
  crash(id: NodeId): void {
    const machine = this.machine(id);
    machine.isUp = false;
    machine.writes = [];
  }

  restart(id: NodeId): void {
    this.crash(id);
    const { log, applied } = this.machine(id);
    this.boot(id, log, applied);
  }

  /** Starts a new member, which knows of nobody. */
  join(name: string): NodeId {
    const id = nodeId(name);
    this.ids.push(id);
    this.boot(id, new MemoryLog(NOBODY), logIndex(0));
    return id;
  }

  /** Puts a change to a member; what it answers at once. */
  change(id: NodeId, ...changes: MemberChange[]): RaftOutput | undefined {
    const outputs = this.step(id, { kind: "changeMembership", changes });
    return outputs.find(({ kind }) => kind === "changeAccepted" || kind === "changeRefused");
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Cuts these members off from all others, in both directions. */
  isolate(...apart: NodeId[]): void {
    for (const a of apart) {
      for (const b of this.ids) {
        if (apart.includes(b)) continue;
        this.cut(a, b);
        this.cut(b, a);
      }
    }
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Makes this member the leader: only its time passes, and its election timeout. */
  elect(id: NodeId): void {
    for (let i = 0; i < 4 * this.options.electionTicks && this.status(id).role !== "leader"; i++) {
      this.tick(id);
      this.settle();
    }
    if (this.status(id).role !== "leader") throw new Error(`${id} was not elected`);
  }

  /** As `elect`, after everybody who does not lead has missed the leader for long enough. */
  usurp(id: NodeId): void {
    for (const other of this.ids) {
      if (this.status(other).role !== "leader") this.tick(other, this.options.electionTicks);
    }
    this.network = [];
    this.elect(id);
  }

  get leaders(): readonly NodeId[] {
    return this.ids.filter((id) => this.machine(id).isUp && this.status(id).role === "leader");
  }

  /** The commands that this member has applied since the beginning of the run, as text. */
  texts(id: NodeId): readonly string[] {
    const applied = this.machine(id).applied;
    const entries = Array.from({ length: applied }, (_, i) => this.#history.get(i + 1));
    const commands = entries.filter((entry) => entry?.kind === "command");
    return commands.map((entry) => new TextDecoder().decode(entry?.data));
  }

  /** Everything that was ever committed and applied anywhere. */
  get history(): ReadonlyMap<number, Entry> {
    return this.#history;
  }

  #begin(id: NodeId, machine: Machine, output: RaftOutput): void {
    switch (output.kind) {
      case "persist":
      case "installSnapshot":
        machine.writes.push(output);
        break;
      case "send":
        this.network.push({ from: id, to: output.to, message: output.message });
        break;
      case "apply":
        this.#apply(id, machine, output.entries);
        break;
      case "sendSnapshot":
        machine.snapshotsWanted.push(output.to);
        break;
      case "readReady":
        if (output.index < (this.#readsFrom.get(output.id) ?? 0))
          throw new Error(`${id}: old read`);
        machine.answers.push(output);
        break;
      default:
        machine.answers.push(output);
    }
  }

  #apply(id: NodeId, machine: Machine, entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.index !== machine.applied + 1) throw new Error(`${id} skips to ${entry.index}`);
      const known = this.#history.get(entry.index) ?? entry;
      if (known.term !== entry.term || Buffer.compare(known.data, entry.data) !== 0) {
        throw new Error(`${id} applies another entry at ${entry.index}`);
      }
      this.#history.set(entry.index, entry);
      machine.applied = entry.index;
    }
    this.step(id, { kind: "applied", index: machine.applied });
  }

  #checkLeader(id: NodeId, inTerm: Term): void {
    const known = this.#leaders.get(inTerm) ?? id;
    if (known !== id) throw new Error(`two leaders in term ${inTerm}: ${known} and ${id}`);
    this.#leaders.set(inTerm, id);
  }
}

/** Entries 1, 2, 3, … with these terms; equal index and term give equal bytes. */
export function entriesOf(terms: readonly number[], from = 1): Entry[] {
  return terms.map((inTerm, i) => {
    const data = new TextEncoder().encode(`${from + i}@${inTerm}`);
    return { index: logIndex(from + i), term: term(inTerm), kind: "command", data };
  });
}

/** Starts a member from a log whose entries have these terms. */
export function bootWith(
  group: Group,
  id: NodeId,
  terms: readonly number[],
  inTerm = terms.at(-1) ?? 0,
): void {
  const log = new MemoryLog(group.membership);
  log.entriesKept = entriesOf(terms);
  log.hardState = { term: term(inTerm), votedFor: undefined };
  group.boot(id, log, logIndex(0));
}

/** An append as a leader of this term sends it. */
export function append(
  inTerm: number,
  previous: readonly [index: number, term: number],
  entries: readonly Entry[],
  commit = 0,
): Extract<RaftMessage, { kind: "append" }> {
  return {
    kind: "append",
    term: term(inTerm),
    previousIndex: logIndex(previous[0]),
    previousTerm: term(previous[1]),
    commit: logIndex(commit),
    entries,
  };
}

/** A request for a vote, as a candidate with this last entry sends it. */
export function voteRequest(
  inTerm: number,
  last: readonly [index: number, term: number],
  options: { pre?: boolean; transfer?: boolean } = {},
): Extract<RaftMessage, { kind: "vote" }> {
  const { pre = false, transfer = false } = options;
  const [lastIndex, lastTerm] = [logIndex(last[0]), term(last[1])];
  return { kind: "vote", term: term(inTerm), pre, transfer, lastIndex, lastTerm };
}

export function at(group: Group, place: number): NodeId {
  const id = group.ids[place];
  if (id === undefined) throw new Error(`no member at ${place}`);
  return id;
}
