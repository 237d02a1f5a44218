// Makes files as clients and chunkservers would, straight into the replicated log: every file has
// one chunk on three servers, and takes its handle from a grant; or its bytes are with its commit.

import { randomBytes } from "node:crypto";
import { type GrantId, handleIn, invariant, type ServerId, type SessionId } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import type { Consensus } from "../../src/consensus/consensus.js";
import type { Command, Reply, RequestId } from "../../src/metadata/command.js";
import { encodeProposal } from "../../src/metadata/command-codec.js";
import { FRESH_EPOCH } from "../../src/metadata/grants.js";
import { decodeReply } from "../../src/metadata/reply-codec.js";
import { inlineRecord } from "../metadata-driver.js";
import { clock } from "./member.js";

export const FILES_PER_DIRECTORY = 10_000;
const HANDLES_PER_GRANT = 64;
const GRANTS_PER_COMMAND = 16;
const FILE_BYTES = 4_096;
const CHUNK_BYTES = 64 * 1_024 * 1_024;
const SERVERS = ["cs1", "cs2", "cs3", "cs4"];

type Commit = Extract<Command, { kind: "commit" }>;

/** Path of the n-th file. */
export function pathOf(n: number): string {
  const name = `file-${String(n % FILES_PER_DIRECTORY).padStart(6, "0")}.dat`;
  return `${directoryOf(n)}/${name}`;
}

export function directoryOf(n: number): string {
  return `/data/part-${String(Math.floor(n / FILES_PER_DIRECTORY)).padStart(5, "0")}`;
}

/** Creates files one behind the other, many at a time. */
export class FileMaker {
  readonly #consensus: Consensus;
  #session: SessionId | undefined;
  #sequence = 0;
  #answeredBelow = 1;
  #grants: GrantId[] = [];
  #slot = 0;
  #servers: ServerId[] = [];

  /** @param inlineBytes  Of each file, for the masters to keep; 0: files have chunks. */
  constructor(
    consensus: Consensus,
    readonly inlineBytes: number,
  ) {
    this.#consensus = consensus;
  }

  /** The cluster's root, four servers and a session. */
  async begin(): Promise<void> {
    await this.#done({ kind: "initCluster", clusterId: "scale" });
    for (const name of SERVERS) {
      const [dataAddress, controlAddress] = [`${name}:1`, `${name}:2`];
      const server = { name, storeUuid: `${name}-uuid`, dataAddress, controlAddress, labels: {} };
      const reply = await this.#done({ kind: "registerServer", ...server });
      if (reply.kind === "registered") this.#servers.push(reply.server);
    }
    const opened = await this.#done({ kind: "openSession" });
    if (opened.kind === "sessionOpened") this.#session = opened.session;
  }

  /** Creates files `from` to `to - 1`, `inFlight` at a time; calls `answered` for each. */
  async create(
    range: { readonly from: number; readonly to: number },
    inFlight: number,
    answered: (latencyMs: number) => void = () => {},
  ): Promise<void> {
    for (let at = range.from; at < range.to; at += inFlight) {
      const end = Math.min(range.to, at + inFlight);
      await this.#takeGrants(end - at);
      const wave: Promise<void>[] = [];
      for (let n = at; n < end; n++) wave.push(this.#createOne(n, answered));
      await Promise.all(wave);
      this.#answeredBelow = this.#sequence + 1;
    }
  }

  async #createOne(n: number, answered: (latencyMs: number) => void): Promise<void> {
    if (n % FILES_PER_DIRECTORY === 0) {
      await this.#done({ kind: "makeDirectory", path: directoryOf(n), parents: true });
    }
    const content = this.inlineBytes === 0 ? this.#asChunk(n) : this.#asBytes();
    const begin = clock.monotonicMs();
    const reply = await this.#done({
      kind: "commit",
      path: pathOf(n),
      upload: undefined,
      chunkSizeBytes: CHUNK_BYTES,
      replicas: 3,
      code: undefined,
      ...content,
      precondition: { kind: "none" },
      makeParents: true,
      contentType: "",
      metadata: {},
      tags: {},
      ttlMs: undefined,
      fence: undefined,
    });
    invariant(reply.kind === "file", "a file was not created", { n });
    answered(clock.monotonicMs() - begin);
  }

  #asChunk(n: number): Pick<Commit, "chunks" | "crc32c" | "inline"> {
    const [handle, epoch] = [this.#nextHandle(), FRESH_EPOCH];
    // Spread like real checksums: equal ones would compress too well.
    const crc32c = Math.imul(n, 0x9e3779b1) >>> 0;
    const chunk = { handle, epoch, lengthBytes: FILE_BYTES, crc32c, coding: undefined };
    return { chunks: [chunk], crc32c, inline: undefined };
  }

  /** Bytes that nothing can compress, as those of pictures. */
  #asBytes(): Pick<Commit, "chunks" | "crc32c" | "inline"> {
    const bytes = randomBytes(this.inlineBytes);
    const inline = { kind: "kept", record: inlineRecord(bytes), totalBytesMax: 2 ** 40 } as const;
    return { chunks: [], crc32c: nativeCrc32c(bytes), inline };
  }

  #nextHandle() {
    const grant = this.#grants[0];
    invariant(grant !== undefined, "no grant is left");
    const handle = handleIn(grant, this.#slot);
    this.#slot += 1;
    if (this.#slot === HANDLES_PER_GRANT) {
      this.#grants.shift();
      this.#slot = 0;
    }
    return handle;
  }

  async #takeGrants(files: number): Promise<void> {
    if (0 < this.inlineBytes) return;
    while (this.#grants.length * HANDLES_PER_GRANT - this.#slot < files) {
      const placements = Array.from({ length: GRANTS_PER_COMMAND }, (_, i) =>
        [0, 1, 2].map((k) => this.#servers[(i + k) % this.#servers.length] as ServerId),
      );
      const reply = await this.#done({ kind: "allocate", placements, handles: HANDLES_PER_GRANT });
      if (reply.kind === "allocated") this.#grants.push(...reply.grants);
    }
  }

  async #done(command: Command): Promise<Reply> {
    const bytes = encodeProposal({ at: clock.wallMs(), request: this.#request(), command });
    const reply = decodeReply(await this.#consensus.propose(bytes));
    if (reply.kind === "refused") throw new Error(`${command.kind}: ${reply.message}`);
    return reply;
  }

  #request(): RequestId | undefined {
    if (this.#session === undefined) return undefined;
    this.#sequence += 1;
    const [session, sequence] = [this.#session, this.#sequence];
    return { session, sequence, answeredBelow: this.#answeredBelow };
  }
}
