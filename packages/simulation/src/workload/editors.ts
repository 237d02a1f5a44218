// Programs that keep files open, change them in place and sync them now and then, several at once
// on the same files.
//
// E1. What an open file reads is what it was when it was opened or synced last, with all that was
//     written into it since and not synced: byte for byte, whatever others do to it meanwhile. A
//     read that cannot have that any more is refused, and none else.
// E2. A sync that succeeds makes exactly these bytes the file's, all at once, and only if nobody
//     has changed the file since; one that is refused leaves the file as it was. Each path is a
//     variable with a compare-and-set: the ledger looks for an order (F1).
// E3. Whoever opens or gets a file later sees one whole revision, never a mixture.

import { integerBetween, KiB, type SeededRandom } from "@lumeofs/base";
import type { Lumeo, LumeoFile } from "@lumeofs/client";
import { must } from "../checks/violation.js";
import { codeOf, unlessMissing } from "./answers.js";
import { CONTENT_BYTES_MIN, contentOf, headOf } from "./content.js";
import { type Ledger, NOTHING } from "./ledger.js";

const DIRECTORY = "/edited";
const FILE_BYTES_MAX = 320 * KiB;
const CHUNK_BYTES = 64 * KiB;
const WRITE_BYTES_MAX = 40 * KiB;
/** Of steps: the rest edits. */
const MAKE_SHARE = 0.1;
const GET_SHARE = 0.2;
/** While a file is open. */
const CHANGES_MAX = 5;
const SYNCS_MAX = 3;
const PAUSE_MS_MAX = 400;

export interface EditorOptions {
  readonly paths: number;
  readonly replicas: number;
  /** A call that takes longer is given up. */
  readonly deadlineMs: number;
}

/** Chance, and time that passes, of the process that makes the call. */
export interface EditorHand {
  readonly random: SeededRandom;
  pause(ms: number): Promise<void>;
}

/** A file that is open, and what it must show. */
interface Opened {
  readonly path: string;
  readonly file: LumeoFile;
  /** The revision that it rests on. */
  base: number;
  bytes: Buffer;
}

/** What all clients share. */
export class EditorWorkload {
  synced = 0;
  readonly ledger: Ledger;
  readonly #options: EditorOptions;
  /** All that was ever to be the content of a file. */
  readonly #contents = new Map<number, Buffer>();

  constructor(ledger: Ledger, options: EditorOptions) {
    this.ledger = ledger;
    this.#options = options;
  }

  /** One program's work on one file. @throws What the calls do, or Violation. */
  async step(client: Lumeo, hand: EditorHand): Promise<void> {
    const { random } = hand;
    const path = pathOf(integerBetween(random, 0, this.#options.paths - 1));
    const kind = random.fraction();
    if (kind < MAKE_SHARE) await this.#make(client, path, random, {});
    else if (kind < MAKE_SHARE + GET_SHARE) await this.#read(client, path);
    else await this.#edit(client, path, hand);
  }

  /** Every file is read to its end once more (E3). */
  async readAll(client: Lumeo): Promise<void> {
    for (let i = 0; i < this.#options.paths; i++) await this.#read(client, pathOf(i), Infinity);
  }

  /** A new content, from one end to the other. */
  async #make(
    client: Lumeo,
    path: string,
    random: SeededRandom,
    condition: { readonly ifNoneMatch?: "*" },
  ): Promise<void> {
    const { replicas, deadlineMs } = this.#options;
    const id = this.ledger.newContent(path);
    const bytes = contentOf(id, sizeOf(random));
    this.#contents.set(id, bytes);
    const over = condition.ifNoneMatch === undefined ? {} : { over: NOTHING };
    const pending = this.ledger.begin(path, { kind: "put", id, ...over });
    const wish = { redundancy: { replicas }, chunkSize: CHUNK_BYTES, makeParents: true };
    try {
      await client.put(path, bytes, { ...wish, deadlineMs, ...condition });
      pending.answered("stored");
    } catch (error) {
      if (codeOf(error) !== "LUMEO_PRECONDITION") throw error;
      pending.answered("refused");
    }
  }

  async #read(client: Lumeo, path: string, deadlineMs = this.#options.deadlineMs): Promise<void> {
    const pending = this.ledger.begin(path, { kind: "get" });
    try {
      const reading = await unlessMissing(client.get(path, { deadlineMs }));
      const bytes = await reading?.bytes();
      pending.answered(bytes === undefined ? NOTHING : this.#known(path, bytes));
      this.ledger.reads++;
    } catch (error) {
      pending.rejected();
      throw error;
    }
  }

  async #edit(client: Lumeo, path: string, hand: EditorHand): Promise<void> {
    const opened = await this.#open(client, path);
    if (opened === undefined) return this.#make(client, path, hand.random, { ifNoneMatch: "*" });
    const { file } = opened;
    const syncs = integerBetween(hand.random, 1, SYNCS_MAX);
    for (let i = 0; i < syncs; i++) {
      const refused = this.ledger.begin(path, { kind: "changed", from: opened.base });
      try {
        await this.#change(opened, hand);
        refused.rejected();
      } catch (error) {
        if (codeOf(error) !== "LUMEO_CONFLICT") refused.rejected();
        else return refused.answered(true);
        throw error;
      }
      if (!(await this.#sync(opened))) return;
    }
    // Nothing is left to sync: the file is as it was, whoever has changed it since.
    await file.close({ deadlineMs: this.#options.deadlineMs });
  }

  /** The file and all its bytes, which are those of one revision (E3). */
  async #open(client: Lumeo, path: string): Promise<Opened | undefined> {
    const { deadlineMs } = this.#options;
    const pending = this.ledger.begin(path, { kind: "get" });
    try {
      const file = await unlessMissing(client.open(path, "r+", { deadlineMs }));
      if (file === undefined) {
        pending.answered(NOTHING);
        return undefined;
      }
      const bytes = Buffer.from(await file.read(0, file.size, { deadlineMs }));
      const base = this.#known(path, bytes);
      pending.answered(base);
      return { path, file, base, bytes };
    } catch (error) {
      pending.rejected();
      throw error;
    }
  }

  /** Some writes, cuts and reads, and who it is from now on. @throws CONFLICT (E1) */
  async #change(opened: Opened, hand: EditorHand): Promise<void> {
    const { random } = hand;
    const count = integerBetween(random, 1, CHANGES_MAX);
    for (let i = 0; i < count; i++) {
      await hand.pause(PAUSE_MS_MAX * random.fraction() ** 2);
      const kind = random.fraction();
      if (kind < 0.5) await this.#write(opened, random);
      else if (kind < 0.65) await this.#cut(opened, random);
      else await this.#look(opened, random);
    }
  }

  async #write(opened: Opened, random: SeededRandom): Promise<void> {
    const { file, bytes } = opened;
    const length = integerBetween(random, 1, WRITE_BYTES_MAX);
    const lastPosition = Math.min(bytes.byteLength + 4 * KiB, FILE_BYTES_MAX - length);
    const position = integerBetween(random, 0, Math.max(0, lastPosition));
    const data = contentOf(integerBetween(random, 1, 2 ** 30), Math.max(length, CONTENT_BYTES_MIN));
    const part = data.subarray(0, length);
    await file.write(part, position);
    opened.bytes = resized(bytes, Math.max(bytes.byteLength, position + length));
    part.copy(opened.bytes, position);
  }

  async #cut(opened: Opened, random: SeededRandom): Promise<void> {
    const { file, bytes } = opened;
    const most = Math.min(FILE_BYTES_MAX, bytes.byteLength + CHUNK_BYTES);
    const size = integerBetween(random, CONTENT_BYTES_MIN, most);
    await file.truncate(size);
    opened.bytes = resized(bytes, size);
  }

  /** E1. */
  async #look({ path, file, base, bytes }: Opened, random: SeededRandom): Promise<void> {
    const { deadlineMs } = this.#options;
    const start = integerBetween(random, 0, bytes.byteLength);
    const length = integerBetween(random, 0, 2 * CHUNK_BYTES);
    const found = await file.read(start, length, { deadlineMs });
    const isSame = bytes.subarray(start, start + length).equals(found);
    const where = `${path} on content ${base}, from ${start} to ${start + length}`;
    must(isSame, "E1", () => `the open file ${where}, shows other bytes than were its`);
    must(file.size === bytes.byteLength, "E1", () => `${where} has ${file.size} bytes`);
  }

  /** E2: as a content of its own, which says who it is. @returns Whether it was stored. */
  async #sync(opened: Opened): Promise<boolean> {
    const { path, file } = opened;
    const { deadlineMs } = this.#options;
    const id = this.ledger.newContent(path);
    const bytes = resized(opened.bytes, Math.max(2 * CONTENT_BYTES_MIN, opened.bytes.byteLength));
    bytes.set(contentOf(id, CONTENT_BYTES_MIN));
    await file.truncate(bytes.byteLength);
    await file.write(bytes.subarray(0, CONTENT_BYTES_MIN), 0);
    opened.bytes = bytes;
    this.#contents.set(id, Buffer.from(bytes));
    const pending = this.ledger.begin(path, { kind: "put", id, over: opened.base });
    try {
      await file.sync({ deadlineMs });
      pending.answered("stored");
      this.synced++;
      opened.base = id;
      return true;
    } catch (error) {
      if (codeOf(error) !== "LUMEO_CONFLICT") throw error;
      pending.answered("refused");
      return false;
    }
  }

  /** E3: which revision these bytes are, all of them. */
  #known(path: string, bytes: Uint8Array): number {
    const id = bytes.byteLength < CONTENT_BYTES_MIN ? NOTHING : headOf(bytes);
    const content = this.#contents.get(id);
    const isWhole = content?.equals(bytes) ?? false;
    const shown = (): string => `${bytes.byteLength} bytes that are no revision, from ${id} on`;
    return this.ledger.belongs(path, isWhole ? id : undefined, shown);
  }
}

function pathOf(number: number): string {
  return `${DIRECTORY}/e${number}`;
}

function sizeOf(random: SeededRandom): number {
  const most = FILE_BYTES_MAX / 2;
  return Math.floor(CONTENT_BYTES_MIN * (most / CONTENT_BYTES_MIN) ** random.fraction());
}

/** Cut, or longer by zeros; never the same buffer. */
function resized(bytes: Buffer, size: number): Buffer {
  const changed = Buffer.alloc(size);
  bytes.copy(changed);
  return changed;
}
