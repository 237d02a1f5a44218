// Callers that create files without pause, and remember what was acknowledged, and when.

import type { Lumeo } from "@lumeofs/client";

const EMPTY = new Uint8Array(0);
/** For each client: enough that an acknowledgement comes every millisecond or so. */
const CALLERS = 8;

export class Creators {
  readonly folder = "/failover";
  /** Paths. */
  readonly acknowledged = new Set<string>();
  /** Calls that failed in spite of the client's repetitions. */
  failures = 0;
  /** When creates were acknowledged, rising. */
  readonly #timesMs: number[] = [];
  #isOver = false;
  #running: Promise<unknown> = Promise.resolve();

  private constructor() {}

  static async start(clients: readonly Lumeo[]): Promise<Creators> {
    const creators = new Creators();
    await clients[0]?.mkdir(creators.folder);
    const callers = clients.flatMap((client, i) =>
      Array.from({ length: CALLERS }, (_, n) => creators.#run(client, `${i}-${n}`)),
    );
    creators.#running = Promise.all(callers);
    return creators;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  hasAcknowledgedSince(timeMs: number): true | undefined {
    return timeMs < (this.#timesMs.at(-1) ?? 0) ? true : undefined;
  }

  /** Longest time between two acknowledgements, from the last one before `fromMs` on. */
  longestGapMs(fromMs: number): number {
    let at = this.#timesMs.findLastIndex((time) => time < fromMs);
    let longest = 0;
    for (at = Math.max(0, at); at + 1 < this.#timesMs.length; at++) {
      const [time, next] = [this.#timesMs[at] ?? 0, this.#timesMs[at + 1] ?? 0];
      longest = Math.max(longest, next - time);
    }
    return longest;
  }

  async #run(client: Lumeo, name: string): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      const path = `${this.folder}/${name}-${n}`;
      try {
        await client.put(path, EMPTY);
        this.acknowledged.add(path);
        this.#timesMs.push(performance.now());
      } catch {
        this.failures++;
      }
    }
  }
}
