// Simulated clients: each works on the directories through whichever master serves it, sends
// requests again until they are answered, and writes down what it asked and what it was told.

import { integerBetween, LumeoError, type SeededRandom, type SessionId } from "@lumeofs/base";
import type { History, Pending, SimNetwork, World } from "@lumeofs/testkit";
import type { Command, Reply } from "../../src/metadata/command.js";
import type { Answer, Call } from "./namespace-model.js";
import type { SwarmOptions } from "./options.js";
import type { Outcomes } from "./outcomes.js";

/** What travels between clients and masters. */
export type ClientParcel =
  | { readonly kind: "request"; readonly number: number; readonly body: RequestBody }
  | { readonly kind: "reply"; readonly number: number; readonly body: ReplyBody };

export type RequestBody =
  | {
      readonly kind: "command";
      readonly command: Command;
      readonly request: { readonly session: SessionId; readonly sequence: number } | undefined;
      readonly answeredBelow: number;
    }
  | { readonly kind: "query"; readonly directory: string; readonly name: string | undefined };

export type ReplyBody =
  | { readonly kind: "reply"; readonly reply: Reply }
  /** `at`: the last entry that the state contained. */
  | { readonly kind: "found"; readonly answer: Answer; readonly at: number }
  | { readonly kind: "failed"; readonly error: LumeoError };

const NAMES = ["a", "b", "c"];
const BACKOFF_MS_MAX = 60;
const PATIENCE_MS_MAX = 1_600;

export interface ClientParts {
  readonly world: World;
  readonly network: SimNetwork<ClientParcel>;
  readonly masters: readonly string[];
  readonly options: SwarmOptions;
  readonly history: History<Call, Answer>;
  readonly outcomes: Outcomes;
  /** A number that no file of this run has yet. */
  readonly nextTag: () => number;
}

export class Client {
  /** Calls that were answered. */
  answered = 0;
  #session: SessionId | undefined;
  #sequence = 0;
  #requests = 0;
  #master: string;
  #isStopping = false;
  #patienceMs: number;
  readonly #abandoned: { readonly request: string; readonly pending: Pending<Answer> }[] = [];
  readonly #waiting = new Map<number, (body: ReplyBody) => void>();
  readonly #random: SeededRandom;
  readonly #name: string;
  readonly #parts: ClientParts;

  constructor(name: string, parts: ClientParts) {
    this.#name = name;
    this.#parts = parts;
    this.#patienceMs = parts.options.timeoutMs;
    this.#random = parts.world.random(`client ${name}`);
    this.#master = this.#anyMaster();
    parts.network.attach(name, (_from, parcel) => {
      if (parcel.kind === "reply") this.#waiting.get(parcel.number)?.(parcel.body);
    });
  }

  /** Finishes what it is doing and begins nothing more. */
  stop(): void {
    this.#isStopping = true;
  }

  /** One call after the other until `stop`. */
  async work(): Promise<void> {
    while (!this.#isStopping) {
      await this.#sleep(-Math.log(1 - this.#random.fraction()) * this.#parts.options.thinkMsMean);
      const directory = this.#integer(1, this.#parts.options.directories);
      await this.perform(`/d${directory}`, this.#drawCall());
    }
  }

  /** One call, to its end. Undefined: given up, with an unknown outcome. */
  async perform(directory: string, call: Call): Promise<Answer | undefined> {
    const { history, world } = this.#parts;
    const pending = history.begin(directory, call, () => world.now);
    const isRead = call.kind === "stat" || call.kind === "list";
    const answer = isRead
      ? await this.#query(directory, call)
      : await this.#mutate(commandOf(directory, call), pending);
    if (answer === undefined) {
      if (isRead) pending.rejected();
      return undefined;
    }
    this.#record(pending, directory, call, answer);
    return answer;
  }

  /** At the very end: what was given up and never applied had no effect. */
  settle(): void {
    for (const { request, pending } of this.#abandoned) {
      if (this.#parts.outcomes.replyTo(request) === undefined) pending.rejected();
    }
  }

  /** A command without session, until it is done: for setting up. */
  async insist(command: Command): Promise<Reply> {
    const body = { kind: "command", command, request: undefined, answeredBelow: 0 } as const;
    for (;;) {
      const reply = await this.#send(body);
      if (reply?.kind === "reply" && !isTryAgain(reply.reply)) return reply.reply;
      await this.#turnElsewhere(reply);
    }
  }

  #record(pending: Pending<Answer>, directory: string, call: Call, answer: Answer): void {
    pending.answered(answer);
    this.answered++;
    this.#parts.world.record(
      () => `${this.#name} ${directory} ${JSON.stringify(call)} = ${answer}`,
    );
  }

  async #query(
    directory: string,
    call: Extract<Call, { kind: "stat" | "list" }>,
  ): Promise<Answer | undefined> {
    const name = call.kind === "stat" ? call.name : undefined;
    const { outcomes } = this.#parts;
    for (;;) {
      const { known } = outcomes;
      const reply = await this.#send({ kind: "query", directory, name });
      if (reply?.kind === "found") {
        outcomes.shown(reply.at, known);
        return reply.answer;
      }
      await this.#turnElsewhere(reply);
      if (this.#givesUp()) return undefined;
    }
  }

  async #mutate(command: Command, pending: Pending<Answer>): Promise<Answer | undefined> {
    this.#session ??= await this.#openSession();
    const request = { session: this.#session, sequence: ++this.#sequence };
    const body = { kind: "command", command, request, answeredBelow: request.sequence } as const;
    for (;;) {
      const reply = await this.#send(body);
      if (reply?.kind === "reply" && !isTryAgain(reply.reply)) {
        const answer = answerOf(reply.reply);
        if (answer === "SESSION_EXPIRED") throw new Error("a session in use has expired");
        this.#parts.outcomes.told(`${request.session}/${request.sequence}`);
        return answer;
      }
      await this.#turnElsewhere(reply);
      if (this.#givesUp()) {
        this.#abandoned.push({ request: `${request.session}/${request.sequence}`, pending });
        return undefined;
      }
    }
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
    if (this.#random.fraction() < options.roamRate) this.#master = this.#anyMaster();
    network.send(this.#name, this.#master, { kind: "request", number, body });
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
    const isHinted = leader !== undefined && this.#parts.masters.includes(leader);
    this.#master = isHinted ? leader : this.#anyMaster();
    await this.#sleep(this.#random.fraction() * BACKOFF_MS_MAX);
  }

  #givesUp(): boolean {
    return this.#random.fraction() < this.#parts.options.abandonRate;
  }

  #anyMaster(): string {
    const { masters } = this.#parts;
    return masters[this.#integer(0, masters.length - 1)] as string;
  }

  #drawCall(): Call {
    const name = this.#drawName();
    if (this.#random.fraction() < this.#parts.options.readShare) {
      return this.#random.fraction() < 0.5 ? { kind: "list" } : { kind: "stat", name };
    }
    const isStrict = this.#random.fraction() < 0.5;
    switch (this.#integer(0, 3)) {
      case 0:
        return { kind: "mkdir", name };
      case 1:
        return { kind: "create", name, tag: this.#parts.nextTag(), onlyNew: isStrict };
      case 2:
        return { kind: "remove", name };
      default:
        return { kind: "rename", from: name, to: this.#drawName(), overwrite: !isStrict };
    }
  }

  #drawName(): string {
    return NAMES[this.#integer(0, NAMES.length - 1)] as string;
  }

  #integer(low: number, high: number): number {
    return integerBetween(this.#random, low, high);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#parts.world.after(ms, resolve));
  }
}

function commandOf(directory: string, call: Exclude<Call, { kind: "stat" | "list" }>): Command {
  const path = (name: string): string => `${directory}/${name}`;
  switch (call.kind) {
    case "mkdir":
      return { kind: "makeDirectory", path: path(call.name), parents: false };
    case "create":
      return {
        kind: "commit",
        path: path(call.name),
        upload: undefined,
        chunks: [],
        // An empty file keeps this setting, so it can carry the tag.
        chunkSizeBytes: call.tag,
        replicas: 1,
        crc32c: 0,
        precondition: { kind: call.onlyNew ? "absent" : "none" },
        contentType: "",
        metadata: {},
        tags: {},
        ttlMs: undefined,
        fence: undefined,
        makeParents: false,
      };
    case "remove":
      return {
        kind: "remove",
        path: path(call.name),
        recursive: false,
        precondition: { kind: "none" },
        skipTrash: false,
        fence: undefined,
      };
    case "rename":
      return {
        kind: "rename",
        source: path(call.from),
        target: path(call.to),
        overwrite: call.overwrite,
        fence: undefined,
      };
  }
}

function answerOf(reply: Reply): Answer {
  return reply.kind === "refused" ? reply.code : "done";
}

/** The state machine itself asks for patience: before the cluster has its id. */
function isTryAgain(reply: Reply): boolean {
  return reply.kind === "refused" && new LumeoError(reply.code, reply.message).retryable;
}
