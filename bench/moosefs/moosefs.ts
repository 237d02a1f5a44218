// A MooseFS of Debian packages on this machine: one master, chunkservers that sync a chunk before
// they close it, and a mount. All in one folder, on free ports, ended by their ids.
//
// A MooseFS chunkserver refuses to look for its master on 127.0.0.1, so all listen on an address of
// the machine itself; packets to it stay in the kernel like those of loopback.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFile, mkdir, open, readFile, statfs, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { networkInterfaces, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts, stopServer } from "../servers.js";

const EMPTY_METADATA = "/var/lib/mfs/metadata.mfs.empty";
const COPIES = 3;
const READY_MS_MAX = 30_000;
const SETTLE_MS = 2_000;
const PROGRAMS = ["mfsmaster", "mfschunkserver", "mfsmount", "mfssetgoal"] as const;

/** What is missing for a comparison on this machine, or undefined if all is there. */
export function whyNoMooseFs(): string | undefined {
  for (const program of PROGRAMS) {
    const { error } = spawnSync(program, ["-v"], { stdio: "ignore", timeout: 5_000 });
    if (error !== undefined) return `${program} is not installed (${error.message})`;
  }
  return ownAddress() === undefined ? "this machine has no address but loopback" : undefined;
}

/** Version of the installed master. */
export function mooseFsVersion(): string {
  const { stdout, stderr } = spawnSync("mfsmaster", ["-v"], { encoding: "utf8" });
  return /\d+\.\d+\.\d+/.exec(`${stdout}${stderr}`)?.[0] ?? "of unknown version";
}

/** A running MooseFS with its mount. */
export class MooseFs {
  readonly #folder: string;
  readonly #servers: ReadonlyMap<string, ChildProcess>;
  readonly #clientPort: number;
  #mount: ChildProcess | undefined;

  private constructor(folder: string, servers: Map<string, ChildProcess>, clientPort: number) {
    this.#folder = folder;
    this.#servers = servers;
    this.#clientPort = clientPort;
  }

  /** Starts all below `folder`; ready when there is room for files. */
  static async start(folder: string, chunkservers: number): Promise<MooseFs> {
    const ports = await freePorts(3 + chunkservers, host());
    const [forServers = 0, forClients = 0, forLoggers = 0, ...data] = ports;
    const servers = new Map<string, ChildProcess>();
    const moose = new MooseFs(folder, servers, forClients);
    try {
      await mkdir(join(folder, "mount"), { recursive: true });
      servers.set("master", await startMaster(folder, { forServers, forClients, forLoggers }));
      await until("The master of MooseFS does not listen", () => isListening(forClients));
      for (const [i, port] of data.entries()) {
        const name = `chunkserver ${i + 1}`;
        servers.set(name, await startChunkserver(join(folder, `cs${i + 1}`), forServers, port));
      }
      await moose.#attach();
      await moose.#waitReady();
      return moose;
    } catch (error) {
      await moose.close();
      throw error;
    }
  }

  /** Where its files are. */
  get mountPoint(): string {
    return join(this.#folder, "mount");
  }

  processes(): ReadonlyMap<string, number> {
    const all = [...this.#servers, ["mount", this.#mount] as const];
    return new Map(all.flatMap(([name, child]) => (child?.pid ? [[name, child.pid]] : [])));
  }

  /** Mounts anew: nothing of the files is cached on the client's side any more. */
  async remount(): Promise<void> {
    await this.#detach();
    await this.#attach();
  }

  async close(): Promise<void> {
    await this.#detach();
    await Promise.all([...this.#servers.values()].map(stopServer));
  }

  async #attach(): Promise<void> {
    const options = `mfsmaster=${host()},mfsport=${this.#clientPort}`;
    const args = [this.mountPoint, "-f", "-o", options];
    this.#mount = await startProgram("mfsmount", args, join(this.#folder, "mount.log"));
    await until("MooseFS is not mounted", () => this.#isMounted());
  }

  async #detach(): Promise<void> {
    const mount = this.#mount;
    this.#mount = undefined;
    if (mount === undefined) return;
    await stopServer(mount);
    if (await this.#isMounted()) spawnSync("umount", ["-l", this.mountPoint]);
  }

  async #isMounted(): Promise<boolean> {
    return (await readFile("/proc/mounts", "utf8")).includes(` ${this.mountPoint} `);
  }

  async #waitReady(): Promise<void> {
    const { status, stderr } = spawnSync("mfssetgoal", [String(COPIES), this.mountPoint], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`mfssetgoal failed: ${stderr}`);
    await until("MooseFS has no room", async () => 0 < (await statfs(this.mountPoint)).blocks);
    await delay(SETTLE_MS); // the last chunkserver may still be on its way to the master
  }
}

interface MasterPorts {
  readonly forServers: number;
  readonly forClients: number;
  readonly forLoggers: number;
}

async function startMaster(folder: string, ports: MasterPorts): Promise<ChildProcess> {
  const dir = join(folder, "master");
  await mkdir(dir, { recursive: true });
  await copyFile(EMPTY_METADATA, join(dir, "metadata.mfs"));
  await writeFile(join(dir, "exports.cfg"), "* / rw,alldirs,admin,maproot=0:0\n");
  await writeFile(join(dir, "topology.cfg"), "");
  const config = await writeConfig(dir, {
    EXPORTS_FILENAME: join(dir, "exports.cfg"),
    TOPOLOGY_FILENAME: join(dir, "topology.cfg"),
    MATOCS_LISTEN_HOST: host(),
    MATOCS_LISTEN_PORT: ports.forServers,
    MATOCL_LISTEN_HOST: host(),
    MATOCL_LISTEN_PORT: ports.forClients,
    MATOML_LISTEN_HOST: host(),
    MATOML_LISTEN_PORT: ports.forLoggers,
  });
  return startProgram("mfsmaster", ["-c", config, "-f", "start"], join(dir, "log"));
}

async function startChunkserver(
  dir: string,
  masterPort: number,
  port: number,
): Promise<ChildProcess> {
  await mkdir(join(dir, "data"), { recursive: true });
  await writeFile(join(dir, "hdd.cfg"), `${join(dir, "data")}\n`);
  const config = await writeConfig(dir, {
    HDD_CONF_FILENAME: join(dir, "hdd.cfg"),
    HDD_FSYNC_BEFORE_CLOSE: 1,
    MASTER_HOST: host(),
    MASTER_PORT: masterPort,
    MASTER_RECONNECTION_DELAY: 1,
    CSSERV_LISTEN_HOST: host(),
    CSSERV_LISTEN_PORT: port,
  });
  return startProgram("mfschunkserver", ["-c", config, "-f", "start"], join(dir, "log"));
}

async function writeConfig(
  dir: string,
  settings: Readonly<Record<string, string | number>>,
): Promise<string> {
  const all = {
    WORKING_USER: userInfo().username,
    NICE_LEVEL: 0,
    DISABLE_OOM_KILLER: 0,
    DATA_PATH: dir,
    ...settings,
  };
  const path = join(dir, "server.cfg");
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(path, lines.join(""));
  return path;
}

async function startProgram(
  program: string,
  args: readonly string[],
  logPath: string,
): Promise<ChildProcess> {
  await using log = await open(logPath, "a");
  return spawn(program, args, { stdio: ["ignore", log.fd, log.fd] });
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + READY_MS_MAX;
  while (!(await isTrue())) {
    if (end < performance.now()) throw new Error(`${what} after ${READY_MS_MAX} ms`);
    await delay(50);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: host(), port });
    const answer = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}

function host(): string {
  const address = ownAddress();
  if (address === undefined) throw new Error("This machine has no address but loopback");
  return address;
}

function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}
