// Whether every master has the bytes of a chunk that they keep: each is asked for itself, without
// the leader, and its bytes are held against length and checksum.
//
// E1. A master that is behind is waited for, but not for longer than BEHIND_MS_MAX: then nothing is
//     known of it. What it would say of a file that it does not know yet is no finding.
// E2. A master that did not answer is not asked again for SILENT_MS, so that a tree is verified
//     while one is away.

import { asLumeoError, type ErrorCode, LumeoError } from "@lumeofs/base";
import type { Call } from "../call.js";
import type { ChunkMap } from "../chunk-map.js";
import type { MasterStatus } from "../cluster-status.js";
import { chunkAtMaster, faultOfInline } from "../inline-reader.js";
import type { LocatedChunk } from "../operations.js";
import type { Ports } from "../ports.js";
import type { AdminClient } from "../rpc/admin-client.js";
import type { MasterPool } from "../rpc/master-pool.js";
import type { VerifiedReplica } from "./verify.js";

const BEHIND_MS_MAX = 5_000;
const BEHIND_PAUSE_MS = 50;
const SILENT_MS = 30_000;
/** How long it is taken for known who the masters are. */
const MASTERS_MS = 5_000;
const STEP = { idempotent: true, limitMs: () => Infinity } as const;

/** What a master says that has not heard of the file, or of this content, yet. */
const BEHIND: ReadonlySet<ErrorCode> = new Set([
  "NOT_FOUND",
  "CONFLICT",
  "PRECONDITION",
  "IS_DIRECTORY",
  "NOT_DIRECTORY",
]);

export interface InlineCheckParts {
  readonly masters: Pick<MasterPool, "attemptAt">;
  readonly admin: Pick<AdminClient, "clusterStatus">;
  readonly ports: Pick<Ports, "clock" | "crc32c">;
}

/** A chunk of a file, as the leader has it. */
interface Wanted {
  readonly position: number;
  readonly chunk: LocatedChunk;
  /** Told of bytes that came. */
  readonly onProgress: (bytes: number) => void;
}

export class InlineCheck {
  readonly #parts: InlineCheckParts;
  readonly #silent = new Map<string, { readonly until: number; readonly why: string }>();
  #known: { readonly masters: readonly MasterStatus[]; readonly until: number } | undefined;

  constructor(parts: InlineCheckParts) {
    this.#parts = parts;
  }

  /**
   * What each master of the group has.
   *
   * @throws LumeoError CONFLICT if the file was replaced meanwhile.
   */
  async check(call: Call, file: ChunkMap, wanted: Wanted): Promise<readonly VerifiedReplica[]> {
    const masters = await this.#masters(call);
    return Promise.all(masters.map((master) => this.#checkAt(call, file, wanted, master)));
  }

  async #masters(call: Call): Promise<readonly MasterStatus[]> {
    const now = this.#now();
    if (this.#known !== undefined && now < this.#known.until) return this.#known.masters;
    const { masters } = await call.run(STEP, () => this.#parts.admin.clusterStatus(call));
    const ofGroup = masters.filter(
      ({ standing }) => standing !== "waiting" && standing !== "removed",
    );
    this.#known = { masters: ofGroup, until: now + MASTERS_MS };
    return ofGroup;
  }

  async #checkAt(
    call: Call,
    file: ChunkMap,
    wanted: Wanted,
    { id, address }: MasterStatus,
  ): Promise<VerifiedReplica> {
    const known = this.#silent.get(id);
    if (known !== undefined && this.#now() < known.until) {
      return { server: id, finding: "unknown", why: known.why };
    }
    try {
      const why = await this.#faultAt(call, file, wanted, address);
      this.#silent.delete(id);
      return { server: id, finding: why === "" ? "intact" : "bad", why };
    } catch (thrown) {
      call.cancellation.throwIfAborted();
      const { code, message: why } = asLumeoError(thrown);
      if (BEHIND.has(code)) await file.checkUnchanged(call);
      this.#silent.set(id, { until: this.#now() + SILENT_MS, why });
      return { server: id, finding: "unknown", why };
    }
  }

  /** What is wrong with the bytes at one master; empty if nothing is. */
  async #faultAt(
    call: Call,
    file: ChunkMap,
    { position, chunk, onProgress }: Wanted,
    address: string,
  ): Promise<string> {
    const found = await this.#chunkAt(call, file, position, address);
    if (found === undefined) return "it knows no such chunk";
    if (found.handle !== chunk.handle) return `it has chunk ${found.handle} there`;
    const bytes = found.inlineBytes?.byteLength ?? 0;
    call.bytes += bytes;
    onProgress(bytes);
    const { lengthBytes, crc32c } = chunk;
    return faultOfInline({ ...found, lengthBytes, crc32c }, this.#parts.ports.crc32c) ?? "";
  }

  /** @throws LumeoError as the master refused, also one that stays behind (E1). */
  async #chunkAt(
    call: Call,
    file: ChunkMap,
    position: number,
    address: string,
  ): Promise<LocatedChunk | undefined> {
    const begun = this.#now();
    for (;;) {
      try {
        return await chunkAtMaster(this.#parts.masters, call, { file, position, address });
      } catch (error) {
        if (!(error instanceof LumeoError) || !BEHIND.has(error.code)) throw error;
        await file.checkUnchanged(call);
        if (BEHIND_MS_MAX <= this.#now() - begun) throw error;
      }
      await call.pause(BEHIND_PAUSE_MS);
    }
  }

  #now(): number {
    return this.#parts.ports.clock.monotonicMs();
  }
}
