// A simulated client: it turns to whichever master serves it and sends a request again until it is
// answered, in a session, as the SDK does. What it asks for is drawn by a workload.

import { integerBetween, LumeoError, type SeededRandom, type SessionId } from "@lumeofs/base";
import type { SimNetwork, World } from "@lumeofs/testkit";
import type { Consistency } from "../../src/consensus/read-gate.js";
import type { Command, Reply } from "../../src/metadata/command.js";
import type { StateReader } from "../../src/metadata/state.js";
import type { SwarmOptions } from "./options.js";
import type { Outcomes } from "./outcomes.js";

/** What travels between clients and masters. */
export type ClientParcel =
  | { readonly kind: "request"; readonly number: number; readonly body: RequestBody }
  | { readonly kind: "reply"; readonly number: number; readonly body: ReplyBody };

/** Reads a state; the answer is text, so that answers can be compared. */
export type Look = (reader: StateReader) => Promise<string> | string;

export type RequestBody =
  | {
      readonly kind: "command";
      readonly command: Command;
      readonly request: { readonly session: SessionId; readonly sequence: number } | undefined;
      readonly answeredBelow: number;
    }
  | { readonly kind: "query"; readonly look: Look; readonly consistency: Consistency };

export type ReplyBody =
  | { readonly kind: "reply"; readonly reply: Reply }
  | Found
  | { readonly kind: "failed"; readonly error: LumeoError };

/** What a read has shown. */
export interface Found {
  readonly kind: "found";
  readonly answer: string;
  /** The last entry that the state contained. */
  readonly at: number;
  /** When it was read, in true time, and how old the state was then, as its master says. */
  readonly readMs: number;
  readonly ageMs: number;
}

/** How a command ended for the client that asked for it. */
export type Ending =
  | { readonly kind: "replied"; readonly reply: Reply }
  /** It lives with not knowing. `request` is the name by which `Outcomes` knows it. */
  | { readonly kind: "givenUp"; readonly request: string };

const BACKOFF_MS_MAX = 60;
const PATIENCE_MS_MAX = 1_600;

export interface ClientParts {
  readonly world: World;
  readonly network: SimNetwork<ClientParcel>;
  /** All that may serve, at this time. */
  readonly masters: () => readonly string[];
  readonly options: SwarmOptions;
  readonly outcomes: Outcomes;
}

export class Client {
  readonly random: SeededRandom;
  #session: SessionId | undefined;
  #sequence = 0;
  #requests = 0;
  #master: string;
  #isStopping = false;
  #patienceMs: number;
  readonly #waiting = new Map<number, (body: ReplyBody) => void>();
  readonly #parts: ClientParts;

  constructor(
    readonly name: string,
    parts: ClientParts,
  ) {
    this.#parts = parts;
    this.#patienceMs = parts.options.timeoutMs;
    this.random = parts.world.random(`client ${name}`);
    this.#master = this.#anyMaster();
    parts.network.attach(name, (_from, parcel) => {
      if (parcel.kind === "reply") this.#waiting.get(parcel.number)?.(parcel.body);
    });
  }

  /** Finishes what it is doing and begins nothing more. */
  stop(): void {
    this.#isStopping = true;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Does nothing for a while, as users do. */
  think(): Promise<void> {
    return this.sleep(-Math.log(1 - this.random.fraction()) * this.#parts.options.thinkMsMean);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#parts.world.after(ms, resolve));
  }

  /** What the state shows to a read that must be linearizable; undefined if it was given up. */
  async query(look: Look): Promise<string | undefined> {
    const { outcomes } = this.#parts;
    for (;;) {
      const { known } = outcomes;
      // A lease must be worth as much as a majority that was asked.
      const consistency = this.chance(this.#parts.options.leaseShare) ? "lease" : "linearizable";
      const reply = await this.#send({ kind: "query", look, consistency });
      if (reply?.kind === "found") {
        outcomes.shown(reply.at, known);
        return reply.answer;
      }
      await this.#turnElsewhere(reply);
      if (this.#givesUp()) return undefined;
    }
  }

  /** Looks at whatever state some master has, however old: it must be as old as it says. */
  async glance(): Promise<void> {
    this.#master = this.#anyMaster();
    const reply = await this.#send({ kind: "query", look: () => "", consistency: "stale" });
    if (reply?.kind === "found") this.#parts.outcomes.glanced(reply);
  }

  /** One command with effect at most once. */
  async mutate(command: Command): Promise<Ending> {
    this.#session ??= await this.#openSession();
    const request = { session: this.#session, sequence: ++this.#sequence };
    const name = `${request.session}/${request.sequence}`;
    const body = { kind: "command", command, request, answeredBelow: request.sequence } as const;
    for (;;) {
      const sent = await this.#send(body);
      if (sent?.kind === "reply" && !isTryAgain(sent.reply)) {
        const { reply } = sent;
        if (reply.kind === "refused" && reply.code === "SESSION_EXPIRED") {
          throw new Error("a session in use has expired");
        }
        this.#parts.outcomes.told(name);
        return { kind: "replied", reply };
      }
      await this.#turnElsewhere(sent);
      if (this.#givesUp()) return { kind: "givenUp", request: name };
    }
  }

  /** A command without session, until it is done: its effect may come twice. */
  async insist(command: Command): Promise<Reply> {
    const body = { kind: "command", command, request: undefined, answeredBelow: 0 } as const;
    for (;;) {
      const sent = await this.#send(body);
      if (sent?.kind === "reply" && !isTryAgain(sent.reply)) return sent.reply;
      await this.#turnElsewhere(sent);
    }
  }

  /** An integer in [low, high]. */
  integer(low: number, high: number): number {
    return integerBetween(this.random, low, high);
  }

  oneOf<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)] as T;
  }

  chance(share: number): boolean {
    return this.random.fraction() < share;
  }

  async #openSession(): Promise<SessionId> {
    this.#sequence = 0;
    const reply = await this.insist({ kind: "openSession" });
    if (reply.kind !== "sessionOpened") throw new Error(`no session: ${JSON.stringify(reply)}`);
    return reply.session;
  }

  /** Undefined if nothing came back in time. */
  #send(body: RequestBody): Promise<ReplyBody | undefined> {
    const number = ++this.#requests;
    const { network, world, options } = this.#parts;
    if (this.chance(options.roamRate)) this.#master = this.#anyMaster();
    network.send(this.name, this.#master, { kind: "request", number, body });
    return new Promise((resolve) => {
      const end = (reply: ReplyBody | undefined): void => {
        if (!this.#waiting.delete(number)) return;
        alarm.cancel();
        // Who waits longer each time lets a group that is behind catch up.
        const longer = Math.min(2 * this.#patienceMs, PATIENCE_MS_MAX);
        this.#patienceMs = reply === undefined ? longer : options.timeoutMs;
        resolve(reply);
      };
      const alarm = world.after(this.#patienceMs, () => end(undefined));
      this.#waiting.set(number, end);
    });
  }

  /** Where the next attempt goes, and when. */
  async #turnElsewhere(reply: ReplyBody | undefined): Promise<void> {
    if (reply?.kind === "failed" && !reply.error.retryable) throw reply.error;
    const leader = reply?.kind === "failed" ? reply.error.details.leader : undefined;
    const isHinted = leader !== undefined && this.#parts.masters().includes(leader);
    this.#master = isHinted ? leader : this.#anyMaster();
    await this.sleep(this.random.fraction() * BACKOFF_MS_MAX);
  }

  #givesUp(): boolean {
    return this.chance(this.#parts.options.abandonRate);
  }

  #anyMaster(): string {
    return this.oneOf(this.#parts.masters());
  }
}

/** The state machine itself asks for patience: before the cluster has its id. */
function isTryAgain(reply: Reply): boolean {
  return reply.kind === "refused" && new LumeoError(reply.code, reply.message).retryable;
}
