// npm run quickstart: a real cluster of seven processes stores a tree and a large file, loses its
// leading master and a chunkserver to kill -9 in the middle of it, and gives every byte back.
//
// Everything goes through the `lumeo` command, as a person would do it, in a temporary folder that
// is removed at the end, also after Ctrl-C.

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  compareTrees,
  connectedPorts,
  digestTree,
  findPortBase,
  LumeoCommand,
  type LumeoRun,
  type LumeoRunOptions,
  type MemberRecord,
  seededBytes,
  TOPOLOGY_DEFAULT,
} from "@lumeofs/local-cluster";

const ROOT = resolve(import.meta.dirname, "../..");
const BIN = join(ROOT, "packages/cli/bin/lumeo.mjs");
/** Real files for the tree: the sources of this repository and a few installed packages. */
const TREE_PARTS = ["docs", "protos", "packages", ...installed("protobufjs", "typescript", "ava")];
const MIB = 1024 * 1024;
const LARGE_BYTES = 256 * MIB;
const SEED = 7;
const STATUS_ATTEMPTS_MAX = 30;

interface Status {
  readonly leader: string;
  readonly term: number;
  readonly masters: readonly { id: string; role: string; lastApplied: number }[];
  readonly chunkservers: readonly { id: string; state: string }[];
}

/** A step did not do what it should: the quickstart ends with this message. */
class StepFailed extends Error {}

class Quickstart {
  readonly #scratch = mkdtempSync(join(tmpdir(), "lumeo-quickstart-"));
  readonly #dir = join(this.#scratch, "cluster");
  readonly #startedMs = performance.now();
  #lumeo = new LumeoCommand(BIN, { NO_COLOR: "1" });
  #step = 0;

  async run(): Promise<void> {
    say("LumeoFS quickstart: three masters and four chunkservers, each a process of its own.");
    await this.#startCluster();
    const tree = join(this.#scratch, "tree");
    await this.#storeTree(tree);
    const sha256 = await this.#storeLargeFileUnderFire();
    await this.#getEverythingBack(tree, sha256);
    await this.#reviveAndCompare();
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1);
    say(`\nEverything came back, byte for byte. All of it took ${seconds} s.`);
    sayWhatNext();
  }

  /** Stops what runs and removes the folder. Safe to call at any time, also twice. */
  async cleanUp(): Promise<void> {
    if (existsSync(join(this.#dir, "cluster.json"))) {
      await this.#lumeo.run(["dev", "stop", "--dir", this.#dir, "--quiet"]);
    }
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  async #startCluster(): Promise<void> {
    this.#title("Start a cluster");
    const portBase = await findPortBase(TOPOLOGY_DEFAULT);
    const topology = ["--masters", "3", "--chunkservers", "4", "--port-base", String(portBase)];
    await this.#do(["dev", "--dir", this.#dir, ...topology, "--detach"]);
    const endpoints = readFileSync(join(this.#dir, "endpoints"), "utf8").trim();
    this.#lumeo = new LumeoCommand(BIN, { NO_COLOR: "1", LUMEO_ENDPOINTS: endpoints });
    say(`   $ export LUMEO_ENDPOINTS=${endpoints}`);
  }

  async #storeTree(tree: string): Promise<void> {
    this.#title("Store a tree of real files");
    for (const part of TREE_PARTS) {
      const options = { recursive: true, dereference: true, filter: isPlainSource };
      cpSync(join(ROOT, part), join(tree, part), options);
    }
    await this.#do(["put", "-r", tree, "/project"]);
    await this.#do(["ls", "-l", "/project/docs"]);
  }

  async #storeLargeFileUnderFire(): Promise<string> {
    const size = `${LARGE_BYTES / MIB} MiB`;
    this.#title(`Store ${size} from a pipe, and kill -9 two servers in the middle of it`);
    const source = seededBytes(SEED, LARGE_BYTES);
    let client = 0;
    const stdin = this.#withKills(source, () => client);
    const onStart = (pid: number): void => {
      client = pid;
    };
    await this.#do(["put", "-", "/large.bin"], { stdin, onStart }, "generate | ");
    await this.#do(["stat", "/large.bin"]);
    return source.sha256();
  }

  /** Passes the bytes on; at a third the leading master dies, at two thirds a chunkserver. */
  async *#withKills(
    source: AsyncIterable<Uint8Array>,
    client: () => number,
  ): AsyncGenerator<Uint8Array> {
    const plan = [
      { at: LARGE_BYTES / 3, victim: async () => (await this.#status()).leader, what: "leads" },
      {
        at: (2 * LARGE_BYTES) / 3,
        victim: () => Promise.resolve(this.#primaryOf(client())),
        what: "takes the bytes of the current chunk",
      },
    ];
    let sent = 0;
    for await (const piece of source) {
      yield piece;
      sent += piece.byteLength;
      const due = plan[0] !== undefined && plan[0].at <= sent ? plan.shift() : undefined;
      if (due === undefined) continue;
      this.#kill(await due.victim(), `which ${due.what}, after ${Math.round(sent / MIB)} MiB`);
    }
  }

  async #getEverythingBack(tree: string, sha256: string): Promise<void> {
    this.#title("Get everything back and compare");
    const copy = join(this.#scratch, "copy");
    await this.#do(["get", "-r", "/project", copy]);
    const expected = await digestTree(tree);
    const differences = compareTrees(expected, await digestTree(copy));
    if (0 < differences.length) {
      throw new StepFailed(`The trees differ:\n${differences.slice(0, 10).join("\n")}`);
    }
    good(`the trees are equal: ${expected.files} files, ${Math.round(expected.bytes / MIB)} MiB`);
    const hash = createHash("sha256");
    const onStdout = (piece: Uint8Array): void => {
      hash.update(piece);
    };
    await this.#do(["cat", "/large.bin"], { onStdout }, "", " | sha256sum");
    const got = hash.digest("hex");
    if (got !== sha256) throw new StepFailed(`SHA-256 is ${got}, expected ${sha256}`);
    good(`SHA-256 is equal: ${sha256}`);
  }

  async #reviveAndCompare(): Promise<void> {
    this.#title("Start the killed servers again and see the masters agree");
    await this.#do(["dev", "revive", "--dir", this.#dir]);
    const agreed = await this.#untilMastersAgree();
    const masters = agreed.masters.map(({ id, role }) => `${id} ${role}`).join(", ");
    good(`all masters have applied entry ${agreed.masters[0]?.lastApplied}: ${masters}`);
  }

  /** Asks until every master answers and has applied the same. */
  async #untilMastersAgree(): Promise<Status> {
    let status = await this.#status();
    for (let asked = 1; !agree(status) && asked < STATUS_ATTEMPTS_MAX; asked++) {
      status = await this.#status();
    }
    if (agree(status)) return status;
    throw new StepFailed(`The masters do not agree: ${JSON.stringify(status.masters)}`);
  }

  async #status(): Promise<Status> {
    const run = await this.#lumeo.run(["cluster", "status", "--json"]);
    if (run.status !== 0) throw new StepFailed(`lumeo cluster status: ${run.stderr}`);
    return JSON.parse(run.stdout) as Status;
  }

  #members(): readonly MemberRecord[] {
    const text = readFileSync(join(this.#dir, "members.json"), "utf8");
    return JSON.parse(text) as MemberRecord[];
  }

  /** The chunkserver that a client is sending to; any, where the system does not tell. */
  #primaryOf(client: number): string {
    const ports = connectedPorts(client);
    const chunkservers = this.#members().filter((member) => member.role === "chunkserver");
    const port = (member: MemberRecord): number => Number(member.address.split(":").at(-1));
    const primary = chunkservers.find((member) => ports.has(port(member))) ?? chunkservers[0];
    if (primary === undefined) throw new StepFailed("There is no chunkserver to kill");
    return primary.id;
  }

  #kill(id: string, why: string): void {
    const pid = this.#members().find((member) => member.id === id)?.pid;
    if (pid === undefined || pid === null) throw new StepFailed(`"${id}" does not run`);
    say(`   $ kill -9 ${pid}   # ${id}, ${why}`);
    process.kill(pid, "SIGKILL");
  }

  #title(text: string): void {
    this.#step++;
    say(`\n${this.#step}. ${text}`);
  }

  /** Shows a command, runs it, shows what it says and how long it took. */
  async #do(
    args: readonly string[],
    options: LumeoRunOptions = {},
    before = "",
    behind = "",
  ): Promise<LumeoRun> {
    say(`   $ ${before}lumeo ${args.join(" ")}${behind}`);
    const run = await this.#lumeo.run(args, options);
    for (const line of `${run.stdout}${run.stderr}`.trimEnd().split("\n")) {
      if (line !== "") say(`     ${line}`);
    }
    if (run.status !== 0) {
      throw new StepFailed(`lumeo ${args[0]} ended with ${run.status ?? run.signal}`);
    }
    good(`${(run.elapsedMs / 1000).toFixed(1)} s`);
    return run;
  }
}

/** Every master answers and has applied the same entries. */
function agree({ masters }: Status): boolean {
  const applied = new Set(masters.map((master) => master.lastApplied));
  return applied.size === 1 && masters.every((master) => master.role !== "unreachable");
}

function installed(...names: readonly string[]): readonly string[] {
  return names.map((name) => `node_modules/${name}`).filter((path) => existsSync(join(ROOT, path)));
}

/** Sources, not what is made from them; the links of a workspace lead around in circles. */
function isPlainSource(path: string): boolean {
  const inside = path.slice(ROOT.length + 1).replace(/^node_modules\//, "");
  return !/\/(node_modules|dist)$/.test(inside);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function good(text: string): void {
  say(`   ✔ ${text}`);
}

function sayWhatNext(): void {
  say(`
Try it yourself:
  npm run -s lumeo -- dev --dir ./.lumeo-dev --detach
  export LUMEO_ENDPOINTS=$(cat ./.lumeo-dev/endpoints)
  npm run -s lumeo -- put -r ./docs /docs
  npm run -s lumeo -- ls -l -h /docs
  npm run -s lumeo -- cluster status
  npm run -s lumeo -- dev stop --dir ./.lumeo-dev
  npm run -s lumeo -- --help`);
}

const quickstart = new Quickstart();
let isInterrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (isInterrupted) process.exit(1);
    isInterrupted = true;
    say("\nInterrupted: stopping the cluster and removing its folder");
    void quickstart.cleanUp().finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
  });
}
try {
  await quickstart.run();
} catch (error) {
  if (!isInterrupted) {
    const isStep = error instanceof StepFailed;
    process.stderr.write(`quickstart: ${isStep ? error.message : (error as Error).stack}\n`);
    process.exitCode = 1;
  }
} finally {
  if (!isInterrupted) await quickstart.cleanUp();
}
