// A lock with fencing tokens and a file that is written under it: a write with a token of the past
// is refused, however late it comes, and tokens grow.
//
// When a lock lapses is up to the clocks of the masters, which jump. So it may lapse at any time;
// but once it has lapsed or was taken by another, nothing more is done with its token.

import type { Model } from "@lumeofs/testkit";
import type { Reply } from "../../../src/metadata/command.js";
import { stat } from "../../../src/metadata/queries.js";
import { Calls } from "../calls.js";
import type { Client } from "../client.js";
import { commitFile, makeDirectory, type Workload, type WorkloadParts } from "./workload.js";

const FOLDER = "/locked";
const FILE = `${FOLDER}/file`;
const LOCK = "lock";
const TTL_MS_MIN = 100;
const TTL_MS_MAX = 1_500;

export type LockCall =
  | { readonly kind: "acquire" }
  | { readonly kind: "renew" | "release"; readonly token: number }
  | { readonly kind: "write"; readonly token: number; readonly tag: number }
  | { readonly kind: "read" };

interface Held {
  /** Of the last acquisition; 0 before the first. */
  readonly token: number;
  readonly isHeld: boolean;
  /** What was written last. */
  readonly tag: number;
}

/** Answers: "token 7" for an acquisition, "tag 3" for a read, "done", or the code of a refusal. */
export const LOCKED_FILE: Model<Held, LockCall, string> = {
  initial: { token: 0, isHeld: false, tag: 0 },
  step: (state, call, answer) => {
    if (answer === undefined) return undefined;
    switch (call.kind) {
      case "read":
        return answer === `tag ${state.tag}` ? state : undefined;
      case "acquire":
        return acquire(state, answer);
      default:
        return use(state, call, answer);
    }
  },
  print: ({ token, isHeld, tag }) => `${token} ${isHeld} ${tag}`,
};

function acquire(state: Held, answer: string): Held | undefined {
  if (answer === "LOCKED") return state.isHeld ? state : undefined;
  const token = Number(/^token (\d+)$/.exec(answer)?.[1] ?? 0);
  return state.token < token ? { ...state, token, isHeld: true } : undefined;
}

function use(
  state: Held,
  call: Exclude<LockCall, { kind: "read" | "acquire" }>,
  answer: string,
): Held | undefined {
  const isCurrent = state.isHeld && state.token === call.token;
  if (answer === "PRECONDITION") return isCurrent ? { ...state, isHeld: false } : state;
  const isDone = answer === "done" || answer === `token ${call.token}`;
  if (!isCurrent || !isDone) return undefined;
  if (call.kind === "release") return { ...state, isHeld: false };
  return call.kind === "write" ? { ...state, tag: call.tag } : state;
}

export class LocksWorkload implements Workload {
  readonly #parts: WorkloadParts;
  readonly #calls: Calls<LockCall>;
  /** The last token of each client, which it goes on using too long. */
  readonly #tokens = new Map<string, number>();

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
    this.#calls = new Calls(parts.world);
  }

  get count(): number {
    return this.#calls.count;
  }

  async setUp(client: Client): Promise<void> {
    await makeDirectory(client, FOLDER);
  }

  async step(client: Client): Promise<void> {
    const token = this.#tokens.get(client.name);
    const draw = client.random.fraction();
    if (draw < this.#parts.options.readShare / 2) return this.#read(client);
    if (token === undefined || draw > 0.9) return this.#acquire(client);
    if (draw > 0.8) return this.#use(client, { kind: "release", token });
    if (draw > 0.7) return this.#use(client, { kind: "renew", token });
    return this.#use(client, { kind: "write", token, tag: this.#parts.nextTag() });
  }

  async finish(client: Client): Promise<void> {
    await this.#acquire(client);
    await this.#read(client);
  }

  check(): void {
    this.#calls.mustBeLinearizable(LOCKED_FILE, this.#parts.outcomes);
  }

  async #read(client: Client): Promise<void> {
    await this.#calls.read(client, { kind: "read" }, LOCK, (reader) => {
      const found = stat(reader, FILE);
      const isFile = found.kind === "found" && found.inode.kind === "file";
      return `tag ${isFile ? found.inode.chunkSizeBytes : 0}`;
    });
  }

  async #acquire(client: Client): Promise<void> {
    const ttlMs = client.integer(TTL_MS_MIN, TTL_MS_MAX);
    const command = { kind: "acquireLock", name: LOCK, holder: client.name, ttlMs } as const;
    const given = { key: LOCK, command, answerOf };
    const reply = await this.#calls.change(client, { kind: "acquire" }, given);
    if (reply?.kind === "locked") this.#tokens.set(client.name, reply.token);
  }

  async #use(client: Client, call: Exclude<LockCall, { kind: "read" | "acquire" }>): Promise<void> {
    const { token } = call;
    const ttlMs = TTL_MS_MAX;
    const command =
      call.kind === "write"
        ? commitFile(FILE, call.tag, { fence: { lock: LOCK, token } })
        : call.kind === "renew"
          ? ({ kind: "renewLock", name: LOCK, token, ttlMs } as const)
          : ({ kind: "releaseLock", name: LOCK, token } as const);
    await this.#calls.change(client, call, { key: LOCK, command, answerOf });
  }
}

function answerOf(reply: Reply): string {
  if (reply.kind === "refused") return reply.code;
  return reply.kind === "locked" ? `token ${reply.token}` : "done";
}
