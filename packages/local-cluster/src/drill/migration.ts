// One master becomes three and five and fewer again, while a client that was told of the first one
// only writes without a pause. What counts: no call of the client fails, and nothing that it was
// told to be written is lost.

import type { Lumeo } from "@lumeofs/client";
import type { LocalCluster } from "../local-cluster.js";

/** What the writer did while one change was made. */
export interface MigrationStep {
  /** For people, such as "1 → 3". */
  readonly change: string;
  /** Masters afterwards. */
  readonly masters: readonly string[];
  readonly leader: string;
  readonly changeMs: number;
  readonly calls: number;
  readonly failed: number;
  /** The longest that a call of the writer took. */
  readonly slowestMs: number;
}

export interface MigrationResult {
  readonly steps: readonly MigrationStep[];
  readonly calls: number;
  /** Messages of the calls that failed. */
  readonly failures: readonly string[];
  /** Names that were acknowledged and are not there, or hold something else. */
  readonly lost: readonly string[];
}

export interface MigrationPorts {
  readonly nowMs: () => number;
  /** Tells of every step when it is done. */
  readonly onStep?: (step: MigrationStep) => void;
}

const WRITERS = 4;
/** Calls that the writer makes before and after each change, at least. */
const CALLS_AROUND = 50;
/** A drill has few chunkservers. */
const PUT = { redundancy: { replicas: 1 }, ifNoneMatch: "*" } as const;

/** Writes directories and small files until it is told to stop. */
class Writer {
  readonly #client: Lumeo;
  readonly #nowMs: () => number;
  readonly #done: Promise<unknown>;
  readonly acked: string[] = [];
  readonly failures: string[] = [];
  calls = 0;
  slowestMs = 0;
  #isStopping = false;
  #wake: (() => void)[] = [];

  constructor(client: Lumeo, nowMs: () => number) {
    this.#client = client;
    this.#nowMs = nowMs;
    const writers = Array.from({ length: WRITERS }, (_, i) => this.#write(i));
    this.#done = Promise.all(writers);
  }

  /** Resolves after so many further calls. */
  async makes(count: number): Promise<void> {
    const until = this.calls + count;
    while (this.calls < until) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#done;
  }

  async #write(writer: number): Promise<void> {
    for (let i = 0; !this.#isStopping; i++) {
      const name = `/migration/${writer}/${i}`;
      await this.#call(async () => {
        if (i % 2 === 0) await this.#client.mkdir(name, { recursive: true });
        else await this.#client.put(name, name, PUT);
        this.acked.push(name);
      });
    }
  }

  async #call(action: () => Promise<void>): Promise<void> {
    const begun = this.#nowMs();
    try {
      await action();
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error));
    }
    this.calls += 1;
    this.slowestMs = Math.max(this.slowestMs, this.#nowMs() - begun);
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/**
 * Leads a cluster of one master through 1 → 3 → 5 → 3 → 1; in the end none of the first three is
 * left.
 *
 * @param client  Knows the address of the first master only.
 */
export async function migrate(
  cluster: LocalCluster,
  client: Lumeo,
  ports: MigrationPorts,
): Promise<MigrationResult> {
  const { nowMs, onStep } = ports;
  const writer = new Writer(client, nowMs);
  const steps: MigrationStep[] = [];
  const step = async (change: string, make: () => Promise<unknown>): Promise<void> => {
    const [calls, failed] = [writer.calls, writer.failures.length];
    writer.slowestMs = 0;
    await writer.makes(CALLS_AROUND);
    const begun = nowMs();
    await make();
    const changeMs = nowMs() - begun;
    await writer.makes(CALLS_AROUND);
    const masters = await client.masters.list();
    const done: MigrationStep = {
      change,
      masters: masters.filter((one) => one.standing === "voter").map((one) => one.id),
      leader: masters.find((one) => one.role === "leader")?.id ?? "",
      changeMs,
      calls: writer.calls - calls,
      failed: writer.failures.length - failed,
      slowestMs: writer.slowestMs,
    };
    steps.push(done);
    onStep?.(done);
  };
  try {
    await step("1 → 3", () => cluster.addMasters(2));
    await step("3 → 5", () => cluster.addMasters(2));
    await step("hand over", () => client.masters.transferLeadership());
    await step("5 → 3", () => cluster.removeMasters(["m1", "m2"]));
    await step("3 → 1", () => cluster.removeMasters(["m3", "m4"]));
  } finally {
    await writer.stop();
  }
  const lost = await missing(client, writer.acked);
  return { steps, calls: writer.calls, failures: writer.failures, lost };
}

async function missing(client: Lumeo, names: readonly string[]): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const [i, name] of names.entries()) {
    const found = await client.stat(name).catch(() => undefined);
    // Reading every file back would take longer than the migration: every tenth shows the rest.
    const isRead = found?.kind === "file" && i % 10 === 0;
    const text = isRead ? await (await client.get(name)).text() : name;
    if (found === undefined || text !== name) lost.push(name);
  }
  return lost;
}
