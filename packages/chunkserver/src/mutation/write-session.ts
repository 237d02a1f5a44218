// What may be written to a chunk, and when a write is complete.
//
// A chunk is written once under one epoch: bytes from 0 without gaps, then a close that names
// length and checksum. Decisions only: the caller owns the bytes.

import { BLOCK_BYTES, crc32cCombine, type Epoch, type ServerId } from "@lumeofs/base";
import {
  type ChunkVersion,
  compareVersions,
  firstVersion,
  isOneHistory,
  nextVersion,
  showVersion,
} from "./version.js";

/** What is known of a chunk that is already here. */
export interface ExistingChunk {
  readonly version: ChunkVersion;
  readonly length: number;
  readonly crc32c: number;
  readonly isDamaged: boolean;
}

export interface WholeContent {
  readonly length: number;
  readonly crc32c: number;
}

export type Admission =
  /** Record the content under this version. */
  | { readonly kind: "record"; readonly version: ChunkVersion }
  /** The same content is here: answer as if it had been written now. */
  | { readonly kind: "repeated" }
  | { readonly kind: "refused"; readonly code: "CONFLICT" | "STALE_EPOCH"; readonly why: string };

/** Where a write comes from. */
export type Origin =
  /** The epoch of the write, and the primary that orders it. */
  | { readonly epoch: Epoch; readonly author: ServerId }
  /** A replica is copied: its record is taken over as it is. */
  | { readonly version: ChunkVersion };

/**
 * Decides about a complete write.
 *
 * @param existing  The chunk of this handle that is here, if any.
 */
export function admit(
  existing: ExistingChunk | undefined,
  asked: Origin,
  content: WholeContent,
): Admission {
  if ("version" in asked) return admitCopy(existing, asked.version, content);
  if (existing === undefined) {
    return { kind: "record", version: firstVersion(asked.epoch, asked.author) };
  }
  const { version } = existing;
  if (asked.epoch < version.epoch) {
    const why = `epoch is ${asked.epoch}, the chunk is already at ${version.epoch}`;
    return { kind: "refused", code: "STALE_EPOCH", why };
  }
  if (version.epoch < asked.epoch) {
    return { kind: "record", version: nextVersion(version, asked.epoch, asked.author) };
  }
  if (existing.length !== content.length || existing.crc32c !== content.crc32c) {
    const why = `epoch ${asked.epoch} already holds ${existing.length} other bytes`;
    return { kind: "refused", code: "CONFLICT", why };
  }
  // The right bytes for a copy that has gone bad heal it: the same record once more.
  return existing.isDamaged ? { kind: "record", version } : { kind: "repeated" };
}

/** A copy replaces what is older or damaged, never what is newer, and never another history. */
function admitCopy(
  existing: ExistingChunk | undefined,
  version: ChunkVersion,
  content: WholeContent,
): Admission {
  if (existing === undefined) return { kind: "record", version };
  const here = existing.version;
  if (!isOneHistory(here, version)) {
    const why = `it is ${showVersion(version)}, here is ${showVersion(here)}: two histories`;
    return { kind: "refused", code: "CONFLICT", why };
  }
  const order = compareVersions(version, here);
  if (order < 0) {
    const why = `it is ${showVersion(version)}, here is ${showVersion(here)} already`;
    return { kind: "refused", code: "STALE_EPOCH", why };
  }
  if (0 < order) return { kind: "record", version };
  if (existing.length !== content.length || existing.crc32c !== content.crc32c) {
    const why = `${showVersion(version)} is ${existing.length} other bytes here`;
    return { kind: "refused", code: "CONFLICT", why };
  }
  return existing.isDamaged ? { kind: "record", version } : { kind: "repeated" };
}

export type Accepted =
  | { readonly kind: "accepted" }
  | { readonly kind: "refused"; readonly code: "INVALID_ARGUMENT"; readonly why: string };

const ACCEPTED: Accepted = { kind: "accepted" };

/** The bytes of one write as they come: offsets without gaps, and their checksums. */
export class WriteSession {
  readonly #crcs: Uint8Array[] = [];
  #length = 0;
  #crc32c = 0;
  #isLastBlockShort = false;

  constructor(readonly lengthMax: number) {}

  /** Bytes accepted so far. */
  get length(): number {
    return this.#length;
  }

  /** Of the bytes accepted so far. */
  get crc32c(): number {
    return this.#crc32c;
  }

  /**
   * Takes the next bytes, whose block checksums are already verified.
   *
   * @param part  `crc32c` is of these bytes alone; `crcs` is kept.
   */
  accept(part: {
    readonly offset: number;
    readonly length: number;
    readonly crc32c: number;
    readonly crcs: Uint8Array;
  }): Accepted {
    if (part.offset !== this.#length) {
      return invalid(`offset is ${part.offset}, ${this.#length} bytes have come`);
    }
    if (part.length === 0 || this.#isLastBlockShort) {
      return invalid(`only the last data may end inside a block of ${BLOCK_BYTES} bytes`);
    }
    if (this.lengthMax < part.offset + part.length) {
      return invalid(`a chunk has at most ${this.lengthMax} bytes`);
    }
    this.#crc32c = crc32cCombine(this.#crc32c, part.crc32c, part.length);
    this.#length += part.length;
    this.#isLastBlockShort = part.length % BLOCK_BYTES !== 0;
    this.#crcs.push(part.crcs);
    return ACCEPTED;
  }

  /** Whether what has come is the whole content that the writer names. */
  close(content: WholeContent): Accepted {
    if (content.length !== this.#length) {
      return invalid(`length is ${content.length}, ${this.#length} bytes have come`);
    }
    if (content.crc32c !== this.#crc32c) {
      return invalid(`checksum is ${hex(content.crc32c)}, the bytes have ${hex(this.#crc32c)}`);
    }
    return ACCEPTED;
  }

  /** The checksums of all blocks, one behind the other. */
  blockCrcs(): Uint8Array {
    const all = new Uint8Array(this.#crcs.reduce((sum, crcs) => sum + crcs.byteLength, 0));
    let at = 0;
    for (const crcs of this.#crcs) {
      all.set(crcs, at);
      at += crcs.byteLength;
    }
    return all;
  }
}

function invalid(why: string): Accepted {
  return { kind: "refused", code: "INVALID_ARGUMENT", why };
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
