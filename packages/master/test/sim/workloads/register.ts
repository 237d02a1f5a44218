// Files as registers: read, write, and compare-and-set by revision (a conditional write).
//
// A write answers with the revision that it made; a conditional one names a revision that its
// client has seen, and takes effect only if that is still the current one. Some contents are bytes
// that the masters keep, the others empty: both say which write they are of.

import type { Model } from "@lumeofs/testkit";
import type { Reply } from "../../../src/metadata/command.js";
import { stat } from "../../../src/metadata/queries.js";
import { Calls } from "../calls.js";
import type { Client } from "../client.js";
import {
  commitBytes,
  commitFile,
  makeDirectory,
  tagOfFile,
  type Workload,
  type WorkloadParts,
} from "./workload.js";

const FILES = ["r1", "r2"];
const FOLDER = "/registers";
const EMPTY_EVERY = 3;

export type RegisterCall =
  | { readonly kind: "read" }
  | { readonly kind: "write"; readonly tag: number }
  | { readonly kind: "set"; readonly tag: number; readonly revision: number };

interface Register {
  readonly tag: number;
  /** 0 while there is no file. */
  readonly revision: number;
}

/** Answers: "<tag>@<revision>" for what was read, "@<revision>" for what was written. */
export const REGISTER: Model<Register, RegisterCall, string> = {
  initial: { tag: 0, revision: 0 },
  step: (state, call, answer) => {
    if (answer === undefined) return undefined;
    if (call.kind === "read") return answer === printed(state) ? state : undefined;
    if (call.kind === "set" && call.revision !== state.revision) {
      return answer === "PRECONDITION" ? state : undefined;
    }
    const revision = Number(/^@(\d+)$/.exec(answer)?.[1] ?? 0);
    return state.revision < revision ? { tag: call.tag, revision } : undefined;
  },
  print: printed,
};

function printed({ tag, revision }: Register): string {
  return `${tag}@${revision}`;
}

export class RegisterWorkload implements Workload {
  readonly #parts: WorkloadParts;
  readonly #calls: Calls<RegisterCall>;
  /** The revision that each client has seen last of each file. */
  readonly #seen = new Map<string, number>();

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
    const file = client.oneOf(FILES);
    if (client.chance(this.#parts.options.readShare)) await this.#read(client, file);
    else await this.#write(client, file, client.chance(0.7));
  }

  async finish(client: Client): Promise<void> {
    for (const file of FILES) {
      await this.#write(client, file, false);
      await this.#read(client, file);
    }
  }

  check(): void {
    this.#calls.mustBeLinearizable(REGISTER, this.#parts.outcomes);
  }

  async #read(client: Client, file: string): Promise<void> {
    const answer = await this.#calls.read(client, { kind: "read" }, file, (reader) => {
      const found = stat(reader, `${FOLDER}/${file}`);
      if (found.kind === "refused") return printed(REGISTER.initial);
      if (found.inode.kind !== "file") return "dir";
      const tag = tagOfFile(reader, found.inode);
      return typeof tag === "string" ? tag : printed({ tag, revision: found.inode.revision });
    });
    const revision = answer?.split("@")[1];
    if (revision !== undefined) this.#seen.set(`${client.name} ${file}`, Number(revision));
  }

  async #write(client: Client, file: string, isConditional: boolean): Promise<void> {
    const tag = this.#parts.nextTag();
    const seen = this.#seen.get(`${client.name} ${file}`) ?? 0;
    const call: RegisterCall = isConditional
      ? { kind: "set", tag, revision: seen }
      : { kind: "write", tag };
    const unchanged =
      seen === 0 ? ({ kind: "absent" } as const) : ({ kind: "revision", revision: seen } as const);
    const commit = tag % EMPTY_EVERY === 0 ? commitFile : commitBytes;
    const command = commit(`${FOLDER}/${file}`, tag, {
      precondition: isConditional ? unchanged : { kind: "none" },
    });
    const reply = await this.#calls.change(client, call, { key: file, command, answerOf });
    if (reply?.kind === "file") this.#seen.set(`${client.name} ${file}`, reply.revision);
  }
}

function answerOf(reply: Reply): string {
  if (reply.kind === "refused") return reply.code;
  return reply.kind === "file" ? `@${reply.revision}` : reply.kind;
}
