// Files kept as units of a code beside files kept as copies: puts, gets, gets without two
// chunkservers, and what the disks hold.
//
//   npm run bench -- coded [--bytes 1073741824] [--code 4+2] [--rounds 1] [--dir DIR] [--json]
//
// As many chunkservers as the code has units. Copies and units take turns within a round, so that a
// disk that changes its mind changes it for both. At the end as many chunkservers are killed as the
// code has parity units, and the coded files are read once more. Every byte that is read is checked
// against the checksums of blocks, chunks and file.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect, type Lumeo } from "@lumeofs/client";
import { LocalCluster } from "@lumeofs/local-cluster";
import { folderBytes } from "@lumeofs/node";
import { cpuSeconds, describeMachine, peakMemoryMiB } from "../machine.js";
import { rate } from "../raw-disk.js";

const PIECE_BYTES = 2 ** 20;

interface Step {
  readonly name: string;
  readonly mibPerSecond: number;
  /** Processor seconds for each GiB of the file. */
  readonly cpuPerGiB: { readonly client: number; readonly servers: number };
  /** Of a put: what the disks of all chunkservers have more, for each byte of the file. */
  readonly bytesOnDisk: number | undefined;
}

interface Report {
  readonly machine: string;
  readonly code: string;
  readonly bytes: number;
  readonly steps: readonly Step[];
  readonly peakMiB: number | undefined;
}

interface Plan {
  readonly bytes: number;
  readonly code: string;
  readonly units: { readonly data: number; readonly parity: number };
  readonly rounds: number;
}

/** Measures and prints. @returns The exit code. */
export async function runCoded(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bytes: { type: "string", default: String(2 ** 30) },
      code: { type: "string", default: "4+2" },
      rounds: { type: "string", default: "1" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const { code } = values;
  const [data = 0, parity = 0] = (/^\d+\+\d+/.exec(code)?.[0] ?? "").split("+").map(Number);
  const plan = { bytes: Number(values.bytes), code, units: { data, parity } };
  const folder = await mkdtemp(join(values.dir, "lumeo-coded-"));
  try {
    const report = await measure(folder, { ...plan, rounds: Number(values.rounds) });
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string, plan: Plan): Promise<Report> {
  const { bytes, code, units, rounds } = plan;
  const chunkservers = units.data + units.parity;
  const dir = join(folder, "cluster");
  await using cluster = await LocalCluster.start({ dir, chunkservers, portBase: "free" });
  await cluster.waitReady();
  await using client = await connect(cluster.endpoints.join(","));
  const steps: Step[] = [];
  const meter = new Meter(cluster, bytes);
  await warmUp(client, code);
  for (let round = 0; round < rounds; round++) {
    for (const kind of ["none", code]) {
      const options = { code: kind, size: bytes };
      const name = kind === "none" ? "copies" : code;
      const path = `/${name}-${round}`;
      const put = (): Promise<unknown> => client.put(path, pieces(bytes), options);
      steps.push(await meter.step(`put, ${name}`, put, "with disks"));
      steps.push(await meter.step(`get, ${name}`, () => readAll(client, path)));
    }
  }
  for (let n = 1; n <= units.parity; n++) await cluster.kill(`cs${n}`);
  await using fresh = await connect(cluster.endpoints.join(","));
  for (let round = 0; round < rounds; round++) {
    const name = `get, ${code}, without ${units.parity} servers`;
    steps.push(await meter.step(name, () => readAll(fresh, `/${code}-${round}`)));
  }
  const peakMiB = peakMemoryMiB(process.pid);
  return { machine: describeMachine(), code, bytes, steps, peakMiB };
}

/** Connections, grants and compiled code that the first step would pay for. */
async function warmUp(client: Lumeo, code: string): Promise<void> {
  for (const kind of ["none", code]) {
    await client.put(`/warm-${kind}`, pieces(64 * PIECE_BYTES), { code: kind });
    await readAll(client, `/warm-${kind}`);
  }
}

class Meter {
  readonly #cluster: LocalCluster;
  readonly #bytes: number;

  constructor(cluster: LocalCluster, bytes: number) {
    this.#cluster = cluster;
    this.#bytes = bytes;
  }

  async step(name: string, work: () => Promise<unknown>, disks?: "with disks"): Promise<Step> {
    const onDiskBefore = disks === undefined ? 0 : await this.#onDisk();
    const before = this.#cpu();
    const began = performance.now();
    await work();
    const mibPerSecond = rate(this.#bytes, began);
    const after = this.#cpu();
    const gib = this.#bytes / 2 ** 30;
    const grown = disks === undefined ? undefined : (await this.#onDisk()) - onDiskBefore;
    return {
      name,
      mibPerSecond,
      cpuPerGiB: {
        client: (after.client - before.client) / gib,
        servers: (after.servers - before.servers) / gib,
      },
      bytesOnDisk: grown === undefined ? undefined : grown / this.#bytes,
    };
  }

  #cpu(): { readonly client: number; readonly servers: number } {
    const pids = this.#cluster.members().flatMap(({ pid }) => (pid === null ? [] : [pid]));
    const servers = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    return { client: cpuSeconds(process.pid), servers };
  }

  async #onDisk(): Promise<number> {
    const members = this.#cluster.members().filter(({ role }) => role === "chunkserver");
    const sizes = await Promise.all(members.map(({ dir }) => folderBytes(dir)));
    return sizes.reduce((sum, size) => sum + size, 0);
  }
}

async function* pieces(bytes: number): AsyncGenerator<Uint8Array> {
  const piece = Buffer.alloc(PIECE_BYTES);
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    piece.writeDoubleLE(at, at % (PIECE_BYTES - 8)); // no two alike
    yield piece.subarray(0, Math.min(PIECE_BYTES, bytes - at));
  }
}

async function readAll(client: Lumeo, path: string): Promise<number> {
  let bytes = 0;
  for await (const piece of await client.get(path)) bytes += piece.byteLength;
  return bytes;
}

function asText({ machine, bytes, steps, peakMiB }: Report): string {
  const lines = steps.map(({ name, mibPerSecond, cpuPerGiB, bytesOnDisk }) => {
    const { client, servers } = cpuPerGiB;
    const cpu = `CPU s/GiB: client ${client.toFixed(2)}, servers ${servers.toFixed(2)}`;
    const disks = bytesOnDisk === undefined ? "" : `, on disks ${bytesOnDisk.toFixed(3)}×`;
    return `${name.padEnd(30)} ${mibPerSecond.toFixed(0).padStart(5)} MiB/s  ${cpu}${disks}`;
  });
  const mib = Math.round(bytes / 2 ** 20);
  return [`${machine}; a file of ${mib} MiB`, ...lines, `peak client: ${peakMiB} MiB`].join("\n");
}
