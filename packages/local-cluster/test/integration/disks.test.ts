// Several disks in a chunkserver, on real processes: one fails under writers and appenders, stays
// away over a restart, comes back, and is replaced by an empty one. No call fails, what was on it
// is made again, and everything is as it was acknowledged.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { seededBytes, waitUntil } from "../../src/index.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
type Test = ExecutionContext<{ drill: Drill }>;

const MIB = 2 ** 20;
/** What writers had under way turns up late where the machine is busy. */
const WHOLE_PATIENCE = { timeoutMs: 120_000, asksMin: 3 };
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "2000",
  LUMEO_MASTER_DEAD_MS: "5000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
};

interface Disk {
  readonly folder: string;
  readonly state: "serving" | "readOnly" | "lost";
  readonly chunks: number;
  readonly tails: boolean;
}

interface Job {
  readonly kind: string;
  readonly node: string | null;
  readonly state: string;
  readonly doneChunks: number;
}

test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

async function begin(t: Test, chunkservers: number): Promise<Drill> {
  const topology = { masters: 3, chunkservers, disks: 2 };
  t.context.drill = await Drill.start(topology, ENVIRONMENT);
  return t.context.drill;
}

function folderOf({ context: { drill } }: Test, id: string, disk: "data" | "data-2"): string {
  const member = drill.cluster.members().find((one) => one.id === id);
  return join(member?.dir ?? "", disk);
}

async function disksOf({ context: { drill }, ...t }: Test, id: string): Promise<readonly Disk[]> {
  const status = await drill.run(["node", "show", id, "--json"]);
  if (status.status !== 0) throw new Error(`${t.title}: ${status.stderr}`);
  return (JSON.parse(status.stdout) as { readonly disks: readonly Disk[] }).disks;
}

async function untilDisks(t: Test, id: string, states: string): Promise<void> {
  await t.context.drill.until(t, `${id} with disks ${states}`, async () => {
    const disks = await disksOf(t, id);
    const found = disks.map(({ state }) => state).sort();
    return found.join(" ") === states;
  });
}

/** Files of each writer: they are replaced again and again. */
const FILES = 30;

/** Puts files and appends lines until it is stopped; remembers all that was acknowledged. */
class Load {
  readonly digests = new Map<string, string>();
  readonly lines: string[] = [];
  readonly failures: unknown[] = [];
  readonly #client: Lumeo;
  #puts = 0;
  #isStopped = false;
  readonly #running: Promise<unknown>;

  constructor(drill: Drill, name: string) {
    this.#client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    const writers = [0, 1, 2].map((i) => this.#write(`/${name}/${i}`, 1_000 * (i + 1)));
    this.#running = Promise.all([...writers, this.#append(`/${name}/log`)]);
  }

  get count(): number {
    return Math.min(this.#puts, this.lines.length);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await this.#client.close();
  }

  async #write(folder: string, seed: number): Promise<void> {
    for (let i = 0; !this.#isStopped; i++) {
      const source = seededBytes(seed + i, i % 4 === 0 ? 2 * MIB + i : 6_000 + i);
      const path = `${folder}/${i % FILES}`;
      await this.#try(async () => {
        await this.#client.put(path, source, { chunkSize: MIB });
        this.digests.set(path, source.sha256());
        this.#puts++;
      });
    }
  }

  async #append(path: string): Promise<void> {
    for (let i = 0; !this.#isStopped; i++) {
      const line = `line ${i} ${"x".repeat((i * 31) % 200)}.\n`;
      await this.#try(async () => {
        await this.#client.append(path, line);
        this.lines.push(line);
      });
    }
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failures.push(error);
    }
  }
}

/** Until this many more of everything were acknowledged. */
async function untilMore(t: Test, load: Load, more: number): Promise<void> {
  const from = load.count;
  await t.context.drill.until(t, "more that is acknowledged", () => from + more <= load.count);
}

async function audited(t: Test, load: Load, name: string): Promise<void> {
  const { drill } = t.context;
  t.deepEqual(load.failures, []);
  await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  for (const [path, digest] of load.digests) {
    const read = createHash("sha256")
      .update(await contentOf(client, path))
      .digest("hex");
    t.is(read, digest, path);
  }
  const log = await contentOf(client, `/${name}/log`);
  t.is(log.toString("utf8"), load.lines.join(""));
}

async function contentOf(client: Lumeo, path: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.get(path)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Nothing is missing, no copy is bad, and no job is open. */
async function untilWhole(t: Test): Promise<void> {
  const { drill } = t.context;
  let found = "";
  const audit = async (): Promise<true | undefined> => {
    const { status, stdout, stderr } = await drill.run(["fsck"]);
    found = `${status}: ${stdout} ${stderr}`;
    return status === 0 ? true : undefined;
  };
  t.true(await waitUntil(audit, WHOLE_PATIENCE), `waited in vain for an audit without: ${found}`);
  t.deepEqual(await drill.json(t, ["chunk", "ls", "--under-replicated"]), []);
  t.deepEqual(await drill.json(t, ["chunk", "ls", "--corrupt"]), []);
}

test.serial("a disk that fails costs no call, and what was on it is made again", async (t) => {
  const drill = await begin(t, 4);
  const load = new Load(drill, "first");
  await untilMore(t, load, 10);
  const { pid } = drill.cluster.members().find(({ id }) => id === "cs1") ?? {};
  const tails = (await disksOf(t, "cs1")).find((disk) => disk.tails);
  const gone = tails?.folder ?? "";
  t.is(gone, folderOf(t, "cs1", "data"));
  renameSync(gone, `${gone}.away`);
  await untilDisks(t, "cs1", "lost serving");
  await untilMore(t, load, 10);
  await load.stop();
  await untilWhole(t);
  await audited(t, load, "first");
  const mended = await drill.json<{ readonly jobs: readonly Job[] }>(t, ["job", "ls"]);
  const job = mended[0]?.jobs.find(({ kind, node }) => kind === "mend" && node === "cs1");
  t.true(0 < (job?.doneChunks ?? 0));
  t.is(drill.cluster.members().find(({ id }) => id === "cs1")?.pid, pid, "it never ended");
  t.true((await disksOf(t, "cs1")).some((disk) => disk.tails && disk.state === "serving"));
  t.regex(await drill.ok(t, ["cluster", "status"]), /^Disk .*data" of cs1 LOST .* ago: /m);
  t.regex((await drill.run(["doctor"])).stdout, /! disks, cs1: its disk ".*data" is lost since/);

  // A start without it: it stays lost, and nobody makes its folder.
  await drill.cluster.restart("cs1");
  await untilDisks(t, "cs1", "lost serving");
  t.false(existsSync(gone));
  const second = new Load(drill, "second");
  await untilMore(t, second, 6);

  // It comes back, with copies that are made elsewhere by now, and an old log of growing chunks.
  renameSync(`${gone}.away`, gone);
  await drill.cluster.restart("cs1");
  await untilDisks(t, "cs1", "serving serving");
  await untilMore(t, second, 6);
  await second.stop();
  await untilWhole(t);
  await audited(t, load, "first");
  await audited(t, second, "second");
});

test.serial("an empty disk takes the place of one that is gone, and fills up", async (t) => {
  const drill = await begin(t, 4);
  const load = new Load(drill, "files");
  await untilMore(t, load, 10);
  const folder = folderOf(t, "cs2", "data-2");
  await drill.cluster.kill("cs2");
  renameSync(folder, `${folder}.gone`);
  mkdirSync(folder);
  await drill.cluster.restart("cs2");
  await untilDisks(t, "cs2", "serving serving");
  // Each chunk is drawn for one of the two disks: of a few, all may go to the other one.
  await drill.until(t, "chunks on the new disk", async () => {
    const fresh = (await disksOf(t, "cs2")).find((disk) => disk.folder === folder);
    return 0 < (fresh?.chunks ?? 0);
  });
  await untilMore(t, load, 10);
  await load.stop();
  await untilWhole(t);
  await audited(t, load, "files");
});

test.serial("a disk of another server is refused, and so is one that is not given", async (t) => {
  const drill = await begin(t, 4);
  const [own, other] = [folderOf(t, "cs3", "data-2"), folderOf(t, "cs4", "data-2")];
  await drill.cluster.kill("cs3");
  await drill.cluster.kill("cs4");
  renameSync(own, `${own}.away`);
  renameSync(other, own);
  await drill.cluster.restart("cs3");
  const loss = await drill.until(t, "cs3 to end", () => {
    return drill.cluster.losses.find(({ id }) => id === "cs3");
  });
  t.regex(loss?.why ?? "", /data-2" belongs to another chunkserver than ".*data"/);
  renameSync(own, other);
  renameSync(`${own}.away`, own);
  await drill.cluster.revive();
  await untilDisks(t, "cs3", "serving serving");
  await untilDisks(t, "cs4", "serving serving");
});

test.serial("each server in turn loses the disk that growing chunks live on", async (t) => {
  const drill = await begin(t, 3);
  const load = new Load(drill, "log");
  for (const id of ["cs1", "cs2", "cs3"]) {
    await untilMore(t, load, 8);
    const gone = (await disksOf(t, id)).find((disk) => disk.tails)?.folder ?? "";
    // Of the second one something can still be read: the log of growing chunks is.
    const name = id === "cs2" ? join(gone, "chunks") : gone;
    renameSync(name, `${name}.away`);
    await untilDisks(t, id, "lost serving");
    await untilMore(t, load, 8);
    // With three servers, its copies can be made again on its other disk alone.
    await untilWhole(t);
  }
  await load.stop();
  await untilWhole(t);
  await audited(t, load, "log");
  for (const id of ["cs1", "cs2", "cs3"]) {
    const disks = await disksOf(t, id);
    t.is(disks.filter((disk) => disk.tails && disk.state === "serving").length, 1, id);
  }
});
