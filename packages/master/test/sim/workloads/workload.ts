// What clients do in a simulated life, and what must be true of the answers.

import { crc32c, type LumeoError, MiB } from "@lumeofs/base";
import type { World } from "@lumeofs/testkit";
import { getChunk } from "../../../src/metadata/chunk-table.js";
import type { Command, Reply } from "../../../src/metadata/command.js";
import { faultOfInline } from "../../../src/metadata/inline-chunks.js";
import { getInlineBytes, INLINE_BYTES_MAX } from "../../../src/metadata/inline-table.js";
import type { FileInode } from "../../../src/metadata/inode-record.js";
import type { StateReader } from "../../../src/metadata/state.js";
import { inlineRecord } from "../../metadata-driver.js";
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

/** Bytes of a tag in a file, and so many more at most. */
const TAG_BYTES = 8;
const BYTES_MAX = 4_000;

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
): Commit {
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

/** Writes a file whose bytes carry the tag; the masters keep them. */
export function commitBytes(
  path: string,
  tag: number,
  more: Partial<Pick<Commit, "precondition" | "fence">> = {},
): Command {
  const lengthBytes = TAG_BYTES + ((tag * 2_654_435_761) % BYTES_MAX);
  const bytes = new Uint8Array(lengthBytes).fill(tag & 0xff);
  new DataView(bytes.buffer).setFloat64(0, tag);
  const inline = { kind: "kept", record: inlineRecord(bytes), totalBytesMax: MiB } as const;
  return { ...commitFile(path, INLINE_BYTES_MAX), ...more, crc32c: crc32c(bytes), inline };
}

/** The tag that a file was written with; text that says what is wrong with its bytes. */
export function tagOfFile(reader: StateReader, file: FileInode): number | string {
  const [handle] = file.inline;
  if (handle === undefined) return file.chunkSizeBytes;
  const chunk = getChunk(reader, handle);
  const fault = chunk === undefined ? "it has no chunk" : faultOfInline(reader, handle, chunk);
  const bytes = getInlineBytes(reader, handle);
  if (fault !== undefined || bytes === undefined) return fault ?? "its bytes are missing";
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
}

export function renameFile(source: string, target: string, overwrite: boolean): Command {
  return { kind: "rename", source, target, overwrite, fence: undefined };
}

/** A directory that may be there already: setting up may be repeated. */
export async function makeDirectory(client: Client, path: string): Promise<void> {
  mustBe(await client.insist({ kind: "makeDirectory", path, parents: true }));
}
