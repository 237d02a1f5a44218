// Files that several clients append to at once, and what they were told.
//
// L1. A record that was acknowledged is where its writer was told, whole, whoever reads it and
//     whenever: it is never lost, moved or torn.
// L2. No record is there twice, and none that nobody appended.
// L3. Who reads later sees all that was seen before, and what has come behind it.
//
// While clocks run worse than leases allow, a reader may miss the newest records, and nothing else:
// what it is shown is a beginning of what there is. In the end everything is there.

import { integerBetween, KiB, type SeededRandom } from "@lumeofs/base";
import type { Lumeo } from "@lumeofs/client";
import { must } from "../checks/violation.js";
import { CONTENT_BYTES_MIN, contentOf } from "./content.js";

const DIRECTORY = "/logs";
const READ_SHARE = 0.3;
/** Numbers of records are apart from those of files. */
const FIRST_ID = 1_000_000;

export interface LogOptions {
  readonly paths: number;
  readonly replicas: number;
  readonly deadlineMs: number;
  readonly mayReadStale: () => boolean;
}

interface Told {
  readonly path: string;
  readonly offset: number;
}

export class LogWorkload {
  appended = 0;
  readonly #options: LogOptions;
  #lastId = FIRST_ID;
  readonly #asked = new Map<number, string>();
  readonly #told = new Map<number, Told>();
  readonly #seen = new Map<string, Buffer>();

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** One call. @throws What the call does, or Violation. */
  async step(client: Lumeo, random: SeededRandom): Promise<void> {
    const path = pathOf(integerBetween(random, 0, this.#options.paths - 1));
    if (random.fraction() < READ_SHARE) await this.#read(client, path, this.#options.deadlineMs);
    else await this.#append(client, path, random);
  }

  /** Everything that was ever appended is read again. */
  async readAll(client: Lumeo): Promise<void> {
    const paths = new Set(this.#asked.values());
    for (const path of paths) await this.#read(client, path, Infinity);
  }

  async #append(client: Lumeo, path: string, random: SeededRandom): Promise<void> {
    const { replicas, deadlineMs } = this.#options;
    const id = ++this.#lastId;
    const size = Math.floor(CONTENT_BYTES_MIN * (2 * KiB) ** random.fraction());
    this.#asked.set(id, path);
    const redundancy = { replicas };
    const { offset } = await client.append(path, contentOf(id, size), { redundancy, deadlineMs });
    this.#told.set(id, { path, offset });
    this.appended++;
  }

  async #read(client: Lumeo, path: string, deadlineMs: number): Promise<void> {
    const told = [...this.#told].filter(([, one]) => one.path === path);
    const before = this.#seen.get(path) ?? Buffer.alloc(0);
    const bytes = await this.#content(client, path, deadlineMs, 0 < told.length);
    const found = this.#recordsOf(path, bytes);
    const mayMiss = this.#options.mayReadStale();
    for (const [id, { offset }] of told) {
      if (mayMiss && bytes.byteLength <= offset) continue;
      const at = found.get(id);
      must(at === offset, "L1", () => `record ${id} of ${path} is at ${at}, told was ${offset}`);
    }
    const known = mayMiss ? before.subarray(0, bytes.byteLength) : before;
    const isSame = bytes.subarray(0, known.byteLength).equals(known);
    must(isSame, "L3", () => `${path} has ${bytes.byteLength} bytes, others than before`);
    const longest = this.#seen.get(path) ?? before;
    if (longest.byteLength < bytes.byteLength) this.#seen.set(path, bytes);
  }

  async #content(
    client: Lumeo,
    path: string,
    deadlineMs: number,
    isThere: boolean,
  ): Promise<Buffer> {
    try {
      const reading = await client.get(path, { deadlineMs });
      return Buffer.from(await reading.bytes());
    } catch (error) {
      const isMissing =
        error instanceof Error && "code" in error && error.code === "LUMEO_NOT_FOUND";
      if (!isMissing) throw error;
      must(!isThere, "L1", () => `${path} is not there, and had records`);
      return Buffer.alloc(0);
    }
  }

  /** L2: the records with where they are. */
  #recordsOf(path: string, bytes: Buffer): ReadonlyMap<number, number> {
    const found = new Map<number, number>();
    for (let at = 0; at < bytes.byteLength; ) {
      const isWhole = CONTENT_BYTES_MIN <= bytes.byteLength - at;
      const id = isWhole ? bytes.readUInt32LE(at) : 0;
      const size = isWhole ? bytes.readUInt32LE(at + 4) : 0;
      const record = bytes.subarray(at, at + size);
      const isRecord = this.#asked.get(id) === path && contentOf(id, size).equals(record);
      must(isRecord, "L1", () => `${path} has no whole record at ${at}: ${id} of ${size} bytes`);
      must(!found.has(id), "L2", () => `${path} has record ${id} twice`);
      found.set(id, at);
      at += size;
    }
    return found;
  }
}

function pathOf(number: number): string {
  return `${DIRECTORY}/l${number}`;
}
