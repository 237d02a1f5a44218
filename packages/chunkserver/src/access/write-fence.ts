// A chunkserver that is cut off from the masters takes no new chunks, from before the masters take
// it for dead: they may be making its copies elsewhere, and a chunk that it took now would be one
// that nobody counts on.
//
// Silence is counted from when the last heartbeat that was answered had been sent: the leader got
// it later, so it gives this server up later than this server gives itself up. Reads go on: what is
// sealed does not change. Growing chunks have a fence of their own, the epoch (rule 4).

import { type AccessRequest, type Clock, LumeoError, type MonotonicMs } from "@lumeofs/base";
import type { Gate } from "./token-gate.js";

export class WriteFence {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #fenceMs = 0;
  #heardAt: MonotonicMs | undefined;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** What the masters said at registration: milliseconds of silence; 0 for no fence. */
  agreed(fenceMs: number): void {
    this.#fenceMs = fenceMs;
  }

  /** A heartbeat was answered that had been sent at `sentAt`. */
  answered(sentAt: MonotonicMs): void {
    this.#heardAt = sentAt;
  }

  /** Since when the masters are silent, if that is for too long. */
  get cutOffMs(): number | undefined {
    // Before the first answer no token can be judged either: see the gate.
    if (this.#fenceMs === 0 || this.#heardAt === undefined) return undefined;
    const silentMs = this.#clock.monotonicMs() - this.#heardAt;
    return this.#fenceMs <= silentMs ? silentMs : undefined;
  }
}

/** A gate that lets no writer of new chunks pass while the fence is up. */
export class FencedGate implements Gate {
  readonly #gate: Gate;
  readonly #fence: Pick<WriteFence, "cutOffMs">;

  constructor(gate: Gate, fence: Pick<WriteFence, "cutOffMs">) {
    this.#gate = gate;
    this.#fence = fence;
  }

  /** @throws LumeoError UNAVAILABLE while the fence is up, and as the gate behind. */
  check(token: Uint8Array | undefined, request: AccessRequest): Promise<void> | undefined {
    const cutOffMs = request.rights.includes("write") ? this.#fence.cutOffMs : undefined;
    if (cutOffMs === undefined) return this.#gate.check(token, request);
    const seconds = (cutOffMs / 1_000).toFixed(1);
    throw new LumeoError(
      "UNAVAILABLE",
      `Cannot take chunk ${request.handle}: the masters have been silent for ${seconds} s, and ` +
        "may take this server for dead; write to another one",
    );
  }
}
