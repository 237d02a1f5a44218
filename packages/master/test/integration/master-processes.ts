// Masters as real processes on loopback, for tests.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { AdminService, type lumeo } from "@lumeofs/proto";
import { findFreePorts } from "@lumeofs/testkit";

const MAIN = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const POLL_MS = 50;
const PATIENCE_MS = 60_000;

interface Member {
  readonly id: string;
  readonly address: string;
  process: ChildProcess | undefined;
  isPaused: boolean;
}

export class MasterProcesses {
  readonly folder: string;
  readonly members: readonly Member[];
  readonly #flags: readonly string[];

  private constructor(folder: string, members: readonly Member[], flags: readonly string[]) {
    this.folder = folder;
    this.members = members;
    this.#flags = flags;
  }

  static async start(count: number, flags: readonly string[] = []): Promise<MasterProcesses> {
    const folder = await mkdtemp(join(tmpdir(), "lumeo-masters-"));
    const ports = await findFreePorts(count);
    const members = ports.map((port, i) => ({
      id: `m${i + 1}`,
      address: `127.0.0.1:${port}`,
      process: undefined,
      isPaused: false,
    }));
    const all = new MasterProcesses(folder, members, flags);
    for (const { id } of members) all.spawn(id);
    return all;
  }

  spawn(id: string): void {
    const member = this.#member(id);
    const peers = this.members.map((one) => `${one.id}=${one.address}`).join(",");
    const log = openSync(join(this.folder, `${id}.log`), "a");
    const args = ["--id", id, "--dir", join(this.folder, id), "--listen", member.address];
    const all = [MAIN, ...args, "--peers", peers, ...this.#flags];
    member.process = spawn(process.execPath, all, { stdio: ["ignore", log, log] });
    closeSync(log);
  }

  /** Ends a process; its exit code, or null if the signal ended it. */
  async end(id: string, signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const member = this.#member(id);
    const { process: child } = member;
    member.process = undefined;
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = await exited;
    return code;
  }

  /** Stops a process where it is, in the middle of whatever it does, until `resume`. */
  pause(id: string): void {
    const member = this.#member(id);
    member.isPaused = true;
    member.process?.kill("SIGSTOP");
  }

  resume(id: string): void {
    const member = this.#member(id);
    member.isPaused = false;
    member.process?.kill("SIGCONT");
  }

  /** Waits until a process ends by itself; its exit code. */
  async exitCode(id: string): Promise<number | null> {
    const member = this.#member(id);
    const child = member.process;
    await this.until(`the end of ${id}`, async () =>
      child === undefined || child.exitCode !== null ? true : undefined,
    );
    member.process = undefined;
    return child?.exitCode ?? null;
  }

  /** The leader, once somebody leads a set-up cluster and answers. */
  async leader(): Promise<{ readonly id: string; readonly address: string }> {
    return this.until("a leader", async () => {
      for (const { id, address, process: child, isPaused } of this.members) {
        if (child === undefined || isPaused) continue;
        const answer = await clusterStatus(address).catch(() => undefined);
        const isLeader = answer?.leader === id && (answer.clusterId ?? "") !== "";
        if (isLeader) return { id, address };
      }
      return undefined;
    });
  }

  /** Asks again and again until there is a value. */
  async until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    while (performance.now() < deadline) {
      const value = await ask();
      if (value !== undefined) return value;
      await pause(POLL_MS);
    }
    throw new Error(`Waited in vain for ${what}\n${await this.logs()}`);
  }

  async logs(): Promise<string> {
    const files = this.members.map(({ id }) => join(this.folder, `${id}.log`));
    const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
    return texts.map((text) => text.split("\n").slice(-20).join("\n")).join("\n");
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map(({ id }) => this.end(id, "SIGKILL")));
    await rm(this.folder, { recursive: true, force: true });
  }

  #member(id: string): Member {
    const member = this.members.find((one) => one.id === id);
    if (member === undefined) throw new Error(`no master ${id}`);
    return member;
  }
}

export async function clusterStatus(
  address: string,
): Promise<lumeo.master.v1.IGetClusterStatusResponse> {
  return call(address, (channel) =>
    unary(channel, AdminService.getClusterStatus, {}, { timeoutMs: 5_000 }),
  );
}

export async function stateHash(
  address: string,
): Promise<{ readonly hash: string; readonly index: number; readonly applied: number }> {
  const { status } = await call(address, (channel) =>
    unary(channel, AdminService.getMasterStatus, { stateHash: true }, { timeoutMs: 5_000 }),
  );
  return {
    hash: status?.stateHash ?? "",
    index: status?.stateHashIndex ?? 0,
    applied: status?.appliedIndex ?? 0,
  };
}

export async function call<T>(
  address: string,
  ask: (channel: RpcChannel) => Promise<T>,
): Promise<T> {
  const channel = new RpcChannel(address);
  try {
    return await ask(channel);
  } finally {
    await channel.close();
  }
}
