// Our side of the comparison: three masters as processes, driven through the SDK by this process.

import { join } from "node:path";
import { connect, type Lumeo } from "@lumeofs/client";
import { LocalCluster } from "@lumeofs/local-cluster";
import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { AdminService } from "@lumeofs/proto";
import { cpuSeconds, peakMemoryMiB } from "../machine.js";
import { quantile } from "../raw-disk.js";
import { type LoadResult, runLoad } from "./load.js";

const EMPTY = new Uint8Array(0);
const FOLDER = "/bench";
/** Pause between two samples of the followers' lag. */
const LAG_PAUSE_MS = 25;
const STATUS_TIMEOUT_MS = 5_000;

/** CPU microseconds that each process used for one call, by its name. */
export type CpuPerCall = Readonly<Record<string, number>>;

export interface MeasuredLoad extends LoadResult {
  readonly cpu: CpuPerCall;
}

export interface Lag {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export class LumeoSide implements AsyncDisposable {
  readonly #cluster: LocalCluster;
  readonly #client: Lumeo;
  /** Files made so far: `pathOf` of all numbers below. */
  #created = 0;

  private constructor(cluster: LocalCluster, client: Lumeo) {
    this.#cluster = cluster;
    this.#client = client;
  }

  /** Starts three masters (and the one chunkserver without which a cluster is not ready). */
  static async start(folder: string): Promise<LumeoSide> {
    const dir = join(folder, "lumeo");
    const cluster = await LocalCluster.start({ dir, chunkservers: 1, portBase: "free" });
    try {
      await cluster.waitReady();
      const client = await connect(cluster.endpoints.join(","));
      await client.mkdir(FOLDER);
      return new LumeoSide(cluster, client);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get created(): number {
    return this.#created;
  }

  /** Durable creates of empty files in one directory: one operation of the masters each. */
  creates(inFlight: number, seconds: number): Promise<MeasuredLoad> {
    return this.#measure({
      inFlight,
      seconds,
      one: () => this.#client.put(pathOf(this.#created++), EMPTY),
    });
  }

  /** Look-ups of files that exist. */
  stats(
    inFlight: number,
    seconds: number,
    consistency: "linearizable" | "stale",
  ): Promise<MeasuredLoad> {
    const count = this.#created;
    const options = consistency === "stale" ? { consistency } : {};
    return this.#measure({
      inFlight,
      seconds,
      one: (n) => this.#client.stat(pathOf((n * 7919) % count), options),
    });
  }

  /** Names a second when the whole directory is listed by the SDK, again and again. */
  async list(seconds: number): Promise<{ readonly names: number; readonly perSecond: number }> {
    await this.#listOnce(); // the compiler of each process warms up
    let names = 0;
    const began = performance.now();
    while (performance.now() < began + seconds * 1000) names += await this.#listOnce();
    return { names: this.#created, perSecond: names / ((performance.now() - began) / 1000) };
  }

  async #listOnce(): Promise<number> {
    let names = 0;
    for await (const page of this.#client.list(FOLDER).pages({ size: 10_000 })) {
      names += page.items.length;
    }
    if (names !== this.#created) throw new Error(`${names} names of ${this.#created} are listed`);
    return names;
  }

  /**
   * How long followers take to apply what the leader has committed, under a load of creates: from
   * asking the leader for its position until a follower says that it has reached it.
   */
  async lag(inFlight: number, seconds: number): Promise<Lag> {
    const channels = this.#cluster.endpoints.map((address) => new RpcChannel(address));
    const times: number[] = [];
    const over = new AbortController();
    const sample = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const views = await Promise.all(channels.map(positionOf));
        const leader = views.reduce((a, b) => (a.commit < b.commit ? b : a));
        const began = performance.now();
        for (const [i, view] of views.entries()) {
          let { applied } = view;
          while (applied < leader.commit) {
            applied = (await positionOf(channels[i] as RpcChannel)).applied;
          }
          times.push(performance.now() - began);
        }
        await new Promise((resolve) => setTimeout(resolve, LAG_PAUSE_MS));
      }
    };
    try {
      const sampling = sample();
      await this.creates(inFlight, seconds);
      over.abort();
      await sampling;
    } finally {
      over.abort();
      await Promise.all(channels.map((channel) => channel.close()));
    }
    times.sort((a, b) => a - b);
    return { samples: times.length, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
  }

  /** Largest resident set of each process so far, MiB. */
  memory(): Readonly<Record<string, number>> {
    const peaks = this.#processes().map(([id, pid]) => [id, peakMemoryMiB(pid) ?? 0] as const);
    return Object.fromEntries(peaks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
    await this.#cluster.stop();
  }

  async #measure(load: Parameters<typeof runLoad>[0]): Promise<MeasuredLoad> {
    const processes = this.#processes();
    const before = processes.map(([, pid]) => cpuSeconds(pid));
    let calls = 0;
    const one = (n: number): Promise<unknown> => {
      calls++;
      return load.one(n);
    };
    const result = await runLoad({ ...load, one });
    const cpu = processes.map(([id, pid], i) => {
      const used = cpuSeconds(pid) - (before[i] ?? 0);
      return [id, (used * 1e6) / Math.max(1, calls)] as const;
    });
    return { ...result, cpu: Object.fromEntries(cpu) };
  }

  #processes(): readonly (readonly [id: string, pid: number])[] {
    const masters = this.#cluster.members().filter(({ role }) => role === "master");
    const running = masters.flatMap(({ id, pid }) => (pid === null ? [] : [[id, pid] as const]));
    return [["client", process.pid], ...running];
  }
}

function pathOf(n: number): string {
  return `${FOLDER}/file-${n}`;
}

async function positionOf(
  channel: RpcChannel,
): Promise<{ readonly commit: number; readonly applied: number }> {
  const ask = { stateHash: false };
  const options = { timeoutMs: STATUS_TIMEOUT_MS };
  const { status } = await unary(channel, AdminService.getMasterStatus, ask, options);
  return { commit: status?.commitIndex ?? 0, applied: status?.appliedIndex ?? 0 };
}
