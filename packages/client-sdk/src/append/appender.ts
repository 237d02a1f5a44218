// Appends of this client to one file: numbered, in order, many under way at once.
//
// A1. A record keeps its number (session, writeSeq) whatever happens, and the chunk keeps each
//     number once: so it may be sent again whenever its answer is missing.
// A2. Records of one appender stand in the file in the order in which they were given. After a
//     failure, and at a new place, one record goes alone; the others follow when it has its place.
// A3. A record that may stand in a chunk that is sealed by now goes nowhere else before that chunk
//     has said that it does not (`appendLookup`). If nobody can say, its outcome is unknown, and it
//     is not sent again.
// A4. What one call gives up, the others do not: each has its own patience.

import { LumeoError, type MonotonicMs } from "@lumeofs/base";
import type { Call } from "../call.js";
import type { Metadata } from "../metadata.js";
import type { TailLocation } from "../operations.js";
import type { PlacementPolicies } from "../placement-policies.js";
import type { Ports } from "../ports.js";
import type { NumberedRecord, TailPool } from "../rpc/tail-pool.js";
import { isTokenRefusal } from "../token-refusal.js";
import { SilenceWatch } from "./silence-watch.js";

/** Under way at once. */
const WINDOW_RECORDS = 128;
const WINDOW_BYTES = 4 * 1024 * 1024;
/** What is not answered for so long is sent again. */
const ANSWER_MS = 3_000;
/** A primary that says nothing for so long is reported: the masters ask it, and decide. */
const SILENT_MS = 1_000;
/** How long a record is tried, if its call does not end sooner. */
const PATIENCE_MS = 60_000;
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 500;

/** What an appender is to do about a file that is not there. */
export interface FileWish {
  readonly create: boolean;
  readonly makeParents: boolean;
  /** Undefined: as the policy of the directory says. */
  readonly replicas: number | undefined;
}

/** Where a record stands, in the file. */
export interface Appended {
  readonly offset: number;
  readonly handle: number;
  readonly epoch: number;
  readonly seq: number;
}

export interface AppenderParts {
  readonly metadata: Metadata;
  readonly tails: TailPool;
  readonly policies: PlacementPolicies;
  readonly ports: Ports;
}

interface Entry extends NumberedRecord {
  readonly call: Call;
  readonly wish: FileWish;
  readonly since: MonotonicMs;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
  /** The tail in which it may stand already, though nobody has said so. */
  doubt: TailLocation | undefined;
  isSettled: boolean;
  isUnderWay: boolean;
}

export class Appender {
  readonly #path: string;
  readonly #parts: AppenderParts;
  readonly #session: number;
  #lastSeq = 0;
  /** In order; those in front may be under way. */
  readonly #queue: Entry[] = [];
  #isRunning = false;
  #tail: TailLocation | undefined;
  /** Found out while records were under way elsewhere. */
  #nextTail: TailLocation | undefined;
  /** Of the last tail that refused because it was sealed. */
  #sealed = 0;
  /** A record has got its place at `#tail`: the next ones may follow it at once (A2). */
  #isProven = false;
  #failures = 0;
  /** Sends what has come, while there is room under way. */
  #sendMore: () => void = noop;
  lastUsed: MonotonicMs;

  constructor(path: string, session: number, parts: AppenderParts) {
    this.#path = path;
    this.#session = session;
    this.#parts = parts;
    this.lastUsed = parts.ports.clock.monotonicMs();
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && !this.#isRunning;
  }

  /** Appends a record behind all that were given before. */
  append(call: Call, bytes: Uint8Array, wish: FileWish): Promise<Appended> {
    const now = this.#parts.ports.clock.monotonicMs();
    this.lastUsed = now;
    const placed = new Promise<Appended>((resolve, reject) => {
      this.#queue.push({
        session: this.#session,
        writeSeq: ++this.#lastSeq,
        bytes,
        sums: this.#parts.tails.sumsOf(bytes),
        call,
        wish,
        since: now,
        resolve,
        reject,
        doubt: undefined,
        isSettled: false,
        isUnderWay: false,
      });
    });
    if (this.#isRunning) this.#sendMore();
    else void this.#run();
    return placed;
  }

  /** Rounds until nothing is left: find the place, send, and look what came of it. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let head = this.#head(); head !== undefined; head = this.#head()) {
        try {
          await this.#round(head);
        } catch (error) {
          this.#settle(head, () => head.reject(error));
        }
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** The first record that is still wanted. */
  #head(): Entry | undefined {
    for (;;) {
      const [first] = this.#queue;
      if (first === undefined) return undefined;
      const { cancellation } = first.call;
      if (!first.isSettled && !cancellation.aborted) return first;
      this.#settle(first, () => first.reject(cancellation.reason));
      this.#queue.shift();
    }
  }

  async #round(head: Entry): Promise<void> {
    if (0 < this.#failures) await this.#pause(head);
    const tail = this.#tail ?? (await this.#locate(head));
    this.#tail = tail;
    if (head.doubt !== undefined && head.doubt.handle !== tail.handle) {
      await this.#resolveDoubt(head, head.doubt);
      return;
    }
    this.#nextTail = undefined;
    const failure = await this.#send(tail, head);
    if (failure === undefined) {
      this.#failures = 0;
      return;
    }
    this.#isProven = false;
    this.#tail = this.#nextTail;
    if (this.#tail !== undefined) return;
    this.#failures += 1;
    await this.#learn(head, tail, failure);
  }

  /** Where to append now. */
  async #locate(head: Entry): Promise<TailLocation> {
    const { create, makeParents } = head.wish;
    const replicas = head.wish.replicas ?? (await this.#replicasFor(head));
    const ask = { path: this.#path, create, makeParents, replicas, sealedHandle: this.#sealed };
    const { tail } = await this.#parts.metadata.askLeader(head.call, "openTail", ask);
    this.#isProven = false;
    return tail;
  }

  async #replicasFor({ call }: Entry): Promise<number> {
    return (await this.#parts.policies.placementFor(call, this.#path)).replicas;
  }

  /**
   * Sends from the front, as many as may be under way, until one fails or none is left.
   *
   * @returns The first failure, when all that was under way has ended.
   */
  #send(tail: TailLocation, head: Entry): Promise<LumeoError | undefined> {
    const watch = new SilenceWatch(this.#parts.ports, SILENT_MS, () => this.#askAbout(tail, head));
    return new Promise((resolve) => {
      let failure: LumeoError | undefined;
      let records = 0;
      let bytes = 0;
      const next = (): void => {
        while (this.#queue[0]?.isSettled === true) this.#queue.shift();
        for (;;) {
          const isOpen = failure === undefined && this.#mayFollow(records, bytes);
          const entry = isOpen ? this.#unsent(tail) : undefined;
          if (entry === undefined) break;
          records += 1;
          bytes += entry.bytes.byteLength;
          void this.#sendOne(tail, entry, watch).then((error) => {
            records -= 1;
            bytes -= entry.bytes.byteLength;
            failure ??= error;
            next();
          });
        }
        if (records !== 0) return;
        this.#sendMore = noop;
        watch.close();
        resolve(failure);
      };
      this.#sendMore = next;
      next();
    });
  }

  /** Whether one more record may go while so many are under way. (A2) */
  #mayFollow(records: number, bytes: number): boolean {
    if (records === 0) return true;
    return this.#isProven && records < WINDOW_RECORDS && bytes < WINDOW_BYTES;
  }

  /** The next record that is to be sent; none behind one that must be looked for first. (A3) */
  #unsent(tail: TailLocation): Entry | undefined {
    for (const entry of this.#queue) {
      if (entry.isSettled || entry.isUnderWay) continue;
      if (entry.call.cancellation.aborted) {
        this.#settle(entry, () => entry.reject(entry.call.cancellation.reason));
        continue;
      }
      return entry.doubt === undefined || entry.doubt.handle === tail.handle ? entry : undefined;
    }
    return undefined;
  }

  async #sendOne(
    tail: TailLocation,
    entry: Entry,
    watch: SilenceWatch,
  ): Promise<LumeoError | undefined> {
    const { tails } = this.#parts;
    const [primary] = tail.replicas;
    if (primary === undefined) return new LumeoError("UNAVAILABLE", "a tail has no primary");
    const before = entry.doubt;
    entry.isUnderWay = true;
    entry.doubt = tail;
    try {
      const placed = await watch.during(entry.call.cancellation, (signal) =>
        tails.append(primary, tail, entry, { timeoutMs: ANSWER_MS, signal }),
      );
      const { epoch, seq, offset } = placed;
      const appended = { offset: tail.offset + offset, handle: tail.handle, epoch, seq };
      this.#isProven = true;
      this.#settle(entry, () => entry.resolve(appended));
      return undefined;
    } catch (thrown) {
      if (!(thrown instanceof LumeoError)) {
        this.#settle(entry, () => entry.reject(thrown));
        return undefined;
      }
      if (thrown.code === "SEALED") entry.doubt = undefined;
      else if (thrown.outcome === "rejected") entry.doubt = before;
      if (entry.call.cancellation.aborted || isFinal(thrown)) {
        this.#settle(entry, () => entry.reject(thrown));
        return undefined;
      }
      return thrown;
    } finally {
      entry.isUnderWay = false;
    }
  }

  /**
   * The primary says nothing. The masters are told, who ask it; where records go to by then.
   *
   * @returns Why nothing is to be awaited from it any more; undefined if it still is the primary.
   */
  async #askAbout(tail: TailLocation, head: Entry): Promise<LumeoError | undefined> {
    const { handle, epoch } = tail;
    const why = `it has not answered for ${SILENT_MS} ms`;
    try {
      const { metadata } = this.#parts;
      await metadata.askLeader(head.call, "reportTail", { handle, epoch, why });
      const now = await this.#locate(head);
      if (now.handle === handle && now.epoch === epoch) return undefined;
      this.#nextTail = now;
      return new LumeoError("TIMEOUT", `No answer from the primary of chunk ${handle}: ${why}`);
    } catch {
      return undefined; // what was sent is awaited as long as ever
    }
  }

  /** What a failure says about the tail, and who is to hear of it. */
  async #learn(head: Entry, tail: TailLocation, failure: LumeoError): Promise<void> {
    const { handle, epoch } = tail;
    if (failure.code === "SEALED") {
      this.#sealed = handle;
      this.#failures = 0;
      return;
    }
    const isOverdue = PATIENCE_MS <= this.#parts.ports.clock.monotonicMs() - head.since;
    if (isOverdue) throw head.doubt === undefined ? failure : unknown(this.#path, failure);
    const isBusy = failure.code === "OVERLOADED" || failure.code === "NO_SPACE";
    if (isBusy || isTokenRefusal(failure)) return;
    const why = `${failure.code}: ${failure.message}`;
    await this.#parts.metadata
      .askLeader(head.call, "reportTail", { handle, epoch, why })
      .catch(() => undefined); // the place is asked for next, and that must succeed
  }

  /** Whether a record stands in a tail that has gone out of use. (A3) */
  async #resolveDoubt(entry: Entry, doubt: TailLocation): Promise<void> {
    const { tails, ports } = this.#parts;
    const limits = { timeoutMs: ANSWER_MS, signal: entry.call.cancellation };
    // All at once: one of them may stand still, and there may be many records to ask about.
    const asked = doubt.replicas.map((replica) => tails.lookUp(replica, doubt, entry, limits));
    try {
      const offset = await Promise.any(asked);
      entry.doubt = undefined;
      this.#failures = 0;
      if (offset === undefined) return;
      const { epoch, handle } = doubt;
      const appended = { offset: doubt.offset + offset, handle, epoch, seq: 0 };
      this.#settle(entry, () => entry.resolve(appended));
    } catch (thrown) {
      const last = thrown instanceof AggregateError ? thrown.errors.at(-1) : thrown;
      if (!(last instanceof LumeoError)) throw last;
      entry.call.cancellation.throwIfAborted();
      this.#failures += 1;
      const isOverdue = PATIENCE_MS <= ports.clock.monotonicMs() - entry.since;
      if (isOverdue) throw unknown(this.#path, last);
    }
  }

  #settle(entry: Entry, settle: () => void): void {
    if (entry.isSettled) return;
    entry.isSettled = true;
    settle();
  }

  #pause(head: Entry): Promise<void> {
    const ceiling = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(this.#failures, 6));
    return head.call.pause(ceiling * (0.5 + this.#parts.ports.random.fraction() / 2));
  }
}

/** No other try would end otherwise. */
function isFinal({ code }: LumeoError): boolean {
  return code === "CONFLICT" || code === "INVALID_ARGUMENT" || code === "CLOSED";
}

function unknown(path: string, cause: LumeoError | undefined): LumeoError {
  const why = "no server could say whether it stands there; read the end of the file";
  const message = `Cannot tell whether a record was appended to "${path}": ${why}`;
  return new LumeoError("UNKNOWN_OUTCOME", message, { cause });
}

function noop(): void {}
