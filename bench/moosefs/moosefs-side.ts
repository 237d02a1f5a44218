// MooseFS as one side of the comparison: its mount, driven by a program of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DataSide, SmallFiles } from "../data/side.js";
import type { SmallResult } from "../load/small-files.js";
import { MooseFs, mooseFsVersion } from "./moosefs.js";
import type { MountLoad, MountResult } from "./mount-load.js";

const LOAD_PROGRAM = fileURLToPath(new URL("./mount-load.js", import.meta.url));
/** As many calls on the mount at once as any load has in flight. */
const THREADS = 64;

export class MooseFsSide implements DataSide {
  readonly name = `MooseFS ${mooseFsVersion()}`;
  readonly #moose: MooseFs;
  #loadCpuSeconds = 0;

  private constructor(moose: MooseFs) {
    this.#moose = moose;
  }

  static async start(folder: string, chunkservers: number): Promise<MooseFsSide> {
    return new MooseFsSide(await MooseFs.start(join(folder, "moosefs"), chunkservers));
  }

  processes(): ReadonlyMap<string, number> {
    return this.#moose.processes();
  }

  loadCpuSeconds(): number {
    return this.#loadCpuSeconds;
  }

  async putLarge(path: string, bytes: number, clients: number): Promise<number> {
    const paths = this.#paths(path, clients);
    return (await this.#run({ kind: "putLarge", paths, bytes: bytes / clients })).seconds;
  }

  async getLarge(path: string, bytes: number, clients: number): Promise<number> {
    const paths = this.#paths(path, clients);
    return (await this.#run({ kind: "getLarge", paths, bytes: bytes / clients })).seconds;
  }

  /** Its client reads no files of chunkservers. */
  getLargeFromServers(path: string, bytes: number, clients: number): Promise<number> {
    return this.getLarge(path, bytes, clients);
  }

  putSmall(load: SmallFiles): Promise<SmallResult> {
    return this.#small("putSmall", load);
  }

  getSmall(load: SmallFiles): Promise<SmallResult> {
    return this.#small("getSmall", load);
  }

  /** The kernel keeps pages of the mount: a new mount has none. */
  async forget(): Promise<void> {
    await this.#moose.remount();
  }

  close(): Promise<void> {
    return this.#moose.close();
  }

  #paths(path: string, count: number): string[] {
    return Array.from({ length: count }, (_, n) => join(this.#moose.mountPoint, `${path}-${n}`));
  }

  async #small(kind: "putSmall" | "getSmall", load: SmallFiles): Promise<SmallResult> {
    const folder = join(this.#moose.mountPoint, load.folder);
    const { seconds, p50Ms, p99Ms } = await this.#run({ ...load, kind, folder });
    return { perSecond: load.count / seconds, p50Ms, p99Ms };
  }

  async #run(load: MountLoad): Promise<MountResult> {
    const child = spawn(process.execPath, [LOAD_PROGRAM, JSON.stringify(load)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, UV_THREADPOOL_SIZE: String(THREADS) },
    });
    const [chunks, [code]] = await Promise.all([
      child.stdout.toArray() as Promise<Buffer[]>,
      once(child, "exit"),
    ]);
    if (code !== 0) throw new Error(`Load "${load.kind}" on the mount ended with ${code}`);
    const result = JSON.parse(Buffer.concat(chunks).toString()) as MountResult;
    this.#loadCpuSeconds += result.cpuSeconds;
    return result;
  }
}
