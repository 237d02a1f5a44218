// One snapshot file: its name and the header before its image. docs/formats/snapshot.md.

import { ByteReader, ByteWriter, type Disk, KiB, LumeoError } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { logIndex, type SnapshotMeta, term } from "../raft/entry.js";
import { decodeMembership, encodeMembership } from "../raft/membership-codec.js";

export const SNAPSHOT_FOLDER = "snapshots";
export const SNAPSHOT_ENDING = ".snapshot";
/** The image begins here. */
export const SNAPSHOT_HEADER_BYTES = 32 * KiB;

const MAGIC = new TextEncoder().encode("LUMEOSNP");
const VERSION = 1;

/** A snapshot, and how to know that it is whole. Equal ones have equal bytes, whoever made them. */
export interface StoredSnapshot {
  readonly meta: SnapshotMeta;
  /** Of the image. */
  readonly sizeBytes: number;
  /** Of the image. */
  readonly crc32c: number;
}

/** The place in the log that a snapshot stands for. */
export type SnapshotPlace = Pick<SnapshotMeta, "index" | "term">;

/** Whether two descriptions are of the same bytes. */
export function isSameSnapshot(a: StoredSnapshot, b: StoredSnapshot): boolean {
  return (
    a.meta.index === b.meta.index &&
    a.meta.term === b.meta.term &&
    a.sizeBytes === b.sizeBytes &&
    a.crc32c === b.crc32c
  );
}

/** Where the file of a place in the log is. */
export function snapshotPath(place: SnapshotPlace): string {
  const digits = (n: number) => String(n).padStart(16, "0");
  return `${SNAPSHOT_FOLDER}/${digits(place.index)}-${digits(place.term)}${SNAPSHOT_ENDING}`;
}

export function encodeSnapshotHeader(stored: StoredSnapshot): Uint8Array {
  const { meta } = stored;
  const writer = new ByteWriter(SNAPSHOT_HEADER_BYTES)
    .bytes(MAGIC)
    .u16(VERSION)
    .u53(meta.index)
    .u53(meta.term)
    .u53(stored.sizeBytes)
    .u32(stored.crc32c)
    .sized(encodeMembership(meta.membership));
  writer.u32(nativeCrc32c(writer.finish()));
  return writer.bytes(new Uint8Array(SNAPSHOT_HEADER_BYTES - writer.length)).finish();
}

/** What the file says of itself; undefined if that is not as it was written. */
export async function readSnapshotHeader(
  disk: Disk,
  name: string,
): Promise<StoredSnapshot | undefined> {
  const file = await disk.open(`${SNAPSHOT_FOLDER}/${name}`, { create: false });
  try {
    const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES);
    if ((await file.readAt(bytes, 0)) < SNAPSHOT_HEADER_BYTES) return undefined;
    const stored = decodeHeader(bytes);
    const size = await file.size();
    return size === SNAPSHOT_HEADER_BYTES + stored.sizeBytes ? stored : undefined;
  } catch (error) {
    if (error instanceof LumeoError && error.code === "CORRUPT") return undefined;
    throw error;
  } finally {
    await file.close();
  }
}

function decodeHeader(bytes: Uint8Array): StoredSnapshot {
  const reader = new ByteReader(bytes);
  if (Buffer.compare(reader.bytes(MAGIC.byteLength), MAGIC) !== 0 || reader.u16() !== VERSION) {
    throw new LumeoError("CORRUPT", "Cannot read snapshot: this is not its header");
  }
  const [index, lastTerm] = [logIndex(reader.u53()), term(reader.u53())];
  const [sizeBytes, crc32c] = [reader.u53(), reader.u32()];
  const membership = reader.sized();
  if (nativeCrc32c(bytes.subarray(0, reader.position)) !== reader.u32()) {
    throw new LumeoError("CORRUPT", "Cannot read snapshot: CRC32C of its header does not match");
  }
  const meta = { index, term: lastTerm, membership: decodeMembership(membership) };
  return { meta, sizeBytes, crc32c };
}
