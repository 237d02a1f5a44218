// Calls on the masters with repetition and exactly-once effect.
//
// M1. A mutation keeps its RequestId through all its repetitions, so that one whose answer was lost
//     takes effect once and gets its first answer (Raft §8).
// M2. A session that the masters have forgotten is replaced. A mutation goes on in the new session
//     only if none of its attempts can have taken effect in the old one.

import { LumeoError } from "@lumeofs/base";
import type { Call, StepOptions } from "./call.js";
import {
  type Answer,
  type Ask,
  type Freshness,
  LATEST,
  type Masters,
  type Mutations,
  type OperationKind,
  type Queries,
  type ReadWish,
  type SharedRead,
} from "./operations.js";
import { RequestLedger } from "./request-ledger.js";

/** How long an operation is repeated while masters answer, but none of them leads. */
const ELECTION_MS_MAX = 60_000;
/** How long it is repeated while no master can be connected to. */
export const UNREACHABLE_MS_MAX = 5_000;

interface Session {
  readonly id: number;
  readonly inlineBytesMax: number;
  readonly ledger: RequestLedger;
  /** Callers that wait for room in the ledger's window. */
  readonly waiting: (() => void)[];
}

/** The place of a mutation in a session. */
interface Turn {
  readonly session: Session;
  readonly sequence: number;
}

interface Mutation<K extends keyof Mutations> {
  readonly kind: K;
  readonly ask: Ask<K>;
  /** How many sessions before this one had been forgotten. */
  readonly changes: number;
  readonly isFinal: ((error: LumeoError) => boolean) | undefined;
}

/** How often a mutation that has surely not taken effect moves to a new session. */
const SESSION_CHANGES_MAX = 3;

export class Metadata {
  readonly #masters: Masters;
  readonly #step: StepOptions;
  #session: Promise<Session> | undefined;
  /** What `#session` has become; undefined before that, and once it is forgotten. */
  #current: Session | undefined;

  constructor(masters: Masters) {
    this.#masters = masters;
    const limitMs = (): number => (masters.isUnreachable ? UNREACHABLE_MS_MAX : ELECTION_MS_MAX);
    this.#step = { idempotent: true, limitMs };
  }

  /** An operation that changes nothing, as fresh as `wish`: by default, as the call wants it. */
  query<K extends keyof Queries>(
    call: Call,
    kind: K,
    ask: Ask<K>,
    wish: ReadWish = call.wish,
  ): Promise<Answer<K>> {
    const read = { wish, answered: (freshness: Freshness) => call.read(freshness) };
    return this.#ask(call, kind, ask, read);
  }

  /** A query that only the leader answers. */
  askLeader<K extends keyof Queries>(call: Call, kind: K, ask: Ask<K>): Promise<Answer<K>> {
    return this.#ask(call, kind, ask, undefined);
  }

  /** Waits until there is a leader that answers. */
  async reachLeader(call: Call): Promise<void> {
    const ask = { path: "/", firstChunk: 0, chunkCountMax: 0, revision: 0, version: 0 };
    await this.query(call, "stat", ask, LATEST);
  }

  #ask<K extends keyof Queries>(
    call: Call,
    kind: K,
    ask: Ask<K>,
    read: SharedRead | undefined,
  ): Promise<Answer<K>> {
    const { timeoutMs, cancellation: signal } = call;
    return call.run(this.#step, () =>
      this.#masters.attempt({ kind, ask, read, request: undefined, timeoutMs, signal }),
    );
  }

  /**
   * An operation that changes something: takes effect at most once, however often it is sent.
   *
   * @param isFinal  Refusals that the caller wants to hear of at once, though they may pass.
   */
  mutate<K extends keyof Mutations>(
    call: Call,
    kind: K,
    ask: Ask<K>,
    isFinal?: (error: LumeoError) => boolean,
  ): Promise<Answer<K>> {
    return this.#mutate(call, { kind, ask, changes: 0, isFinal });
  }

  /**
   * Files of at most so many bytes may come with their commit, as the masters said when they opened
   * the session; 0 for none.
   */
  inlineBytesMax(call: Call): number | Promise<number> {
    const session = this.#current;
    if (session !== undefined) return session.inlineBytesMax;
    return this.#openSession(call).then(({ inlineBytesMax }) => inlineBytesMax);
  }

  /** At once, or when there is a session with room in its window. */
  #mutate<K extends keyof Mutations>(call: Call, mutation: Mutation<K>): Promise<Answer<K>> {
    const session = this.#current;
    const sequence = session?.ledger.begin();
    if (session !== undefined && sequence !== undefined) {
      return this.#mutateIn(call, { ...mutation, session, sequence });
    }
    return this.#turn(call).then((turn) => this.#mutateIn(call, { ...mutation, ...turn }));
  }

  async #turn(call: Call): Promise<Turn> {
    const session = this.#current ?? (await this.#openSession(call));
    return { session, sequence: session.ledger.begin() ?? (await begin(session)) };
  }

  #mutateIn<K extends keyof Mutations>(
    call: Call,
    mutation: Mutation<K> & Turn,
  ): Promise<Answer<K>> {
    const { session, sequence, kind, ask, changes, isFinal } = mutation;
    const { idempotent, limitMs } = this.#step;
    let mayHaveApplied = false;
    const onFailure = (error: LumeoError): void => {
      if (error.outcome === "unknown" && !isForgotten(error)) mayHaveApplied = true;
    };
    const succeeded = (answer: Answer<K>): Answer<K> => {
      end(session, sequence);
      return answer;
    };
    const failed = (error: unknown): Promise<Answer<K>> => {
      end(session, sequence);
      if (!isForgotten(error)) throw error;
      this.#forget(session);
      if (mayHaveApplied || SESSION_CHANGES_MAX <= changes) throw unknownOutcome(kind, error);
      return this.#mutate(call, { kind, ask, changes: changes + 1, isFinal });
    };
    const attempt = (): Promise<Answer<K>> => this.#attempt(call, mutation);
    return call.run({ idempotent, limitMs, onFailure, isFinal }, attempt).then(succeeded, failed);
  }

  #attempt<K extends OperationKind>(
    call: Call,
    on: { session: Session; sequence: number; kind: K; ask: Ask<K> },
  ): Promise<Answer<K>> {
    const { session, sequence, kind, ask } = on;
    const { answeredBelow } = session.ledger;
    const request = { session: session.id, sequence, answeredBelow };
    return this.#masters.attempt({
      kind,
      ask,
      read: undefined,
      request,
      timeoutMs: call.timeoutMs,
      signal: call.cancellation,
    });
  }

  /** The session, opened by the first who needs it; whoever waits for one that fails tries anew. */
  async #openSession(call: Call): Promise<Session> {
    for (;;) {
      call.cancellation.throwIfAborted();
      const known = this.#session;
      if (known === undefined) return this.#openNewSession(call);
      const session = await known.catch(() => undefined);
      if (session !== undefined) return session;
    }
  }

  async #openNewSession(call: Call): Promise<Session> {
    const opening = this.#ask(call, "openSession", {}, undefined).then((opened) => ({
      id: opened.session,
      inlineBytesMax: opened.inlineBytesMax,
      ledger: new RequestLedger(),
      waiting: [],
    }));
    this.#session = opening;
    try {
      const session = await opening;
      if (this.#session === opening) this.#current = session;
      return session;
    } catch (error) {
      if (this.#session === opening) this.#session = undefined;
      throw error;
    }
  }

  /** The next mutation opens another one. */
  #forget(session: Session): void {
    if (this.#current !== session) return;
    this.#current = undefined;
    this.#session = undefined;
  }
}

async function begin(session: Session): Promise<number> {
  for (;;) {
    const sequence = session.ledger.begin();
    if (sequence !== undefined) return sequence;
    await new Promise<void>((resolve) => session.waiting.push(resolve));
  }
}

function end(session: Session, sequence: number): void {
  session.ledger.end(sequence);
  if (session.waiting.length === 0) return;
  for (const resume of session.waiting.splice(0)) resume();
}

function isForgotten(error: unknown): boolean {
  return error instanceof LumeoError && error.code === "SESSION_EXPIRED";
}

function unknownOutcome(kind: string, cause: unknown): LumeoError {
  return new LumeoError(
    "SESSION_EXPIRED",
    `Cannot tell whether "${kind}" took effect: its answer is forgotten; look before repeating`,
    { cause },
  );
}
