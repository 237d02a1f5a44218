// What a client does with files, and what it tells the ledger.

import { integerBetween, KiB, type SeededRandom } from "@lumeofs/base";
import type { Lumeo, Reading, SnapshotInfo } from "@lumeofs/client";
import { Violation } from "../checks/violation.js";
import { codeOf, unlessMissing } from "./answers.js";
import { CONTENT_BYTES_MIN, Contents, contentOf, headOf } from "./content.js";
import { type Ledger, NOTHING } from "./ledger.js";

const DIRECTORY = "/files";
/** A multi-chunk file has chunks of this size, a large chunk is longer than the servers' small. */
/** Chunks of a checksum block and less go to all replicas at once, larger ones down the chain. */
const CHUNK_BYTES = 128 * KiB;
const LARGE_BYTES = 384 * KiB;
/** What the masters keep at most, as they are set; chunkservers have the rest. */
const TINY_BYTES_MAX = 4 * KiB;
/** One in so many is on chunkservers, however small it is. */
const CHUNKED_EVERY = 3;

/** Each keeps what it has for ever, and everything is read again and again. */
const COPIES_MAX = 8;
const SNAPSHOTS_MAX = 3;
const CALLS_MAX = 200;

/** Of what is no conditional put, no removal and no copy; the rest is about snapshots. */
const SHARES = { put: 0.46, get: 0.36, range: 0.12 } as const;

/** A slow source gives so much at once, and then nothing for a while. */
const PIECE_BYTES = 24 * KiB;
const PIECE_PAUSE_MS_MAX = 500;

export interface FileOptions {
  readonly paths: number;
  readonly replicas: number;
  /** Of what is stored: how much is in large chunks or in several, and how much comes slowly. */
  readonly largeShare: number;
  readonly mediumShare: number;
  /** So small that the masters may keep it. */
  readonly tinyShare: number;
  readonly slowShare: number;
  /** How some of it is coded. */
  readonly code: string | undefined;
  readonly codedShare: number;
  /** Of calls. */
  readonly exchangeShare: number;
  readonly removeShare: number;
  readonly copyShare: number;
  readonly editShare: number;
  /** A call that takes longer is given up. */
  readonly deadlineMs: number;
}

/** Chance, and time that passes, of the process that makes the call. */
export interface Hand {
  readonly random: SeededRandom;
  pause(ms: number): Promise<void>;
}

interface Storing {
  readonly id: number;
  readonly condition: { readonly ifMatch?: string } | { readonly ifNoneMatch?: "*" };
  readonly hand: Hand;
}

/** A snapshot that was acknowledged. */
interface Made {
  readonly info: SnapshotInfo;
  readonly begin: number;
  readonly end: number;
}

/** What all clients share. */
export class FileWorkload {
  readonly ledger: Ledger;
  readonly #options: FileOptions;
  readonly #now: () => number;
  readonly #contents = new Contents();
  #names = 0;
  #calls = 0;
  readonly #snapshots: Made[] = [];

  constructor(ledger: Ledger, options: FileOptions, now: () => number) {
    this.ledger = ledger;
    this.#options = options;
    this.#now = now;
  }

  get paths(): readonly string[] {
    return Array.from({ length: this.#options.paths }, (_, i) => pathOf(i));
  }

  async setUp(client: Lumeo): Promise<void> {
    await client.mkdir(DIRECTORY, { recursive: true });
  }

  /** So much was asked for that it is enough. */
  get isEnough(): boolean {
    return CALLS_MAX <= this.#calls;
  }

  /** One call. @throws What the call does, or Violation. */
  async step(client: Lumeo, hand: Hand): Promise<void> {
    const { random } = hand;
    this.#calls++;
    const path = pathOf(integerBetween(random, 0, this.#options.paths - 1));
    let chance = random.fraction();
    const isDrawn = (share: number): boolean => {
      chance -= share;
      return chance < 0;
    };
    const { exchangeShare, removeShare, copyShare, editShare } = this.#options;
    if (isDrawn(exchangeShare)) return this.#exchange(client, path, hand);
    if (isDrawn(removeShare)) return this.#remove(client, path, random);
    if (isDrawn(copyShare)) return this.#copy(client, path);
    if (isDrawn(editShare)) return this.#edit(client, path, random);
    chance /= 1 - exchangeShare - removeShare - copyShare - editShare;
    if (isDrawn(SHARES.put)) await this.#put(client, path, hand);
    else if (isDrawn(SHARES.get)) await this.read(client, path);
    else if (isDrawn(SHARES.range)) await this.#range(client, path, random);
    else await this.#snapshot(client, random);
  }

  /** Everything that there is, read to its end: nothing may be missing. */
  async readAll(client: Lumeo): Promise<void> {
    for (const path of this.paths) await this.read(client, path, Infinity);
    for (const path of this.ledger.copies) await this.#readCopy(client, path, Infinity);
    for (const made of this.#snapshots) {
      for (const path of this.paths) await this.#readSnapshot(client, made, path, Infinity);
    }
  }

  async read(client: Lumeo, path: string, deadlineMs = this.#options.deadlineMs): Promise<void> {
    const pending = this.ledger.begin(path, { kind: "get" });
    try {
      const found = await this.#content(client, path, deadlineMs);
      if (found.reading !== undefined) {
        this.ledger.hasVersion(path, found.id, found.reading.info.version ?? "");
      }
      pending.answered(found.id);
      this.ledger.reads++;
    } catch (error) {
      pending.rejected();
      throw error;
    }
  }

  async #put(client: Lumeo, path: string, hand: Hand): Promise<void> {
    const id = this.ledger.newContent(path);
    const pending = this.ledger.begin(path, { kind: "put", id });
    const stored = await this.#store(client, path, { id, condition: {}, hand });
    pending.answered("stored");
    this.ledger.acknowledged++;
    this.ledger.hasVersion(path, id, stored.version);
  }

  /** A put over what was seen, and over nothing else: so a repetition would refuse itself. */
  async #exchange(client: Lumeo, path: string, hand: Hand): Promise<void> {
    const { deadlineMs } = this.#options;
    const seen = await unlessMissing(client.stat(path, { deadlineMs }));
    const over = seen ? this.ledger.contentOfVersion(path, seen.version ?? "") : NOTHING;
    if (over === undefined) return;
    const id = this.ledger.newContent(path);
    const pending = this.ledger.begin(path, { kind: "put", id, over });
    const condition = seen ? { ifMatch: seen.etag ?? "" } : { ifNoneMatch: "*" as const };
    try {
      const stored = await this.#store(client, path, { id, condition, hand });
      pending.answered("stored");
      this.ledger.hasVersion(path, id, stored.version);
    } catch (error) {
      if (codeOf(error) !== "LUMEO_PRECONDITION") throw error;
      pending.answered("refused");
    }
  }

  /** Writes into the middle of a file, and makes it shorter or longer: all of it, or nothing. */
  async #edit(client: Lumeo, path: string, random: SeededRandom): Promise<void> {
    const { deadlineMs } = this.#options;
    const file = await unlessMissing(client.open(path, "r+", { deadlineMs }));
    if (file === undefined || file.size < CONTENT_BYTES_MIN) return;
    const base = headOf(await file.read(0, CONTENT_BYTES_MIN, { deadlineMs }));
    const baseBytes = file.size;
    const id = this.ledger.newContent(path);
    const size = editedSize(random, baseBytes);
    const at = integerBetween(random, 0, size - 1);
    const bytes = Math.min(size - at, integerBetween(random, 1, 4 * KiB));
    const parts = this.#contents.edit(id, size, { base, baseBytes, at, bytes });
    await file.truncate(size);
    for (const { at: position, part } of parts) await file.write(part, position);
    const pending = this.ledger.begin(path, { kind: "put", id, over: base });
    try {
      await file.close({ deadlineMs });
      pending.answered("stored");
    } catch (error) {
      if (codeOf(error) !== "LUMEO_CONFLICT") throw error;
      pending.answered("refused");
    }
  }

  #store(
    client: Lumeo,
    path: string,
    { id, condition, hand }: Storing,
  ): Promise<{ readonly version: string }> {
    const { random } = hand;
    const { replicas, deadlineMs, slowShare, code, codedShare } = this.#options;
    const size = sizeOf(random, this.#options);
    const chunkSize = LARGE_BYTES <= size ? 8 * CHUNK_BYTES : CHUNK_BYTES;
    const content = contentOf(id, size);
    const body = random.fraction() < slowShare ? slowly(content, hand) : content;
    const isCoded = code !== undefined && random.fraction() < codedShare;
    const layout = isCoded ? { code } : { redundancy: { replicas } };
    const inline = id % CHUNKED_EVERY !== 0;
    return client.put(path, body, { ...layout, chunkSize, inline, deadlineMs, ...condition });
  }

  async #range(client: Lumeo, path: string, random: SeededRandom): Promise<void> {
    const { deadlineMs } = this.#options;
    const info = await client.stat(path, { deadlineMs });
    const start = Math.floor(random.fraction() * (info.size ?? 0));
    const end = start + 1 + Math.floor(random.fraction() * 2 * CHUNK_BYTES);
    const reading = await client.get(path, { range: { start, end }, deadlineMs });
    const bytes = await reading.bytes();
    // A part does not say which content it is of; the version does, once somebody has read it all.
    const id = this.ledger.contentOfVersion(path, reading.info.version ?? "");
    if (id === undefined) return;
    const whole = this.#contents.bytesOf(id, reading.info.size ?? 0);
    const { range } = reading;
    if (whole.subarray(range.start, range.end).equals(bytes)) return;
    throw new Violation("C1", `${path} shows other bytes from ${range.start} to ${range.end}`);
  }

  async #remove(client: Lumeo, path: string, random: SeededRandom): Promise<void> {
    const { deadlineMs } = this.#options;
    const pending = this.ledger.begin(path, { kind: "remove" });
    try {
      await client.remove(path, { skipTrash: random.fraction() < 0.5, deadlineMs });
      pending.answered(true);
    } catch (error) {
      if (codeOf(error) !== "LUMEO_NOT_FOUND") throw error;
      pending.answered(false);
    }
  }

  async #copy(client: Lumeo, source: string): Promise<void> {
    const { deadlineMs } = this.#options;
    if (COPIES_MAX <= this.ledger.copies.length) return;
    const target = `${DIRECTORY}/copy-${++this.#names}`;
    const copied = this.ledger.copyBegins(source, target);
    const info = await client.copy(source, target, { deadlineMs });
    copied.told = `${info.size} ${info.checksum?.value}`;
    await this.#readCopy(client, target, deadlineMs);
  }

  async #readCopy(client: Lumeo, path: string, deadlineMs: number): Promise<void> {
    const { id, reading } = await this.#content(client, path, deadlineMs);
    const checksum = `${reading?.info.size} ${reading?.info.checksum?.value}`;
    this.ledger.readCopy(path, id, checksum);
  }

  async #snapshot(client: Lumeo, random: SeededRandom): Promise<void> {
    const { deadlineMs } = this.#options;
    if (random.fraction() < 0.5 || SNAPSHOTS_MAX <= this.#snapshots.length) {
      const made = this.#snapshots[integerBetween(random, 0, this.#snapshots.length - 1)];
      const path = pathOf(integerBetween(random, 0, this.#options.paths - 1));
      if (made !== undefined) await this.#readSnapshot(client, made, path, deadlineMs);
      return;
    }
    const begin = this.#now();
    const info = await client.snapshots.create(DIRECTORY, `s${++this.#names}`, { deadlineMs });
    this.#snapshots.push({ info, begin, end: this.#now() });
  }

  async #readSnapshot(
    client: Lumeo,
    { info, begin, end }: Made,
    path: string,
    deadlineMs: number,
  ): Promise<void> {
    const snapshot = `${info.path}${path.slice(DIRECTORY.length)}`;
    const { id } = await this.#content(client, snapshot, deadlineMs, path);
    this.ledger.readSnapshot({ path, snapshot }, { begin, end }, id);
  }

  /** What a path shows, read to its end. */
  async #content(
    client: Lumeo,
    path: string,
    deadlineMs: number,
    home = path,
  ): Promise<{ readonly id: number; readonly reading: Reading | undefined }> {
    try {
      const reading = await client.get(path, { deadlineMs });
      const bytes = await reading.bytes();
      const shown = (): string => `${bytes.byteLength} bytes that nobody has stored as a whole`;
      return { id: this.ledger.belongs(home, this.#contents.identify(bytes), shown), reading };
    } catch (error) {
      if (codeOf(error) !== "LUMEO_NOT_FOUND") throw error;
      return { id: NOTHING, reading: undefined };
    }
  }

  /** What faults explain passes. @throws Everything else: it ends the simulation. */
  expected(error: unknown): void {
    if (error instanceof Violation || !(error instanceof Error)) throw error;
    const code = codeOf(error);
    if (code === undefined || code === "LUMEO_INTERNAL") throw error;
    // There is always a good copy: only disks of victims lose something, and copies are more.
    if (code === "LUMEO_DATA_LOSS") throw new Violation("C1", `data is said to be lost: ${error}`);
  }
}

function pathOf(number: number): string {
  return `${DIRECTORY}/f${number}`;
}

/** A content that its writer has not all at once: its first chunks wait long for the last one. */
async function* slowly(content: Uint8Array, { random, pause }: Hand): AsyncIterable<Uint8Array> {
  for (let at = 0; at < content.byteLength; at += PIECE_BYTES) {
    yield content.subarray(at, at + PIECE_BYTES);
    await pause(PIECE_PAUSE_MS_MAX * random.fraction());
  }
}

/** Mostly small, often for the masters alone, sometimes of several chunks, now and then large. */
function sizeOf(random: SeededRandom, { largeShare, mediumShare, tinyShare }: FileOptions): number {
  const kind = random.fraction();
  const within = (low: number, high: number): number =>
    Math.floor(low * (high / low) ** random.fraction());
  if (kind < largeShare) return within(LARGE_BYTES, 600 * KiB);
  if (kind < largeShare + mediumShare) return within(32 * KiB, 200 * KiB);
  const isTiny = random.fraction() < tinyShare;
  return isTiny
    ? within(CONTENT_BYTES_MIN, TINY_BYTES_MAX + 1)
    : within(TINY_BYTES_MAX + 1, 24 * KiB);
}

function editedSize(random: SeededRandom, size: number): number {
  const kind = random.fraction();
  if (kind < 0.6) return size;
  if (kind < 0.8) return integerBetween(random, CONTENT_BYTES_MIN, size);
  return size + integerBetween(random, 1, 2 * CHUNK_BYTES);
}
