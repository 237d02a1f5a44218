// A chunkserver is lost in the middle of a put: killed, or frozen so that its connections stay open
// and nothing answers. Measures for how long nothing went on.
//
//   npm run bench -- loss [--rounds 3] [--bytes 536870912] [--dir DIR] [--json]
//
// Five chunkservers, three replicas. In each round one large put from a stream and eight writers of
// small files are under way when one chunkserver is lost; each server has its turn, and comes back
// after the round. The gap of the large put is the longest time without a byte sent for the first
// time, that of the small puts the longest time without an acknowledgement, both from the loss to
// the end of the large put. Everything is read back at the end, and must be what was put.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect, type Lumeo } from "@lumeofs/client";
import { LocalCluster } from "@lumeofs/local-cluster";
import { describeMachine } from "../machine.js";
import { getLarge } from "./put-get.js";

const CHUNKSERVERS = 5;
const SMALL_WRITERS = 8;
const SMALL_BYTES = 4096;
const PIECE = Buffer.alloc(2 ** 20, 0x37);
/** Of the large put, when the server is lost. */
const LOST_AT_SHARE = 0.25;

type Loss = "SIGKILL" | "SIGSTOP";

/** What one loss did. */
interface Round {
  readonly loss: Loss;
  readonly lost: string;
  readonly seconds: number;
  readonly largeGapMs: number;
  readonly smallGapMs: number;
  readonly slowestSmallMs: number;
  readonly smallPuts: number;
  readonly failedPuts: number;
}

/** Measures and prints. @returns The exit code: 1 if a put failed. */
export async function runLoss(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "3" },
      bytes: { type: "string", default: String(512 * 2 ** 20) },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const folder = await mkdtemp(join(values.dir, "lumeo-loss-"));
  try {
    const rounds = await measure(folder, Number(values.rounds), Number(values.bytes));
    const report = { machine: describeMachine(), rounds };
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
    return rounds.some(({ failedPuts }) => 0 < failedPuts) ? 1 : 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string, count: number, bytes: number): Promise<Round[]> {
  const dir = join(folder, "cluster");
  await using cluster = await LocalCluster.start({
    dir,
    chunkservers: CHUNKSERVERS,
    portBase: "free",
  });
  await cluster.waitReady();
  const rounds: Round[] = [];
  for (let n = 0; n < count; n++) {
    for (const loss of ["SIGKILL", "SIGSTOP"] as const) {
      // A new client each time: one that has met the last loss avoids that server.
      await using client = await connect(cluster.endpoints.join(","));
      await client.put(`/warm-${loss}-${n}`, pieces(bytes / 8));
      rounds.push(await loseOne(cluster, client, { n, loss, bytes }));
    }
  }
  return rounds;
}

async function loseOne(
  cluster: LocalCluster,
  client: Lumeo,
  { n, loss, bytes }: { readonly n: number; readonly loss: Loss; readonly bytes: number },
): Promise<Round> {
  const lost = `cs${(n % CHUNKSERVERS) + 1}`;
  const folder = `/${loss}-${n}`;
  await client.mkdir(folder);
  const large = new Pulse();
  const small = new SmallWriters(client, folder);
  const began = performance.now();
  let isLost: Promise<void> | undefined;
  const beat = (loaded: number): void => {
    large.beat();
    if (loaded < LOST_AT_SHARE * bytes || isLost !== undefined) return;
    isLost = lose(cluster, lost, loss);
    large.start();
    small.acks.start();
  };
  const failed = await client
    .put(`${folder}/large`, pieces(bytes), {
      onProgress: ({ loaded }) => beat(loaded),
    })
    .then(
      () => 0,
      () => 1,
    );
  const seconds = (performance.now() - began) / 1000;
  await small.stop();
  await isLost;
  await comeBack(cluster, lost, loss);
  if (failed === 0) await getLarge(client, `${folder}/large`);
  await small.audit();
  return {
    loss,
    lost,
    seconds,
    largeGapMs: large.longestMs,
    smallGapMs: small.acks.longestMs,
    slowestSmallMs: small.slowestMs,
    smallPuts: small.count,
    failedPuts: failed + small.failed,
  };
}

async function lose(cluster: LocalCluster, id: string, loss: Loss): Promise<void> {
  if (loss === "SIGSTOP") signal(cluster, id, loss);
  else await cluster.kill(id, loss);
}

function signal(cluster: LocalCluster, id: string, name: NodeJS.Signals): void {
  const pid = cluster.members().find((member) => member.id === id)?.pid;
  if (typeof pid === "number") process.kill(pid, name);
}

async function comeBack(cluster: LocalCluster, id: string, loss: Loss): Promise<void> {
  if (loss === "SIGSTOP") signal(cluster, id, "SIGCONT");
  else await cluster.restart(id);
  await cluster.waitReady();
}

/** The longest time between two beats, from `start` on. */
class Pulse {
  #last: number | undefined;
  longestMs = 0;

  start(): void {
    this.#last = performance.now();
  }

  beat(): void {
    if (this.#last === undefined) return;
    const now = performance.now();
    this.longestMs = Math.max(this.longestMs, now - this.#last);
    this.#last = now;
  }
}

/** Writes small files, one after the other each, until it is stopped. */
class SmallWriters {
  readonly acks = new Pulse();
  slowestMs = 0;
  failed = 0;
  readonly #client: Lumeo;
  readonly #folder: string;
  readonly #work: Promise<void>[];
  #next = 0;
  #isOver = false;
  readonly #stored: number[] = [];

  constructor(client: Lumeo, folder: string) {
    this.#client = client;
    this.#folder = folder;
    this.#work = Array.from({ length: SMALL_WRITERS }, () => this.#write());
  }

  get count(): number {
    return this.#stored.length;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#work);
  }

  /** Reads all back. */
  async audit(): Promise<void> {
    for (const n of this.#stored) {
      const bytes = await (await this.#client.get(`${this.#folder}/${n}`)).bytes();
      const isRight = bytes.byteLength === SMALL_BYTES && bytes.every((byte) => byte === n % 251);
      if (!isRight) throw new Error(`Small file ${n} in "${this.#folder}" is not what was put`);
    }
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      const n = this.#next++;
      const began = performance.now();
      try {
        const bytes = Buffer.alloc(SMALL_BYTES, n % 251);
        await this.#client.put(`${this.#folder}/${n}`, bytes, { inline: false });
        this.#stored.push(n);
        this.acks.beat();
      } catch {
        this.failed++;
      }
      this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
    }
  }
}

async function* pieces(bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; at += PIECE.byteLength) {
    yield PIECE.subarray(0, Math.min(PIECE.byteLength, bytes - at));
  }
}

function asText(report: { readonly machine: string; readonly rounds: readonly Round[] }): string {
  const lines = [
    report.machine,
    "LOSS     SERVER  PUT s  GAP OF PUT ms  SMALL PUTS  THEIR GAP ms  SLOWEST ms  FAILED",
  ];
  for (const round of report.rounds) {
    const cells = [
      round.loss.padEnd(7),
      round.lost.padEnd(6),
      round.seconds.toFixed(1).padStart(6),
      round.largeGapMs.toFixed(0).padStart(14),
      String(round.smallPuts).padStart(11),
      round.smallGapMs.toFixed(0).padStart(13),
      round.slowestSmallMs.toFixed(0).padStart(11),
      String(round.failedPuts).padStart(7),
    ];
    lines.push(cells.join(" "));
  }
  return lines.join("\n");
}
