// What a local cluster writes about itself into its folder, besides the members' own data.
//
//   cluster.json     the topology, so that a restart needs nothing but the folder
//   endpoints        the masters, comma-separated: LUMEO_ENDPOINTS=$(cat endpoints)
//   members.json     for people and scripts: id, role, pid, address, dir of every member
//   processes.json   pid and start time of the running members: whom `stop` may end
//   lock             the supervising process
//   <member>/data    the member's store        <member>/log    what it printed, JSON lines
//   <member>/data-2  that on its second disk
//
// Files are replaced whole (write beside, rename), so that a reader never sees half of one.

import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { LumeoError } from "@lumeofs/base";
import type { ProcessIdentity } from "./process-identity.js";
import { type Role, TOPOLOGY_DEFAULT, type Topology } from "./topology.js";

/** One line of members.json. */
export interface MemberRecord {
  readonly id: string;
  readonly role: Role;
  /** null while the member does not run. */
  readonly pid: number | null;
  /** Master: gRPC. Chunkserver: data plane. */
  readonly address: string;
  readonly dir: string;
}

/** A running member, as `stop` needs it. */
export interface MemberProcess extends ProcessIdentity {
  readonly id: string;
}

/** A log longer than this is set aside as `log.1` when its member starts. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;
const LOG_TAIL_BYTES = 64 * 1024;

export class ClusterFolder {
  readonly path: string;

  constructor(dir: string) {
    this.path = resolve(dir);
  }

  get lockFile(): string {
    return join(this.path, "lock");
  }

  memberDir(id: string): string {
    return join(this.path, id);
  }

  /** Where the member keeps its store, or that on its disk of this number. */
  dataDir(id: string, disk = 1): string {
    return join(this.path, id, disk === 1 ? "data" : `data-${disk}`);
  }

  logFile(id: string): string {
    return join(this.path, id, "log");
  }

  /** Makes the folder. @throws LumeoError CONFIG if it cannot be. */
  make(): void {
    try {
      mkdirSync(this.path, { recursive: true });
    } catch (cause) {
      throw new LumeoError(
        "CONFIG",
        `Cannot make the folder "${this.path}": ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  /** Deletes everything of a member. */
  removeMember(id: string): void {
    rmSync(this.memberDir(id), { recursive: true, force: true });
  }

  /**
   * Makes the member's folder and readies its log. A store's folder that is missing beside others
   * is a disk that is gone: it stays so.
   */
  makeMember(id: string, disks: number): void {
    const folders = Array.from({ length: disks }, (_, i) => this.dataDir(id, i + 1));
    const isNew = !folders.some(existsSync);
    mkdirSync(this.memberDir(id), { recursive: true });
    if (isNew) for (const folder of folders) mkdirSync(folder);
    const log = this.logFile(id);
    if (existsSync(log) && LOG_BYTES_MAX < statSync(log).size) renameSync(log, `${log}.1`);
  }

  readTopology(): Topology | undefined {
    const stored = this.#readJson<{ topology: Topology }>("cluster.json")?.topology;
    // Folders of before masters could join say nothing of them.
    return stored === undefined ? undefined : { ...TOPOLOGY_DEFAULT, ...stored };
  }

  writeTopology(topology: Topology): void {
    this.#writeJson("cluster.json", { version: 1, topology });
  }

  writeEndpoints(endpoints: readonly string[]): void {
    this.#replace("endpoints", `${endpoints.join(",")}\n`);
  }

  readMembers(): readonly MemberRecord[] {
    return this.#readJson<MemberRecord[]>("members.json") ?? [];
  }

  writeMembers(members: readonly MemberRecord[]): void {
    this.#writeJson("members.json", members);
  }

  readProcesses(): readonly MemberProcess[] {
    return this.#readJson<MemberProcess[]>("processes.json") ?? [];
  }

  writeProcesses(processes: readonly MemberProcess[]): void {
    this.#writeJson("processes.json", processes);
  }

  /** The last lines that a member printed, for error messages. */
  logTail(id: string): readonly string[] {
    const file = openSync(this.logFile(id), "r");
    try {
      const { size } = fstatSync(file);
      const tail = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
      readSync(file, tail, 0, tail.length, size - tail.length);
      return tail.toString("utf8").trimEnd().split("\n");
    } finally {
      closeSync(file);
    }
  }

  #readJson<T>(name: string): T | undefined {
    const file = join(this.path, name);
    if (!existsSync(file)) return undefined;
    try {
      return JSON.parse(readFileSync(file, "utf8")) as T;
    } catch (cause) {
      throw new LumeoError("CORRUPT", `Cannot read "${file}": it is not JSON`, { cause });
    }
  }

  #writeJson(name: string, value: unknown): void {
    this.#replace(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  #replace(name: string, text: string): void {
    const beside = join(this.path, `.${name}.${process.pid}`);
    writeFileSync(beside, text);
    renameSync(beside, join(this.path, name));
  }
}
