// Grants that are to be used no more here: the masters empty this server for good, and ask which of
// the handles that writers hold have got a chunk. The others never get one, so the masters can end
// those grants without taking anything from anybody.
//
// C1. From the answer on, no chunk comes under a handle of a closed grant that was not named in it,
//     until this server restarts: what is written then is refused at its commit, as the grant has
//     ended.
// C2. A write that passed the gate is named until it has ended, and then if its chunk is here.

import {
  type AccessRequest,
  type ChunkHandle,
  chunkHandle,
  GRANT_SLOTS,
  type GrantId,
  grantOf,
  handleIn,
  LumeoError,
} from "@lumeofs/base";
import type { Gate } from "./token-gate.js";

/** The grants that were closed first are forgotten: whoever held them has long found out. */
export const CLOSED_MAX = 65_536;

/** Handles in a row. */
export interface HandleRow {
  readonly first: ChunkHandle;
  readonly count: number;
}

/** See the head of this file. */
export class ClosedGrants {
  readonly #closed = new Set<GrantId>();
  /** Writers at work, by the handle. */
  readonly #writing = new Map<ChunkHandle, number>();

  isClosed(handle: ChunkHandle): boolean {
    return 0 < this.#closed.size && this.#closed.has(grantOf(handle));
  }

  /** A write under these handles has passed the gate, and lasts until `work` has ended. */
  async during({ first, count }: HandleRow, work: () => Promise<void>): Promise<void> {
    for (let i = 0; i < count; i++) {
      const handle = chunkHandle(first + i);
      this.#writing.set(handle, (this.#writing.get(handle) ?? 0) + 1);
    }
    try {
      await work();
    } finally {
      for (let i = 0; i < count; i++) {
        const handle = chunkHandle(first + i);
        const left = (this.#writing.get(handle) ?? 0) - 1;
        if (left === 0) this.#writing.delete(handle);
        else this.#writing.set(handle, left);
      }
    }
  }

  /**
   * Closes a grant.
   *
   * @param isHere  Whether there is a chunk of this handle.
   * @returns       The handles of the grant under which there is one, or may be one soon.
   */
  close(grant: GrantId, isHere: (handle: ChunkHandle) => boolean): readonly ChunkHandle[] {
    this.#closed.add(grant);
    for (const oldest of this.#closed) {
      if (this.#closed.size <= CLOSED_MAX) break;
      this.#closed.delete(oldest);
    }
    const used: ChunkHandle[] = [];
    for (let slot = 0; slot < GRANT_SLOTS; slot++) {
      const handle = handleIn(grant, slot);
      if (this.#writing.has(handle) || isHere(handle)) used.push(handle);
    }
    return used;
  }
}

/** A gate that lets no writer of new chunks pass under a closed grant. */
export class GrantGate implements Gate {
  readonly #gate: Gate;
  readonly #grants: Pick<ClosedGrants, "isClosed">;

  constructor(gate: Gate, grants: Pick<ClosedGrants, "isClosed">) {
    this.#gate = gate;
    this.#grants = grants;
  }

  /** @throws LumeoError UNAVAILABLE for a closed grant, and as the gate behind. */
  check(token: Uint8Array | undefined, request: AccessRequest): Promise<void> | undefined {
    this.#refuseClosed(request);
    // Whoever had to wait may find the grant closed by now.
    return this.#gate.check(token, request)?.then(() => this.#refuseClosed(request));
  }

  #refuseClosed({ rights, handle }: AccessRequest): void {
    if (!rights.includes("write") || !this.#grants.isClosed(handle)) return;
    throw new LumeoError(
      "UNAVAILABLE",
      `Cannot take chunk ${handle}: this server is being emptied; write to another one`,
    );
  }
}
