// Every loss that a 4+2 code survives, on real processes: all 6 single and all 15 double ones.
//
//   npm run bench -- losses [--bytes 67108864] [--put-bytes 1073741824] [--dir DIR] [--json]
//
// Eight chunkservers hold coded files of several sizes. For each pattern the holders of these units
// of one chunk are killed with SIGKILL. Then everything is read without them, healed by itself onto
// the others, read again, and every unit on every disk is read and compared with the metadata;
// then the killed ones come back. Three holders at once must give an error that names the stripe,
// and the bytes again as soon as one of them is back. At last two servers are killed in the middle
// of a put of a large file, and two in the middle of a conversion.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type ChunkState, connect, type Lumeo } from "@lumeofs/client";
import { digestOf, LocalCluster, seededBytes, waitUntil } from "@lumeofs/local-cluster";
import { folderBytes } from "@lumeofs/node";
import { describeMachine } from "../machine.js";

const MIB = 2 ** 20;
const CODE = "4+2";
const UNITS = 6;
const CHUNKSERVERS = 8;
const PATIENCE = { timeoutMs: 120_000 };
/** A loss is believed soon, and what was replaced goes soon. */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "2500",
  LUMEO_MASTER_RELEASED_GRACE_MS: "10000",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
};

/** What became of one loss. */
interface Outcome {
  readonly what: string;
  readonly killed: readonly string[];
  /** Reading everything without them. */
  readonly degradedMs: number;
  /** From the kill until every chunk was whole again; undefined if that is not waited for. */
  readonly healedMs: number | undefined;
  /** Units whose bytes were read from the disks and are right. */
  readonly intact: number;
  /** What was not as it should be. */
  readonly faults: readonly string[];
}

/** The file whose holders are killed is the first one. */
interface Stored {
  readonly path: string;
  readonly digest: string;
}

interface NewFile {
  readonly seed: number;
  readonly length: number;
  readonly onLoaded?: (bytes: number) => void;
  /** As `PutOptions.code`. */
  readonly code?: string;
}

/** Drills and prints. @returns The exit code: 1 if anything was not as it should be. */
export async function runLosses(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bytes: { type: "string", default: String(64 * MIB) },
      "put-bytes": { type: "string", default: String(1024 * MIB) },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const tell = (outcome: Outcome): void =>
    console.log(values.json ? JSON.stringify(outcome) : lineOf(outcome));
  if (!values.json) console.log(describeMachine());
  const folder = await mkdtemp(join(values.dir, "lumeo-losses-"));
  try {
    await using drill = await LossDrill.start(join(folder, "cluster"), tell);
    const bytes = Number(values.bytes);
    await drill.store([bytes, 1, 5_000, 300_000, 4 * MIB, 4 * MIB + 1]);
    if (!values.json) console.log(`bytes on disks ÷ bytes of data: ${await drill.overhead()}`);
    for (const pattern of patterns()) await drill.lose(pattern);
    await drill.loseTooMany();
    await drill.killDuringPut(Number(values["put-bytes"]));
    await drill.killDuringConversion(Number(values["put-bytes"]) / 4);
    console.log(values.json ? JSON.stringify(drill.totals) : summaryOf(drill.totals));
    return drill.totals.faults === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** All 6 single and all 15 double losses, as numbers of units. */
function patterns(): readonly (readonly number[])[] {
  const units = Array.from({ length: UNITS }, (_, unit) => unit);
  const doubles = units.flatMap((a) => units.filter((b) => a < b).map((b) => [a, b]));
  return [...units.map((unit) => [unit]), ...doubles];
}

class LossDrill implements AsyncDisposable {
  readonly #cluster: LocalCluster;
  readonly #client: Lumeo;
  readonly #tell: (outcome: Outcome) => void;
  readonly #files: Stored[] = [];
  #dataBytes = 0;
  readonly totals = { losses: 0, intact: 0, faults: 0 };

  private constructor(cluster: LocalCluster, client: Lumeo, tell: (outcome: Outcome) => void) {
    this.#cluster = cluster;
    this.#client = client;
    this.#tell = tell;
  }

  static async start(dir: string, tell: (outcome: Outcome) => void): Promise<LossDrill> {
    const cluster = await LocalCluster.start({
      ...{ dir, masters: 3, chunkservers: CHUNKSERVERS },
      ...{ portBase: "free", environment: ENVIRONMENT },
    });
    await cluster.waitReady();
    return new LossDrill(cluster, await connect(cluster.endpoints.join(",")), tell);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
    await this.#cluster.stop();
  }

  async store(lengths: readonly number[]): Promise<void> {
    for (const [i, length] of lengths.entries()) {
      await this.#put(`/losses/${i}-${length}`, { seed: i + 1, length });
    }
  }

  /** Bytes in the folders of all chunkservers for each byte of the files. */
  async overhead(): Promise<string> {
    const members = this.#cluster.members().filter(({ role }) => role === "chunkserver");
    const sizes = await Promise.all(members.map(({ dir }) => folderBytes(dir)));
    return (sizes.reduce((sum, size) => sum + size, 0) / this.#dataBytes).toFixed(3);
  }

  /** The holders of these units die; everything heals without them. */
  async lose(pattern: readonly number[]): Promise<void> {
    const holders = await this.#holders();
    const killed = pattern.map((unit) => holders[unit] ?? "");
    await this.#play(`units ${pattern.join(" and ")}`, killed, async (faults) => {
      const degradedMs = await this.#compare(faults);
      const healedMs = await this.#untilWhole(killed, faults);
      await this.#compare(faults);
      const intact = await this.#audit(faults);
      return { degradedMs, healedMs, intact };
    });
  }

  /** One more than the code survives: an error that says so, and nothing is lost by it. */
  async loseTooMany(): Promise<void> {
    const holders = await this.#holders();
    const killed = [0, 2, 5].map((unit) => holders[unit] ?? "");
    const [watched] = this.#files;
    if (watched === undefined) throw new Error("there are no files");
    await this.#play("units 0, 2 and 5", killed, async (faults) => {
      const message = await this.#digest(watched.path).then(
        () => "it was read",
        (error: Error) => error.message,
      );
      const isNamed = /stripe \d+ of chunk \d+/.test(message) && message.includes(watched.path);
      if (!isNamed) faults.push(`three losses: ${message}`);
      const [first = ""] = killed;
      await this.#cluster.restart(first);
      await waitUntil(() => this.#areAlive([first]), PATIENCE);
      return { degradedMs: await this.#compare(faults), healedMs: undefined, intact: 0 };
    });
  }

  /** Two servers die while a large file is put. */
  async killDuringPut(bytes: number): Promise<void> {
    const killed = ["cs2", "cs7"];
    let loaded = 0;
    const onLoaded = (done: number): void => {
      loaded = done;
    };
    const putting = this.#put("/losses/during", { seed: 77, length: bytes, onLoaded });
    putting.catch(() => undefined); // awaited below
    await waitUntil(() => (bytes / 3 < loaded ? true : undefined), PATIENCE);
    await this.#play(`in the middle of a put of ${bytes / MIB} MiB`, killed, async (faults) => {
      await putting.catch((error: Error) => faults.push(`the put failed: ${error.message}`));
      const degradedMs = await this.#compare(faults);
      const healedMs = await this.#untilWhole(killed, faults);
      return { degradedMs, healedMs, intact: await this.#audit(faults) };
    });
  }

  /** Two servers die while a file of copies becomes one of units. */
  async killDuringConversion(bytes: number): Promise<void> {
    const killed = ["cs3", "cs8"];
    const path = "/losses/converted";
    await this.#put(path, { seed: 78, length: bytes, code: "none" });
    const { id } = await this.#client.healing.convert(path, { to: CODE });
    const isUnderWay = async (): Promise<true | undefined> =>
      0 < (await this.#client.healing.job(id)).doneChunks ? true : undefined;
    await waitUntil(isUnderWay, PATIENCE);
    await this.#play(`in the middle of a conversion`, killed, async (faults) => {
      const degradedMs = await this.#compare(faults);
      const job = await this.#client.healing.untilEnded(id);
      if (job.state !== "done") faults.push(`the conversion is ${job.state}: ${job.note}`);
      const healedMs = await this.#untilWhole(killed, faults);
      const { layout } = await this.#client.stat(path);
      if (layout !== CODE) faults.push(`the converted file is ${layout}`);
      await this.#compare(faults);
      return { degradedMs, healedMs, intact: await this.#audit(faults) };
    });
  }

  async #play(
    what: string,
    killed: readonly string[],
    act: (faults: string[]) => Promise<Pick<Outcome, "degradedMs" | "healedMs" | "intact">>,
  ): Promise<void> {
    const faults: string[] = [];
    for (const name of killed) await this.#cluster.kill(name);
    const seen = await act(faults);
    await this.#cluster.revive();
    await waitUntil(() => this.#areAlive(killed), PATIENCE);
    this.totals.losses++;
    this.totals.intact += seen.intact;
    this.totals.faults += faults.length;
    this.#tell({ what, killed, ...seen, faults });
  }

  async #put(path: string, { seed, length, onLoaded, code = CODE }: NewFile): Promise<void> {
    const source = seededBytes(seed, length);
    const onProgress = ({ loaded }: { readonly loaded: number }): void => onLoaded?.(loaded);
    await this.#client.put(path, source, { code, onProgress });
    this.#files.push({ path, digest: source.sha256() });
    this.#dataBytes += length;
  }

  /** Who has the units of the first file's first chunk, by unit. */
  async #holders(): Promise<readonly string[]> {
    const [watched] = this.#files;
    if (watched === undefined) throw new Error("there are no files");
    const { chunks = [] } = await this.#client.stat(watched.path, { chunks: true });
    return chunks[0]?.replicas.map(({ id }) => id) ?? [];
  }

  async #digest(path: string): Promise<string> {
    return digestOf(await this.#client.get(path));
  }

  /** Reads all files and compares them; milliseconds. */
  async #compare(faults: string[]): Promise<number> {
    const began = performance.now();
    for (const { path, digest } of this.#files) {
      const found = await this.#digest(path).catch((error: Error) => error.message);
      if (found !== digest) faults.push(`${path}: ${found}, expected ${digest}`);
    }
    return performance.now() - began;
  }

  /** Waits until all units are good and none is where somebody is dead; milliseconds. */
  async #untilWhole(dead: readonly string[], faults: string[]): Promise<number> {
    const began = performance.now();
    const whole = await waitUntil(async () => {
      for await (const chunk of this.#client.healing.chunks("all")) {
        if (!isWhole(chunk, dead)) return undefined;
      }
      return true;
    }, PATIENCE);
    if (whole === undefined) faults.push("not everything was healed in time");
    return performance.now() - began;
  }

  /** Reads every unit from its disk; how many are right. */
  async #audit(faults: string[]): Promise<number> {
    let intact = 0;
    for (const { path } of this.#files) {
      for await (const { handle, replicas } of this.#client.audits.verify(path)) {
        for (const { server, finding, why } of replicas) {
          if (finding === "intact") intact++;
          else faults.push(`chunk ${handle} of ${path} on ${server} is ${finding}: ${why}`);
        }
      }
    }
    return intact;
  }

  async #areAlive(names: readonly string[]): Promise<true | undefined> {
    const { nodes } = await this.#client.healing.nodes();
    const isBack = (name: string): boolean =>
      nodes.some((node) => node.name === name && node.state === "alive" && !node.lost);
    return names.every(isBack) ? true : undefined;
  }
}

function isWhole(chunk: ChunkState, dead: readonly string[]): boolean {
  if (chunk.orphan) return true;
  const isGood = chunk.goodCopies === chunk.replicas.length && chunk.move === undefined;
  return isGood && chunk.replicas.every(({ name }) => !dead.includes(name));
}

function lineOf({ what, killed, degradedMs, healedMs, intact, faults }: Outcome): string {
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const healed = healedMs === undefined ? "" : `, whole after ${seconds(healedMs)}`;
  const audited = intact === 0 ? "" : `, ${intact} units read from the disks`;
  const verdict = faults.length === 0 ? "ok  " : "FAIL";
  const read = `all read without them in ${seconds(degradedMs)}`;
  const line = `${verdict} ${what}: ${killed.join(", ")} killed; ${read}${healed}${audited}`;
  return [line, ...faults.map((fault) => `     ${fault}`)].join("\n");
}

function summaryOf({ losses, intact, faults }: LossDrill["totals"]): string {
  return `${losses} losses, ${intact} units read again and right, ${faults} faults`;
}
