// One member as a process of its own: started detached, so that a Ctrl-C for its supervisor does
// not reach it, and with everything it prints in its log file.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LumeoError } from "@lumeofs/base";
import type { ClusterFolder } from "./cluster-folder.js";
import { identifyProcess, type ProcessIdentity } from "./process-identity.js";
import { type MemberPlan, memberArguments, type Role } from "./topology.js";

/** Threads for calls of files: so many for each disk, and as many for all else (0025). */
const THREADS_PER_DISK = 4;

/**
 * What Node.js itself is told. A master makes much that lives for a few tens of milliseconds: in a
 * young generation of 16 MiB, the default, most of it is copied twice before it is garbage.
 */
const NODE_FLAGS: Readonly<Record<Role, readonly string[]>> = {
  master: ["--max-semi-space-size=64"],
  chunkserver: [],
};

/** How a member ended. */
export interface MemberExit {
  readonly id: string;
  readonly pid: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What is started for each role; tests put small programs in their place. */
export type EntryFiles = Readonly<Record<Role, string>>;

/** The servers of this installation. */
export function installedEntryFiles(): EntryFiles {
  const beside = (name: string): string =>
    fileURLToPath(new URL("./main.js", import.meta.resolve(name)));
  return { master: beside("@lumeofs/master"), chunkserver: beside("@lumeofs/chunkserver") };
}

export class MemberProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<MemberExit>;
  #exit: MemberExit | undefined;

  private constructor(
    readonly id: string,
    readonly identity: ProcessIdentity,
    child: ChildProcess,
  ) {
    this.#child = child;
    this.#ended = once(child, "exit").then(([code, signal]) => {
      this.#exit = { id, pid: identity.pid, code, signal };
      return this.#exit;
    });
  }

  /**
   * Starts a member. It may still fail a moment later: see `exit`.
   *
   * @throws LumeoError CONFIG if the process cannot be made.
   */
  static start(
    plan: MemberPlan,
    members: readonly MemberPlan[],
    place: {
      readonly folder: ClusterFolder;
      readonly entries: EntryFiles;
      readonly environment: Readonly<Record<string, string>>;
    },
  ): MemberProcess {
    const { folder, entries, environment } = place;
    const disks = plan.role === "chunkserver" ? plan.disks : 1;
    folder.makeMember(plan.id, disks);
    const log = openSync(folder.logFile(plan.id), "a");
    try {
      const dirs = Array.from({ length: disks }, (_, i) => folder.dataDir(plan.id, i + 1));
      const args = memberArguments(plan, members, dirs);
      const program = [...NODE_FLAGS[plan.role], entries[plan.role]];
      const child = spawn(process.execPath, [...program, ...args], {
        cwd: folder.memberDir(plan.id),
        detached: true,
        env: {
          ...process.env,
          UV_THREADPOOL_SIZE: String(THREADS_PER_DISK * (1 + disks)),
          ...environment,
        },
        stdio: ["ignore", log, log],
      });
      child.on("error", () => {}); // Seen below as a missing pid.
      const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
      if (identity === undefined) {
        throw new LumeoError("CONFIG", `Cannot start ${plan.id}: see "${folder.logFile(plan.id)}"`);
      }
      return new MemberProcess(plan.id, identity, child);
    } finally {
      closeSync(log);
    }
  }

  /** How it ended; undefined while it runs. */
  get exit(): MemberExit | undefined {
    return this.#exit;
  }

  /** Resolves when it has ended. */
  get ended(): Promise<MemberExit> {
    return this.#ended;
  }

  /** Sends a signal unless it has ended. The pid is ours as long as `exit` is not seen. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#child.kill(signal);
  }
}
