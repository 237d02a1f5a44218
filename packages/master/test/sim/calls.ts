// Calls of the clients of one workload, with their answers: what the search for an order explains.

import { History, type Model, type Pending, type World } from "@lumeofs/testkit";
import type { Command, Reply } from "../../src/metadata/command.js";
import { decodeReply } from "../../src/metadata/reply-codec.js";
import { SafetyViolation } from "./checker.js";
import type { Client, Look } from "./client.js";
import type { Outcomes } from "./outcomes.js";

/** Orders tried before a history is called too long. */
const STEPS_MAX = 2_000_000;
const SHOWN_MAX = 8;

interface GivenUp {
  readonly request: string;
  readonly pending: Pending<string>;
  readonly answerOf: (reply: Reply) => string;
}

export class Calls<Call> {
  readonly #history = new History<Call, string>();
  readonly #givenUp: GivenUp[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  get count(): number {
    return this.#history.count;
  }

  /** A call that changes something; its answer, or undefined if it was given up. */
  async change(
    client: Client,
    call: Call,
    given: {
      readonly key: string;
      readonly command: Command;
      readonly answerOf: (reply: Reply) => string;
    },
  ): Promise<Reply | undefined> {
    const pending = this.#begin(given.key, call);
    const ending = await client.mutate(given.command);
    if (ending.kind === "givenUp") {
      this.#givenUp.push({ request: ending.request, pending, answerOf: given.answerOf });
      return undefined;
    }
    this.#end(client, call, { key: given.key, pending }, given.answerOf(ending.reply));
    return ending.reply;
  }

  /** A call that only reads. */
  async read(client: Client, call: Call, key: string, look: Look): Promise<string | undefined> {
    const pending = this.#begin(key, call);
    const answer = await client.query(look);
    if (answer === undefined) pending.rejected();
    else this.#end(client, call, { key, pending }, answer);
    return answer;
  }

  /** After the end: whether some order explains all answers, and what was given up besides. */
  mustBeLinearizable<State>(model: Model<State, Call, string>, outcomes: Outcomes): void {
    for (const { request, pending, answerOf } of this.#givenUp) {
      const reply = outcomes.replyTo(request);
      if (reply === undefined) pending.rejected();
      else pending.unheard(answerOf(decodeReply(reply)));
    }
    const verdict = this.#history.check(model, STEPS_MAX);
    if (verdict.kind === "linearizable") return;
    if (verdict.kind === "unknown") {
      throw new SafetyViolation("S14", `the history of ${verdict.key} is too long to be checked`);
    }
    const left = verdict.operations.filter((op) => !verdict.explained.includes(op));
    throw new SafetyViolation(
      "S14",
      `no order explains the calls on ${verdict.key}; explained:\n` +
        `${shown(verdict.explained.slice(-SHOWN_MAX))}\n  left:\n` +
        shown(left.slice(0, SHOWN_MAX)),
    );
  }

  #begin(key: string, call: Call): Pending<string> {
    return this.#history.begin(key, call, () => this.#world.now);
  }

  #end(
    client: Client,
    call: Call,
    { key, pending }: { readonly key: string; readonly pending: Pending<string> },
    answer: string,
  ): void {
    pending.answered(answer);
    this.#world.record(() => `${client.name} ${key} ${JSON.stringify(call)} = ${answer}`);
  }
}

interface Shown {
  readonly call: unknown;
  readonly answer: string | undefined;
  readonly begin: number;
  readonly end: number;
}

function shown(operations: readonly Shown[]): string {
  return operations
    .map(({ call, answer, begin, end }) => {
      return `    ${begin.toFixed(1)}–${end.toFixed(1)} ${JSON.stringify(call)} = ${answer}`;
    })
    .join("\n");
}
