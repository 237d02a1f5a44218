// The chunk protocol in the small: every order in which messages may arrive, be repeated, late or
// lost, servers crash and masters grant, on the very core that the product runs.
//
// A state is: what the masters have recorded, what clients were told, each replica (in memory and
// on disk), the primary of each epoch, and the messages that were sent. A message may arrive at any
// time, again and again, or never. Disks write at once: a write that is lost in a crash is a
// message that never arrived, because nothing leaves before the write.
//
// Left out, because it can only prevent what could go wrong:
// * Endings. A primary that is not heard of any more may have ended, so `stale` need not arrive.
// * A fence that arrives when its primary has its majority already.
// * Messages whose arrival changes nothing any more: of an epoch that the replica refuses, or taken
//   before, with the answer taken too.

import {
  activateEpoch,
  type ChunkAuthority,
  createAuthority,
  type Epoch,
  type EpochGrant,
  epoch,
  grantEpoch,
  InvariantViolation,
  invariant,
  isSuperfluous,
  type ServerId,
  serverId,
  sessionId,
} from "@lumeofs/base";
import { History } from "../../../src/replication/history.js";
import type { ReplicaMessage, ReplicaReply } from "../../../src/replication/message.js";
import type {
  PrimaryInput,
  PrimaryOutput,
  PrimaryState,
} from "../../../src/replication/primary-state.js";
import type { ReplicaState } from "../../../src/replication/replica.js";
import type { Parts } from "../parts.js";
import { Interner, remembered } from "./interner.js";
import { type Ledger, ledgerText, type Noted, noteAck, noteActive } from "./ledger.js";
import type { ModelSettings } from "./settings.js";
import {
  authorityText,
  historyText,
  messageText,
  primaryText,
  recordText,
  replicaText,
  replyText,
} from "./words.js";

/** The masters, with every grant they gave. */
interface Masters {
  readonly authority: ChunkAuthority;
  readonly grants: readonly EpochGrant[];
}

/** One server's copy; undefined: that store is gone for ever. */
type Copy = { readonly memory: ReplicaState; readonly disk: ReplicaState } | undefined;

type Flying =
  | { readonly kind: "toReplica"; readonly to: ServerId; readonly message: ReplicaMessage }
  | { readonly kind: "toPrimary"; readonly from: ServerId; readonly reply: ReplicaReply }
  | { readonly kind: "toMasters"; readonly epoch: Epoch; readonly history: History }
  | { readonly kind: "activated"; readonly epoch: Epoch };

/** A row of numbers: masters, ledger, copies, primaries, then messages in rising order. */
export type ModelState = readonly number[];

export type Outcome =
  | { readonly kind: "state"; readonly state: ModelState }
  | { readonly kind: "violation"; readonly what: string };

/** Called with every step that is possible in a state, and what it leads to. */
export type Visit = (label: string, outcome: Outcome) => void;

type CopyStep =
  | { readonly kind: "halted"; readonly what: string }
  | {
      readonly kind: "taken";
      readonly copy: number;
      readonly answer: number;
      readonly isDead: boolean;
    };

type PrimaryTaken =
  | { readonly kind: "halted"; readonly what: string }
  | {
      readonly kind: "taken";
      readonly primary: number;
      readonly sent: readonly number[];
      readonly outputs: readonly PrimaryOutput[];
    };

const UNTOUCHED = { acks: [], submitted: 0, crashes: 0, wipes: 0, damages: 0 };
const CLIENT = sessionId(1);
const MASTERS = 0;
const LEDGER = 1;
const COPIES = 2;

export class Model {
  readonly #parts: Parts;
  readonly #settings: ModelSettings;
  readonly #servers: readonly ServerId[];
  readonly #primaries: number;
  readonly #messages: number;
  readonly #masters = new Interner<Masters>(mastersText);
  readonly #ledgers = new Interner<Ledger>(ledgerText);
  readonly #copies = new Interner<Copy>(copyText);
  readonly #states = new Interner<PrimaryState | undefined>((s) => (s ? primaryText(s) : "idle"));
  readonly #flying = new Interner<Flying>(flyingText);
  readonly #takeAtCopy = remembered((copy, message) => this.#computeCopy(copy, message));
  readonly #takeAtPrimary = remembered((state, message) => this.#computePrimary(state, message));
  readonly #agree = remembered((a, b) => disagreement(this.#copies.at(a), this.#copies.at(b)));

  constructor(parts: Parts, settings: ModelSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#servers = Array.from({ length: settings.servers }, (_, i) => serverId(i + 1));
    this.#primaries = COPIES + settings.servers;
    this.#messages = this.#primaries + settings.epochs;
  }

  /** A fresh chunk on the first servers, of which nobody has heard yet. */
  initial(): ModelState {
    const authority = createAuthority(this.#servers.slice(0, this.#settings.replicas));
    const memory = this.#parts.emptyReplica();
    const copy = this.#copies.numberOf({ memory, disk: memory });
    const active = { epoch: 1, history: History.empty() };
    return [
      this.#masters.numberOf({ authority, grants: [authority.newest] }),
      this.#ledgers.numberOf({ active, ...UNTOUCHED }),
      ...this.#servers.map(() => copy),
      ...Array.from({ length: this.#settings.epochs }, () => this.#states.numberOf(undefined)),
    ];
  }

  /** Every step that may come next. */
  visit(state: ModelState, visit: Visit): void {
    for (const number of state.slice(this.#messages)) {
      visit(flyingText(this.#flying.at(number)), this.#arrived(state, number));
    }
    this.#grant(state, visit);
    this.#begin(state, visit);
    this.#submit(state, visit);
    this.#fail(state, visit);
    if (this.#settings.notices) this.#notice(state, visit);
    if (this.#settings.removes) this.#remove(state, visit);
  }

  #arrived(state: ModelState, number: number): Outcome {
    const flying = this.#flying.at(number);
    switch (flying.kind) {
      case "toReplica": {
        const at = COPIES + flying.to - 1;
        const step = this.#takeAtCopy(valueAt(state, at), number);
        if (step.kind === "halted") return { kind: "violation", what: step.what };
        return this.#next(state, [[at, step.copy]], [step.answer]);
      }
      case "toPrimary":
        return this.#arrivedAtPrimary(state, flying.reply.epoch, number);
      case "activated":
        return this.#arrivedAtPrimary(state, flying.epoch, number);
      case "toMasters":
        return this.#activate(state, flying.epoch, flying.history);
    }
  }

  #arrivedAtPrimary(state: ModelState, of: Epoch, number: number): Outcome {
    const step = this.#takeAtPrimary(valueAt(state, this.#primaries + of - 1), number);
    return this.#primaryStepped(state, of, step);
  }

  #activate(state: ModelState, of: Epoch, history: History): Outcome {
    const masters = this.#masters.at(valueAt(state, MASTERS));
    const answer = activateEpoch(masters.authority, of);
    if (answer.kind === "refused") return { kind: "state", state };
    const number = this.#masters.numberOf({ ...masters, authority: answer.authority });
    const noted = noteActive(this.#ledgers.at(valueAt(state, LEDGER)), of, history);
    const told = this.#flying.numberOf({ kind: "activated", epoch: of });
    return this.#noted(state, noted, [[MASTERS, number]], [told]);
  }

  #grant(state: ModelState, visit: Visit): void {
    const masters = this.#masters.at(valueAt(state, MASTERS));
    const next = masters.authority.newest.epoch + 1;
    if (this.#settings.epochs < next) return;
    const only = this.#settings.story?.primaries[next - 1];
    for (const members of this.#memberSets(masters.authority)) {
      for (const primary of members) {
        if (only !== undefined && primary !== only) continue;
        // Servers 2 and 3 are alike so far: what the one could do, the other can elsewhere.
        if (next === 2 && primary === 3 && !this.#settings.replaces) continue;
        const answer = grantEpoch(masters.authority, { primary, members });
        if (answer.kind === "refused") continue;
        const { authority } = answer;
        const grants = [...masters.grants, authority.newest];
        const number = this.#masters.numberOf({ authority, grants });
        const label = `masters grant e${next} to s${primary} with s${members.join(" s")}`;
        visit(label, this.#next(state, [[MASTERS, number]], []));
      }
    }
  }

  #memberSets(authority: ChunkAuthority): readonly (readonly ServerId[])[] {
    const { members } = authority.newest;
    if (!this.#settings.replaces) return [members];
    const spares = this.#servers.filter((server) => isSuperfluous(authority, server));
    const replaced = spares.flatMap((spare) => {
      return members.map((leaving) => members.map((one) => (one === leaving ? spare : one)));
    });
    return [members, ...replaced];
  }

  /** The grant reaches its primary, which claims the epoch at its own replica. */
  #begin(state: ModelState, visit: Visit): void {
    for (const grant of this.#masters.at(valueAt(state, MASTERS)).grants) {
      const at = this.#primaries + grant.epoch - 1;
      if (this.#states.at(valueAt(state, at)) !== undefined) continue;
      const only = this.#settings.story?.primaries[grant.epoch - 1];
      if (only !== undefined && only !== grant.primary) continue;
      const begun = this.#parts.beginEpoch(grant);
      const claim = this.#flying.numberOf({
        kind: "toReplica",
        to: grant.primary,
        message: { kind: "claim", epoch: grant.epoch },
      });
      const own = COPIES + grant.primary - 1;
      const step = this.#takeAtCopy(valueAt(state, own), claim);
      if (step.kind === "halted" || step.answer < 0) continue;
      const label = `s${grant.primary} begins e${grant.epoch}`;
      const taken = this.#takeAtPrimary(this.#states.numberOf(begun.state), step.answer);
      visit(label, this.#primaryStepped(replaced(state, own, step.copy), grant.epoch, taken));
    }
  }

  /** A client sends a write, or sends it again, to a primary that takes it. */
  #submit(state: ModelState, visit: Visit): void {
    const ledger = this.#ledgers.at(valueAt(state, LEDGER));
    const writes = Math.min(ledger.submitted + 1, this.#settings.writes);
    for (let of = 1; of <= this.#settings.epochs; of++) {
      const primary = this.#states.at(valueAt(state, this.#primaries + of - 1));
      if (primary?.kind !== "leading" || primary.stage === "establishing") continue;
      const offered = this.#settings.story?.writes?.[of - 1];
      for (let write = 1; write <= writes; write++) {
        if (offered !== undefined && !offered.includes(write)) continue;
        if (primary.waiting.some(({ request }) => request === write)) continue;
        if (ledger.acks.some((ack) => ack.write === write && of <= ack.by)) continue;
        const input = {
          ...({ kind: "append", request: write, lengthBytes: 1, crc32c: write } as const),
          write: { client: CLIENT, writeSeq: write },
        };
        const submitted = Math.max(ledger.submitted, write);
        const number = this.#ledgers.numberOf({ ...ledger, submitted });
        const before = replaced(state, LEDGER, number);
        const step = this.#stepPrimary(primary, input);
        visit(`client sends w${write} to e${of}`, this.#primaryStepped(before, epoch(of), step));
      }
    }
  }

  /** Processes end and start again; disks are wiped. */
  #fail(state: ModelState, visit: Visit): void {
    const ledger = this.#ledgers.at(valueAt(state, LEDGER));
    for (const server of this.#servers) {
      const copy = this.#copies.at(valueAt(state, COPIES + server - 1));
      if (copy === undefined) continue;
      if (ledger.crashes < this.#settings.crashes) {
        const after = this.#copies.numberOf({ memory: copy.disk, disk: copy.disk });
        const noted = { ...ledger, crashes: ledger.crashes + 1 };
        visit(`s${server} restarts`, this.#fallen(state, server, noted, after));
      }
      if (ledger.wipes < this.#settings.wipes) {
        const memory = this.#parts.emptyReplica();
        const empty = this.#settings.keepsIdentity ? { memory, disk: memory } : undefined;
        const noted = { ...ledger, wipes: ledger.wipes + 1 };
        const after = this.#copies.numberOf(empty);
        visit(`s${server} loses its disk`, this.#fallen(state, server, noted, after));
      }
      if (ledger.damages < this.#settings.damages && 0 < copy.memory.history.lastSeq) {
        const change = { kind: "damage", intactTo: 0 } as const;
        const memory = this.#parts.changeReplica(copy.memory, change);
        const after = this.#copies.numberOf({ memory, disk: memory });
        const noted = { ...ledger, damages: ledger.damages + 1 };
        visit(`s${server} finds damage`, this.#fallen(state, server, noted, after));
      }
    }
  }

  #fallen(state: ModelState, server: ServerId, ledger: Ledger, copy: number): Outcome {
    const idle = this.#states.numberOf(undefined);
    const changes: [number, number][] = [
      [LEDGER, this.#ledgers.numberOf(ledger)],
      [COPIES + server - 1, copy],
    ];
    for (const grant of this.#masters.at(valueAt(state, MASTERS)).grants) {
      if (grant.primary === server) changes.push([this.#primaries + grant.epoch - 1, idle]);
    }
    return this.#next(state, changes, []);
  }

  #notice(state: ModelState, visit: Visit): void {
    for (let of = 1; of <= this.#settings.epochs; of++) {
      const primary = this.#states.at(valueAt(state, this.#primaries + of - 1));
      if (primary?.kind !== "leading" || primary.stage !== "active") continue;
      const step = this.#stepPrimary(primary, { kind: "resend" });
      visit(`e${of} says everything again`, this.#primaryStepped(state, epoch(of), step));
    }
  }

  #remove(state: ModelState, visit: Visit): void {
    const { authority } = this.#masters.at(valueAt(state, MASTERS));
    for (const server of this.#servers) {
      const copy = this.#copies.at(valueAt(state, COPIES + server - 1));
      if (!isSuperfluous(authority, server) || copy === undefined) continue;
      const message: ReplicaMessage = { kind: "remove", epoch: authority.lastActive.epoch };
      const number = this.#flying.numberOf({ kind: "toReplica", to: server, message });
      visit(`masters have s${server} remove its copy`, this.#next(state, [], [number]));
    }
  }

  #primaryStepped(state: ModelState, of: Epoch, step: PrimaryTaken): Outcome {
    if (step.kind === "halted") return { kind: "violation", what: step.what };
    const { primary, sent, outputs } = step;
    let noted: Noted = { kind: "ledger", ledger: this.#ledgers.at(valueAt(state, LEDGER)) };
    for (const output of outputs) {
      if (output.kind !== "appended" || noted.kind === "violation") continue;
      const { position, offset, request: write } = output;
      const ack = { write, epoch: position.epoch, seq: position.seq, offset, by: of };
      noted = noteAck(noted.ledger, ack);
    }
    return this.#noted(state, noted, [[this.#primaries + of - 1, primary]], sent);
  }

  #noted(
    state: ModelState,
    noted: Noted,
    changes: readonly (readonly [number, number])[],
    sent: readonly number[],
  ): Outcome {
    if (noted.kind === "violation") return noted;
    const ledger = this.#ledgers.numberOf(noted.ledger);
    return this.#next(state, [...changes, [LEDGER, ledger]], sent);
  }

  /** The state after these changes, without the messages that mean nothing any more. */
  #next(
    state: ModelState,
    changes: readonly (readonly [number, number])[],
    sent: readonly number[],
  ): Outcome {
    const next = state.slice(0, this.#messages);
    for (const [at, value] of changes) next[at] = value;
    const flying = new Set(state.slice(this.#messages));
    for (const number of sent) if (0 <= number) flying.add(number);
    // Dropping one may make another one meaningless: its answer is not awaited any more.
    for (let before = -1; before !== flying.size; ) {
      before = flying.size;
      for (const number of flying) if (this.#isDead(next, number, flying)) flying.delete(number);
    }
    const what = this.#disagreement(next);
    if (what !== undefined) return { kind: "violation", what };
    const urgent = this.#settings.hurries
      ? [...flying].find((number) => this.#isUrgent(next, number))
      : undefined;
    if (urgent !== undefined) flying.delete(urgent);
    const complete = [...next, ...[...flying].sort((a, b) => a - b)];
    return urgent === undefined
      ? { kind: "state", state: complete }
      : this.#arrived(complete, urgent);
  }

  #isUrgent(state: ModelState, number: number): boolean {
    const one = this.#flying.at(number);
    if (one.kind === "activated") return true;
    if (one.kind === "toReplica") return one.message.kind === "fetch";
    if (one.kind !== "toPrimary" || one.reply.kind === "fenced") return false;
    return this.#states.at(valueAt(state, this.#primaries + one.reply.epoch - 1)) !== undefined;
  }

  #isDead(state: ModelState, number: number, flying: ReadonlySet<number>): boolean {
    const one = this.#flying.at(number);
    switch (one.kind) {
      case "toReplica": {
        const reach = this.#settings.story?.reach?.[one.message.epoch - 1];
        if (reach !== undefined && !reach.includes(one.to)) return true;
        if (one.message.kind === "fence") {
          const primary = this.#states.at(valueAt(state, this.#primaries + one.message.epoch - 1));
          if (primary?.kind !== "fencing") return true;
        }
        const copy = valueAt(state, COPIES + one.to - 1);
        if (this.#copies.at(copy) === undefined) return true;
        const step = this.#takeAtCopy(copy, number);
        if (step.kind === "halted") return false;
        if (this.#settings.recalls) return false;
        if (step.isDead) return true;
        if (step.copy !== copy) return false;
        return flying.has(step.answer) || this.#isDead(state, step.answer, flying);
      }
      case "toPrimary": {
        if (one.reply.kind === "stale" || one.reply.kind === "removed") return true;
        const at = valueAt(state, this.#primaries + one.reply.epoch - 1);
        const primary = this.#states.at(at);
        if (primary === undefined) return this.#settings.crashes === 0;
        if (one.reply.kind === "fenced" && primary.kind !== "fencing") return true;
        return this.#changesNothing(at, number);
      }
      case "toMasters": {
        const { authority } = this.#masters.at(valueAt(state, MASTERS));
        return one.epoch !== authority.newest.epoch || one.epoch === authority.lastActive.epoch;
      }
      case "activated":
        return this.#changesNothing(valueAt(state, this.#primaries + one.epoch - 1), number);
    }
  }

  #changesNothing(primary: number, message: number): boolean {
    const step = this.#takeAtPrimary(primary, message);
    return step.kind === "taken" && step.primary === primary && step.outputs.length === 0;
  }

  /** C2, C3, C6: two copies that contradict each other. */
  #disagreement(state: ModelState): string | undefined {
    for (let a = COPIES; a < this.#primaries; a++) {
      for (let b = a + 1; b < this.#primaries; b++) {
        const what = this.#agree(valueAt(state, a), valueAt(state, b));
        if (what !== "") return what;
      }
    }
    return undefined;
  }

  #computeCopy(number: number, message: number): CopyStep {
    const copy = this.#copies.at(number);
    const flying = this.#flying.at(message);
    invariant(flying.kind === "toReplica", "a copy takes what is for it");
    if (copy === undefined) return { kind: "taken", copy: number, answer: -1, isDead: true };
    try {
      const { state: memory, write } = this.#parts.stepReplica(copy.memory, flying.message);
      const { change, then: reply } = write;
      const disk = change === undefined ? copy.disk : this.#parts.changeReplica(copy.disk, change);
      // What is refused in memory alone would be taken again after a restart.
      const isForGood = copy.disk.promised === copy.memory.promised;
      const isDead = reply.kind === "stale" && change === undefined && isForGood;
      const answer = this.#flying.numberOf({ kind: "toPrimary", from: flying.to, reply });
      return { kind: "taken", copy: this.#copies.numberOf({ memory, disk }), answer, isDead };
    } catch (error) {
      return halted(error);
    }
  }

  #computePrimary(number: number, message: number): PrimaryTaken {
    const state = this.#states.at(number);
    const flying = this.#flying.at(message);
    if (state === undefined) return { kind: "taken", primary: number, sent: [], outputs: [] };
    if (flying.kind === "toPrimary") {
      const { from, reply } = flying;
      return this.#stepPrimary(state, { kind: "received", from, reply });
    }
    invariant(flying.kind === "activated", "a primary takes what is for it");
    return this.#stepPrimary(state, { kind: "activated", isDone: true });
  }

  #stepPrimary(before: PrimaryState, input: PrimaryInput): PrimaryTaken {
    try {
      const { state, outputs } = this.#parts.stepPrimary(before, input);
      const sent = outputs.flatMap((output): number[] => {
        if (output.kind === "send") {
          const { to, message } = output;
          return [this.#flying.numberOf({ kind: "toReplica", to, message })];
        }
        if (output.kind !== "activate" || state.kind !== "leading") return [];
        const { history } = state;
        return [this.#flying.numberOf({ kind: "toMasters", epoch: output.epoch, history })];
      });
      return { kind: "taken", primary: this.#states.numberOf(state), sent, outputs };
    } catch (error) {
      return halted(error);
    }
  }
}

function halted(error: unknown): { readonly kind: "halted"; readonly what: string } {
  if (!(error instanceof InvariantViolation)) throw error;
  return { kind: "halted", what: `stopped itself: ${error.message}` };
}

function valueAt(state: ModelState, index: number): number {
  return state[index] as number;
}

function replaced(state: ModelState, at: number, value: number): ModelState {
  const next = [...state];
  next[at] = value;
  return next;
}

/** What two copies contradict each other in; empty if in nothing. */
function disagreement(a: Copy, b: Copy): string {
  if (a === undefined || b === undefined) return "";
  const left = a.memory;
  const right = b.memory;
  const count = Math.min(left.history.lastSeq, right.history.lastSeq);
  for (let seq = 1; seq <= count; seq++) {
    const one = left.history.at(seq);
    const other = right.history.at(seq);
    if (one === undefined || other === undefined) continue;
    const isSame = recordText(one) === recordText(other);
    if (one.epoch === other.epoch && !isSame) return `C3: two records at ${one.epoch}.${seq}`;
    if (!isSame && seq <= Math.min(left.commitSeq, right.commitSeq)) {
      return `C2: two committed records at ${seq}`;
    }
  }
  return "";
}

function mastersText({ authority, grants }: Masters): string {
  const given = grants.map(({ primary, members, previous }) => {
    return `${primary}@${members.join("")}<${previous?.epoch ?? 0}`;
  });
  return `${authorityText(authority)}; ${given.join(" ")}`;
}

function copyText(copy: Copy): string {
  if (copy === undefined) return "gone";
  const memory = replicaText(copy.memory);
  const disk = replicaText(copy.disk);
  return memory === disk ? memory : `${memory}; on disk ${disk}`;
}

function flyingText(flying: Flying): string {
  switch (flying.kind) {
    case "toReplica":
      return `s${flying.to} takes ${messageText(flying.message)}`;
    case "toPrimary":
      return `e${flying.reply.epoch} hears from s${flying.from}: ${replyText(flying.reply)}`;
    case "toMasters":
      return `masters record e${flying.epoch} as active with ${historyText(flying.history)}`;
    case "activated":
      return `e${flying.epoch} hears that it is active`;
  }
}
