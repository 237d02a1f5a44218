// A cluster of real processes for one test file, with the `lumeo` command to use it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { AdminService } from "@lumeofs/proto";
import type { ExecutionContext } from "ava";
import {
  connectedPorts,
  LocalCluster,
  LumeoCommand,
  type LumeoRun,
  type LumeoRunOptions,
  type MemberRecord,
  waitUntil,
} from "../../src/index.js";

export const BIN = fileURLToPath(new URL("../../../../cli/bin/lumeo.mjs", import.meta.url));
/**
 * Everything that a drill waits for comes within this time, or the test fails. One look may take as
 * long on a slow machine, and the first ones may come too early.
 */
const PATIENCE = { timeoutMs: 120_000, asksMin: 3 };

export interface ClusterStatus {
  readonly leader: string;
  readonly term: number;
  readonly masters: readonly { readonly id: string; readonly lastApplied: number }[];
  readonly chunkservers: readonly {
    readonly id: string;
    readonly state: string;
    readonly chunks: number;
    readonly damaged: number;
  }[];
}

export class Drill {
  readonly #scratch: string;
  #cluster: LocalCluster;
  #lumeo: LumeoCommand;

  private constructor(scratch: string, cluster: LocalCluster) {
    this.#scratch = scratch;
    this.#cluster = cluster;
    this.#lumeo = commandFor(cluster);
  }

  /** @param environment  Settings of the members, beside those that all clusters have. */
  static async start(
    topology: { masters: number; chunkservers: number; disks?: number },
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Drill> {
    const scratch = mkdtempSync(join(tmpdir(), "lumeo-drill-"));
    const dir = join(scratch, "cluster");
    const cluster = await LocalCluster.start({
      ...{ dir, portBase: "free", environment },
      ...topology,
    });
    await cluster.waitReady();
    return new Drill(scratch, cluster);
  }

  get cluster(): LocalCluster {
    return this.#cluster;
  }

  /** A path in a folder that is removed at the end. */
  at(...names: readonly string[]): string {
    return join(this.#scratch, ...names);
  }

  run(args: readonly string[], options?: LumeoRunOptions): Promise<LumeoRun> {
    return this.#lumeo.run(args, options);
  }

  /** Runs a command that must succeed; its output. */
  async ok(
    t: ExecutionContext,
    args: readonly string[],
    options?: LumeoRunOptions,
  ): Promise<string> {
    const { status, stdout, stderr } = await this.run(args, options);
    t.is(status, 0, `lumeo ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Runs a command that must succeed; the objects that it prints with `--json`. */
  async json<T>(t: ExecutionContext, args: readonly string[]): Promise<readonly T[]> {
    const text = await this.ok(t, [...args, "--json"]);
    const lines = text.split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line) as T);
  }

  async status(t: ExecutionContext): Promise<ClusterStatus> {
    const [status] = await this.json<ClusterStatus>(t, ["cluster", "status"]);
    if (status === undefined) throw new Error("lumeo cluster status printed nothing");
    return status;
  }

  async leader(t: ExecutionContext): Promise<string> {
    return (await this.until(t, "a leader", async () => (await this.status(t)).leader)) ?? "";
  }

  /** The chunkserver to which a client has a connection open. */
  primaryOf(client: number): MemberRecord | undefined {
    const ports = connectedPorts(client);
    const members = this.#cluster.members().filter((one) => one.role === "chunkserver");
    return members.find((one) => ports.has(Number(one.address.split(":").at(-1))));
  }

  /** Waits for a true answer, or fails the test saying what was waited for. */
  async until<T>(
    t: ExecutionContext,
    what: string,
    ask: () => T | undefined | false | "" | Promise<T | undefined | false | "">,
  ): Promise<T | undefined> {
    const answer = await waitUntil(async () => (await ask()) || undefined, PATIENCE);
    t.not(answer, undefined, `waited in vain for ${what}`);
    return answer;
  }

  /** Hash of the whole state of every master, once all have applied the same entries. */
  async agreedState(t: ExecutionContext): Promise<string | undefined> {
    return this.until(t, "masters that agree", async () => {
      const hashes = await Promise.all(this.#cluster.endpoints.map(stateHash));
      const all = new Set(hashes);
      return all.size === 1 && hashes[0] !== undefined ? hashes[0] : undefined;
    });
  }

  /** Stops every process and starts them again with the same folder. */
  async restartAll(whileStopped: () => void = () => {}): Promise<void> {
    const { dir } = this.#cluster;
    await this.#cluster.stop();
    whileStopped();
    this.#cluster = await LocalCluster.start({ dir });
    await this.#cluster.waitReady();
    this.#lumeo = commandFor(this.#cluster);
  }

  async stop(): Promise<void> {
    await this.#cluster.stop();
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}

function commandFor(cluster: LocalCluster): LumeoCommand {
  const endpoints = cluster.endpoints.join(",");
  return new LumeoCommand(BIN, { LUMEO_ENDPOINTS: endpoints, NO_COLOR: "1" });
}

/** "index hash" of a master; undefined while it does not answer. */
export async function stateHash(address: string): Promise<string | undefined> {
  const channel = new RpcChannel(address);
  try {
    const options = { timeoutMs: 5_000 };
    const { status } = await unary(
      channel,
      AdminService.getMasterStatus,
      { stateHash: true },
      options,
    );
    return `${status?.stateHashIndex} ${status?.stateHash}`;
  } catch {
    return undefined;
  } finally {
    channel.close();
  }
}
