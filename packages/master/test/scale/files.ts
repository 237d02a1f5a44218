// Makes files as clients and chunkservers would, straight into the replicated log: every file has
// one chunk on three servers, and takes its handle from a grant.

import { type GrantId, handleIn, invariant, type ServerId, type SessionId } from "@lumeofs/base";
import type { Consensus } from "../../src/consensus/consensus.js";
import type { Command, Reply, RequestId } from "../../src/metadata/command.js";
import { encodeProposal } from "../../src/metadata/command-codec.js";
import { FRESH_EPOCH } from "../../src/metadata/grants.js";
import { decodeReply } from "../../src/metadata/reply-codec.js";
import { clock } from "./member.js";

export const FILES_PER_DIRECTORY = 10_000;
const HANDLES_PER_GRANT = 64;
const GRANTS_PER_COMMAND = 16;
const FILE_BYTES = 4_096;
const CHUNK_BYTES = 64 * 1_024 * 1_024;
const SERVERS = ["cs1", "cs2", "cs3", "cs4"];

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

  constructor(consensus: Consensus) {
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
    const chunk = {
      handle: this.#nextHandle(),
      epoch: FRESH_EPOCH,
      lengthBytes: FILE_BYTES,
      // Spread like real checksums: equal ones would compress too well.
      crc32c: Math.imul(n, 0x9e3779b1) >>> 0,
      coding: undefined,
    };
    const begin = clock.monotonicMs();
    const reply = await this.#done({
      kind: "commit",
      path: pathOf(n),
      upload: undefined,
      chunks: [chunk],
      chunkSizeBytes: CHUNK_BYTES,
      replicas: 3,
      code: undefined,
      crc32c: chunk.crc32c,
      precondition: { kind: "none" },
      makeParents: true,
      contentType: "",
      metadata: {},
      tags: {},
      ttlMs: undefined,
      fence: undefined,
      inline: undefined,
    });
    invariant(reply.kind === "file", "a file was not created", { n });
    answered(clock.monotonicMs() - begin);
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
