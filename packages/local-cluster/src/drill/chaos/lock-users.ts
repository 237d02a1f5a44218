// Callers that want the same lock. Whoever gets it writes under its fence; whoever had it before
// tries to write too, and must be refused.
//
// T1. Tokens grow: one that is asked for after another was given out is larger.
// T2. A change under the fence of a lock that somebody else has got since has no effect.

import type { Random } from "@lumeofs/base";
import type { Fence, Lumeo } from "@lumeofs/client";
import type { Ledger } from "../ledger.js";
import { rest } from "../rest.js";

const EMPTY = new Uint8Array(0);
/** Short enough to be lost in a fault. */
const TTL_MS = 2_000;
const WRITES_MAX = 4;
const REST_MS_MAX = 60;

export class LockUsers {
  readonly #name: string;
  readonly #path: string;
  readonly #ledger: Ledger;
  /** The largest token that was given out, to whomever. */
  #newest = 0;

  constructor(name: string, path: string, ledger: Ledger) {
    this.#name = name;
    this.#path = path;
    this.#ledger = ledger;
  }

  /** One user, until told to end. */
  async use(client: Lumeo, random: Random, end: AbortSignal): Promise<void> {
    let old: Fence | undefined;
    while (!end.aborted) {
      const floor = this.#newest;
      const acquire = () => client.locks.acquire(this.#name, { ttlMs: TTL_MS });
      const isHeld = (code: string): boolean => code === "LUMEO_LOCKED";
      const outcome = await this.#ledger.call("lock", this.#name, acquire, isHeld);
      if (outcome.kind !== "ok") {
        if (old !== undefined && old.token < this.#newest) await this.#writeInVain(client, old);
        await rest(REST_MS_MAX * random.fraction(), end);
        continue;
      }
      const { token } = outcome.value;
      if (token <= floor) this.#ledger.anomaly(`lock token ${token} follows ${floor}`);
      this.#newest = Math.max(this.#newest, token);
      old = { lock: this.#name, token };
      await this.#work(client, old, Math.ceil(WRITES_MAX * random.fraction()));
    }
  }

  async #work(client: Lumeo, fence: Fence, writes: number): Promise<void> {
    for (let i = 0; i < writes; i++) {
      const isNewest = this.#newest === fence.token;
      const outcome = await this.#write(client, "write under lock", fence);
      if (outcome.kind === "ok" && !isNewest) {
        this.#ledger.anomaly(`token ${fence.token} wrote after ${this.#newest} was given out`);
      }
      if (outcome.kind !== "ok") return;
    }
    const release = () => client.locks.release(fence);
    await this.#ledger.call("unlock", this.#name, release, isLost);
  }

  /** T2. */
  async #writeInVain(client: Lumeo, fence: Fence): Promise<void> {
    const outcome = await this.#write(client, "write without lock", fence);
    if (outcome.kind === "ok") {
      this.#ledger.anomaly(`token ${fence.token} wrote after ${this.#newest} was given out`);
    }
  }

  #write(client: Lumeo, kind: string, fence: Fence) {
    const metadata = { token: String(fence.token) };
    const write = () => client.put(this.#path, EMPTY, { fence, metadata });
    return this.#ledger.call(kind, this.#path, write, isLost);
  }
}

function isLost(code: string): boolean {
  return code === "LUMEO_PRECONDITION" || code === "LUMEO_NOT_FOUND";
}
