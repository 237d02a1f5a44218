// The primary of one growing chunk in one epoch: the shell around replication/primary.ts. It takes
// appends of clients, lets the protocol decide, carries messages and bytes, and asks the masters.
//
// Y1. Appends are taken up in the order of their coming. While some are under way, those that come
//     are collected and go together: so one wait for the disk serves many.
// Y2. What is taken and not yet committed is bounded in records and bytes; more waits. So it does
//     for a member that answers and is a little behind: not for one that is silent, or far behind.
// Y3. A request is answered once: with its place, with what refused it, or with UNKNOWN_OUTCOME.

import {
  type ChunkHandle,
  type HeldLease,
  type Instant,
  isHeld,
  type LeaseTerms,
  type Logger,
  LumeoError,
  type MonotonicMs,
  renewHeld,
  type SealedContent,
  type ServerId,
} from "@lumeofs/base";
import type { ChainLink } from "@lumeofs/node/frames";
import { type AppendRecord, RECORD_BYTES_MAX } from "../replication/append-record.js";
import type { History } from "../replication/history.js";
import { APPENDABLE_BYTES_MAX, RECORDS_MAX } from "../replication/leading.js";
import type { ReplicaMessage, ReplicaReply } from "../replication/message.js";
import { beginEpoch, stepPrimary } from "../replication/primary.js";
import type {
  AppendRefusal,
  PrimaryInput,
  PrimaryOutput,
  PrimaryState,
  PrimaryStep,
} from "../replication/primary-state.js";
import { APPEND_BYTES_MAX, APPEND_RECORDS_MAX } from "../replication/progress.js";
import { beginRead, type CommittedView, mayEndRead } from "../replication/reads.js";
import type { AppendCall, AppendPlace } from "./append-call.js";
import { refusal, unknownOutcome } from "./append-errors.js";
import type { EpochOrder } from "./epoch-order.js";
import type { MemberLink } from "./member-link.js";
import type { OutboxPorts } from "./outbox.js";
import { RecordSource } from "./record-source.js";
import { SealRound } from "./seal-round.js";
import type { TailMasters } from "./tail-masters.js";
import { TailMembers } from "./tail-members.js";
import { recordsIn } from "./tail-range.js";
import type { RecordBytes } from "./tail-replica.js";
import type { TailStore } from "./tail-store.js";

/** Batches under way at once: full ones, and others. */
const FULL_BATCHES_MAX = 8;
const BATCHES_MAX = 2;
/** Bytes that are taken and not committed, or not durable here; one record may always go. */
const UNCOMMITTED_BYTES_MAX = 16 * 2 ** 20;
/** Requests that wait to be taken; more are refused. */
const HELD_MAX = 4_096;

export interface TailPrimaryPorts {
  readonly tails: TailStore;
  readonly link: MemberLink;
  readonly masters: TailMasters;
  readonly logger: Logger;
  readonly terms: LeaseTerms;
  readonly now: () => Instant;
  /** A tail that nobody appends to for this long is sealed. */
  readonly idleSealMs: number;
  /** It is over: sealed, or its epoch has ended. */
  readonly over: (primary: TailPrimary) => void;
}

interface Request extends AppendCall {
  readonly resolve: (place: AppendPlace) => void;
  readonly reject: (error: LumeoError) => void;
}

/** See the head of this file. */
export class TailPrimary {
  readonly order: EpochOrder;
  readonly #ports: TailPrimaryPorts;
  readonly #source: RecordSource;
  readonly #members: TailMembers;
  readonly #requests = new Map<number, Request>();
  #state: PrimaryState;
  #held: Request[] = [];
  #requestCount = 0;
  /** The last record of each batch that is not committed. */
  #batches: number[] = [];
  #asking: Promise<void> | undefined;
  #sealing: SealRound | undefined;
  readonly #sealWaiters: ((isSealed: boolean) => void)[] = [];
  #appendedAt: MonotonicMs;
  #lease: HeldLease | undefined;
  /** Asked for, perhaps before the epoch was active. */
  #isSealWanted = false;
  #isOver = false;

  private constructor(order: EpochOrder, ports: TailPrimaryPorts, begun: PrimaryStep) {
    this.order = order;
    this.#ports = ports;
    this.#state = begun.state;
    this.#appendedAt = ports.now().monotonicMs;
    this.#source = new RecordSource(order, ports);
    this.#members = new TailMembers(order.members.keys(), (server) => this.#toMember(server));
  }

  /** Begins the epoch. */
  static begin(order: EpochOrder, ports: TailPrimaryPorts): TailPrimary {
    const begun = beginEpoch(order.grant);
    const primary = new TailPrimary(order, ports, begun);
    primary.#carryOut(begun);
    return primary;
  }

  get handle(): ChunkHandle {
    return this.order.handle;
  }

  /** For people. */
  get stage(): string {
    return this.#state.kind === "leading" ? this.#state.stage : this.#state.kind;
  }

  /** Where clients find this primary. */
  get self(): ChainLink {
    return this.#source.self;
  }

  /** Committed bytes; undefined while the epoch is not active. */
  get committedBytes(): number | undefined {
    return beginRead(this.#state)?.lengthBytes;
  }

  /** Records, while the epoch is active and more are taken; else 0. */
  get growingRecords(): number {
    if (this.#state.kind !== "leading" || this.#state.stage !== "active") return 0;
    const { sealSeq, lastSeq } = this.#state.history;
    return sealSeq === undefined ? lastSeq : 0;
  }

  /**
   * Appends a record.
   *
   * @throws LumeoError NOT_PRIMARY, SEALED, CONFLICT, OVERLOADED: not taken; UNKNOWN_OUTCOME.
   */
  append(call: AppendCall): Promise<AppendPlace> {
    if (this.#isOver) return Promise.reject(refusal("notActive", this.handle));
    if (HELD_MAX <= this.#held.length) {
      const message = `Cannot append to chunk ${this.handle}: ${HELD_MAX} records wait`;
      return Promise.reject(new LumeoError("OVERLOADED", message));
    }
    this.#appendedAt = this.#now;
    return new Promise((resolve, reject) => {
      this.#held.push({ ...call, resolve, reject });
      this.#pump();
    });
  }

  /** The masters have said the order for this epoch again: with new addresses, or a new token. */
  renew(order: EpochOrder): void {
    this.#source.renew(order);
  }

  /** Takes no more, and seals; resolves to whether the masters have recorded it. */
  seal(): Promise<boolean> {
    if (this.#isOver) return Promise.resolve(false);
    this.#isSealWanted = true;
    this.#step({ kind: "seal" });
    return new Promise((resolve) => this.#sealWaiters.push(resolve));
  }

  /** What a read may see; undefined: the epoch is not active. */
  beginRead(): CommittedView | undefined {
    return beginRead(this.#state);
  }

  /** Whether what was read for this view may be given out now (rule 15). */
  mayEndRead(view: CommittedView): boolean {
    const lease = { terms: this.#ports.terms, held: this.#lease };
    return mayEndRead(view, this.#state, lease, this.#ports.now());
  }

  get isLeased(): boolean {
    const { terms, now } = this.#ports;
    return isHeld(terms, this.#lease, this.order.grant.epoch, now());
  }

  get lease(): HeldLease | undefined {
    return this.#lease;
  }

  /** The masters have renewed the lease that was asked for then. */
  renewed(askedAt: Instant): void {
    this.#lease = renewHeld(this.#lease, this.order.grant.epoch, askedAt);
  }

  /** No reads any more; before the masters are told so. */
  dropLease(): void {
    this.#lease = undefined;
  }

  /** Committed records that a range of the chunk touches. */
  recordsIn(offset: number, length: number, { position }: CommittedView): readonly AppendRecord[] {
    if (this.#state.kind !== "leading") return [];
    return recordsIn(this.#state.history.upTo(position.seq), offset, length);
  }

  offsetOf(record: AppendRecord): number {
    return this.#state.kind === "leading" ? this.#state.history.endOf(record.seq - 1) : 0;
  }

  /** The bytes of records that follow each other. @throws LumeoError */
  load(records: readonly AppendRecord[]): Promise<RecordBytes> {
    return this.#source.load(records);
  }

  /** The masters say that the epoch is over. */
  end(): void {
    this.#step({ kind: "activated", isDone: false });
  }

  /** Some time has passed. */
  tick(): void {
    const { monotonicMs: now } = this.#ports.now();
    const neglected = this.#members.neglected(this.#state, now);
    if (0 < neglected.size || this.#isUnasked) this.#step({ kind: "resend", to: neglected });
    this.#sealing?.tick(now);
    this.#pump();
    if (this.#state.kind !== "leading" || this.#state.stage !== "active") return;
    const { history } = this.#state;
    const isQuiet = this.#requests.size === 0 && this.#held.length === 0;
    const isIdle = isQuiet && this.#ports.idleSealMs <= now - this.#appendedAt;
    const isDue = isFull(history) || isIdle || this.#isSealWanted;
    if (isDue && history.sealSeq === undefined) this.#step({ kind: "seal" });
  }

  /** Whether there is something that the masters have not confirmed, and are not asked now. */
  get #isUnasked(): boolean {
    const state = this.#state;
    if (state.kind !== "leading" || this.#asking !== undefined) return false;
    const isSealed = (state.history.sealSeq ?? Infinity) <= state.commitSeq;
    const isUnsettled = state.stage === "active" && isSealed && this.#sealing === undefined;
    return state.stage === "activating" || isUnsettled;
  }

  /** Y1, Y2. */
  #pump(): void {
    while (0 < this.#held.length && this.#isRoomy()) {
      let bytes = 0;
      let count = 0;
      const outputs: PrimaryOutput[] = [];
      for (const { bytes: data } of this.#held.slice(0, APPEND_RECORDS_MAX)) {
        bytes += data.byteLength;
        if (0 < count && APPEND_BYTES_MAX < bytes) break;
        count++;
      }
      for (const request of this.#held.splice(0, count)) outputs.push(...this.#take(request));
      const { history } = this.#state as Extract<PrimaryState, { readonly kind: "leading" }>;
      this.#batches.push(history.lastSeq);
      for (const output of outputs) this.#put(output);
      // At once: whoever appends waits for the next chunk.
      if (isFull(history) && history.sealSeq === undefined) return this.#step({ kind: "seal" });
    }
  }

  #isRoomy(): boolean {
    const state = this.#state;
    const view = beginRead(state);
    if (view === undefined || state.kind !== "leading") return false;
    this.#batches = this.#batches.filter((lastSeq) => view.position.seq < lastSeq);
    const uncommitted = state.history.lengthBytes - view.lengthBytes;
    if (UNCOMMITTED_BYTES_MAX <= uncommitted + this.#source.freshBytes) return false;
    if (this.#members.isAnyAwaited(state, this.#now)) return false;
    const count = this.#batches.length;
    if (count < BATCHES_MAX) return true;
    const held = this.#held;
    let bytes = 0;
    for (const { bytes: data } of held.slice(0, APPEND_RECORDS_MAX)) bytes += data.byteLength;
    const isFullBatch = APPEND_RECORDS_MAX <= held.length || APPEND_BYTES_MAX / 2 <= bytes;
    return isFullBatch && count < FULL_BATCHES_MAX;
  }

  #take(request: Request): readonly PrimaryOutput[] {
    const number = ++this.#requestCount;
    const { write, crc32c, bytes } = request;
    this.#requests.set(number, request);
    const before = this.#state.kind === "leading" ? this.#state.history.lastSeq : 0;
    const asked = { request: number, write, lengthBytes: bytes.byteLength, crc32c };
    const { state, outputs } = stepPrimary(this.#state, { kind: "append", ...asked });
    this.#state = state;
    if (state.kind !== "leading" || state.history.lastSeq === before) return outputs;
    const record = state.history.at(state.history.lastSeq);
    if (record !== undefined) this.#source.add(record, request);
    return outputs;
  }

  #step(input: PrimaryInput): void {
    this.#carryOut(stepPrimary(this.#state, input));
  }

  #carryOut({ state, outputs }: PrimaryStep): void {
    this.#state = state;
    for (const output of outputs) this.#put(output);
    if (0 < this.#held.length) this.#pump();
  }

  #put(output: PrimaryOutput): void {
    switch (output.kind) {
      case "send":
        return this.#send(output.to, output.message);
      case "activate":
        return this.#ask(async () => {
          const outcome = await this.#ports.masters.activateEpoch(this.#tail);
          this.#step({ kind: "activated", isDone: outcome === "done" });
        });
      case "sealAtMasters":
        return this.#beginSealing(output.content);
      case "appended": {
        const { position, offset } = output;
        return this.#requestOf(output.request)?.resolve({ position, offset });
      }
      case "refused":
        return this.#requestOf(output.request)?.reject(this.#refused(output.why));
      case "sealed":
        return this.#finishSealing();
      case "ended":
        return this.#ended(output);
    }
  }

  #send(to: ServerId, message: ReplicaMessage): void {
    if (message.kind === "fetch") this.#source.donor = to;
    this.#members.send(to, message, this.#now);
  }

  #toMember(to: ServerId): OutboxPorts {
    return {
      hold: (records) => this.#source.hold(to, records),
      say: async (message, held) => {
        const reply = await this.#source.say(to, message, held);
        if (reply !== undefined && !this.#isOver) this.#received(to, reply);
      },
      failed: (error) => this.#failed(to, error),
    };
  }

  #received(from: ServerId, reply: ReplicaReply): void {
    this.#members.heard(from, this.#now);
    if (reply.kind === "appended" && from === this.order.grant.primary) {
      this.#source.durable(reply.durable);
    }
    this.#step({ kind: "received", from, reply });
    if (this.#sealing?.isAwaiting(from) === true) this.#sealing.tick(this.#now);
  }

  get #now(): MonotonicMs {
    return this.#ports.now().monotonicMs;
  }

  #hasMatched(server: ServerId, seq: number): boolean {
    const progress = this.#state.kind === "leading" ? this.#state.progress.get(server) : undefined;
    return seq <= (progress?.matched ?? 0);
  }

  #failed(server: ServerId, error: LumeoError): void {
    const { logger } = this.#ports;
    const { code } = error;
    logger.debug("member not reached", { chunk: this.handle, server, code, error });
    // Without room here the others would go on for ever with what this server cannot keep; and who
    // cannot even claim the epoch, because its own copy is in doubt, cannot lead it.
    const isHopeless = code === "NO_SPACE" || this.#state.kind === "claiming";
    if (server === this.order.grant.primary && isHopeless) this.end();
  }

  /** One question to the masters at a time; what fails is asked again at a later tick. */
  #ask(question: () => Promise<void>): void {
    this.#asking ??= question()
      .catch((thrown: unknown) => {
        if (!(thrown instanceof LumeoError)) throw thrown;
        this.#ports.logger.debug("masters not asked", { chunk: this.handle, error: thrown });
      })
      .finally(() => {
        this.#asking = undefined;
      });
  }

  #beginSealing(content: SealedContent): void {
    const state = this.#state;
    if (this.#sealing !== undefined || state.kind !== "leading") return;
    const { sealSeq } = state.history;
    const seal = sealSeq === undefined ? undefined : state.history.positionAt(sealSeq);
    if (seal === undefined || seal.epoch === 0) return;
    const { masters } = this.#ports;
    const chunkEpoch = seal.epoch;
    this.#sealing = new SealRound({
      members: state.grant.members,
      hasSeal: (server) => this.#hasMatched(server, seal.seq),
      now: () => this.#now,
      tell: (server, kind) => {
        return this.#source.tell(server, { kind, epoch: state.grant.epoch, seal });
      },
      stale: (from, reply) => this.#received(from, reply),
      isSilent: (server) => this.#members.isSilent(server, this.#now),
      record: async () => {
        const outcome = await masters.recordSeal(this.#tail, content, chunkEpoch);
        this.#step({ kind: "sealRecorded", isDone: outcome === "done" });
      },
      finished: (unfinished) => this.#finished(unfinished),
      own: state.grant.primary,
      failed: (server, error) => this.#failed(server, error),
    });
    this.#sealing.tick(this.#now);
  }

  #finishSealing(): void {
    for (const told of this.#sealWaiters.splice(0)) told(true);
    for (const request of this.#takeOpen()) request.reject(refusal("sealed", this.handle));
    this.#sealing?.finish();
  }

  /** The chunk is sealed; members that may not have it are named to the masters, for a look. */
  #finished(unfinished: readonly ServerId[]): void {
    const { logger, masters } = this.#ports;
    for (const server of unfinished) {
      masters.doubt(this.handle, server).catch((error: unknown) => {
        logger.debug("masters not told", { chunk: this.handle, error });
      });
    }
    this.#close();
  }

  #ended({ why, unknown }: Extract<PrimaryOutput, { readonly kind: "ended" }>): void {
    const { logger, masters } = this.#ports;
    const { epoch } = this.order.grant;
    logger.info("epoch ended", { chunk: this.handle, epoch, code: why });
    for (const number of unknown) this.#requestOf(number)?.reject(unknownOutcome(this.handle));
    for (const request of this.#takeOpen()) request.reject(refusal("notActive", this.handle));
    for (const told of this.#sealWaiters.splice(0)) told(false);
    masters.endEpoch(this.#tail, why).catch((error: unknown) => {
      logger.debug("masters not told", { chunk: this.handle, error });
    });
    this.#close();
  }

  /** Ends without the protocol: the process is stopping. */
  abandon(): void {
    for (const number of [...this.#requests.keys()]) {
      this.#requestOf(number)?.reject(unknownOutcome(this.handle));
    }
    for (const request of this.#takeOpen()) request.reject(refusal("notActive", this.handle));
    for (const told of this.#sealWaiters.splice(0)) told(false);
    this.#close();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#members.clear();
    this.#source.close();
    this.#sealing?.stop();
    this.#ports.over(this);
  }

  #takeOpen(): readonly Request[] {
    return this.#held.splice(0);
  }

  #requestOf(number: number): Request | undefined {
    const request = this.#requests.get(number);
    this.#requests.delete(number);
    return request;
  }

  get #tail() {
    return { handle: this.handle, epoch: this.order.grant.epoch };
  }

  #refused(why: AppendRefusal): LumeoError {
    if (why === "full") this.#step({ kind: "seal" });
    return refusal(why, this.handle);
  }
}

/** Whether a record might find no place any more. */
function isFull({ lengthBytes, lastSeq }: History): boolean {
  const isLong = APPENDABLE_BYTES_MAX - RECORD_BYTES_MAX < lengthBytes;
  return isLong || RECORDS_MAX <= lastSeq + 1;
}
