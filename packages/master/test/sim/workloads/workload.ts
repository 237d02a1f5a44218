// What clients do in a simulated life, and what must be true of the answers.

import type { LumeoError } from "@lumeofs/base";
import type { World } from "@lumeofs/testkit";
import type { Command, Reply } from "../../../src/metadata/command.js";
import type { Client } from "../client.js";
import type { SwarmOptions } from "../options.js";
import type { Outcomes } from "../outcomes.js";

export interface WorkloadParts {
  readonly world: World;
  readonly options: SwarmOptions;
  readonly outcomes: Outcomes;
  /** A number that nothing in this run has yet: it tells one content from another. */
  readonly nextTag: () => number;
}

export interface Workload {
  /** Calls begun so far. */
  readonly count: number;
  /** Makes what the calls need; once, by one client. */
  setUp(client: Client): Promise<void>;
  /** One call of one client, to its end. */
  step(client: Client): Promise<void>;
  /** After all faults: a fresh write and a fresh read. */
  finish(client: Client): Promise<void>;
  /**
   * Judges all answers, at the very end.
   *
   * @throws SafetyViolation
   */
  check(): void;
}

/** "done", or the code of the refusal. */
export function codeOf(reply: Reply): string {
  return reply.kind === "refused" ? reply.code : "done";
}

type Code = LumeoError["code"];

/** @throws Error if the reply is a refusal other than these. */
export function mustBe(reply: Reply, ...allowed: readonly Code[]): void {
  if (reply.kind !== "refused" || allowed.includes(reply.code)) return;
  throw new Error(`not expected: ${reply.code} ${reply.message}`);
}

type Commit = Extract<Command, { kind: "commit" }>;

/** Writes an empty file; it keeps its chunk size, so that carries the tag. */
export function commitFile(
  path: string,
  tag: number,
  more: Partial<Pick<Commit, "precondition" | "fence">> = {},
): Command {
  return {
    kind: "commit",
    path,
    upload: undefined,
    chunks: [],
    chunkSizeBytes: tag,
    replicas: 1,
    code: undefined,
    crc32c: 0,
    precondition: { kind: "none" },
    contentType: "",
    metadata: {},
    tags: {},
    ttlMs: undefined,
    fence: undefined,
    inline: undefined,
    makeParents: false,
    ...more,
  };
}

export function renameFile(source: string, target: string, overwrite: boolean): Command {
  return { kind: "rename", source, target, overwrite, fence: undefined };
}

/** A directory that may be there already: setting up may be repeated. */
export async function makeDirectory(client: Client, path: string): Promise<void> {
  mustBe(await client.insist({ kind: "makeDirectory", path, parents: true }));
}
