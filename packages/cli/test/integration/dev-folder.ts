// A folder with a cluster of `lumeo dev`, and the command that people use on it.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  findPortBase,
  LumeoCommand,
  type LumeoRun,
  type MemberRecord,
  TOPOLOGY_DEFAULT,
} from "@lumeofs/local-cluster";
import type { ExecutionContext } from "ava";

/** The entry file of the command. */
export const BIN = fileURLToPath(new URL("../../../bin/lumeo.mjs", import.meta.url));
/** For whatever takes long on a busy machine. */
export const PATIENCE = { timeoutMs: 60_000 };
/** One master and one chunkserver: most tests depend on no more. */
export const SMALL = ["--masters", "1", "--chunkservers", "1"];

export class DevFolder {
  readonly dir = mkdtempSync(join(tmpdir(), "lumeo-dev-"));
  readonly #lumeo = new LumeoCommand(BIN, { NO_COLOR: "1" });

  constructor(t: ExecutionContext) {
    t.teardown(async () => {
      if (existsSync(join(this.dir, "cluster.json"))) await this.run("dev", "stop");
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  /** `lumeo dev …` gets the folder; every other command the endpoints. */
  run(...args: readonly string[]): Promise<LumeoRun> {
    if (args[0] === "dev") return this.#lumeo.run([...args, "--dir", this.dir]);
    const environment = { LUMEO_ENDPOINTS: readFileSync(join(this.dir, "endpoints"), "utf8") };
    return this.#lumeo.run(args, { environment });
  }

  /** Founds the cluster in the background. */
  async start(t: ExecutionContext, size: readonly string[] = SMALL): Promise<void> {
    const portBase = String(await findPortBase(TOPOLOGY_DEFAULT));
    const { status, stderr } = await this.run(
      ...["dev", ...size, "--port-base", portBase, "--detach"],
    );
    t.is(status, 0, stderr);
  }

  /** What runs, as members.json says. */
  members(): readonly MemberRecord[] {
    return JSON.parse(readFileSync(join(this.dir, "members.json"), "utf8")) as MemberRecord[];
  }

  /** Puts a file of this content, with one copy. */
  async store(t: ExecutionContext, path: string, content: string): Promise<void> {
    const file = join(this.dir, "local");
    writeFileSync(file, content);
    const { status, stderr } = await this.run("put", "--no-inline", "--replicas", "1", file, path);
    t.is(status, 0, stderr);
  }
}
