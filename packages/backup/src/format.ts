// The bytes of a backup file: docs/formats/backup.md.

import { ByteReader, ByteWriter, LumeoError, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { lumeo } from "@lumeofs/proto";
import type { Backup, BackupMode, BackupRecord, Base, Origin } from "./backup.js";

const wire = lumeo.backup.v1;

export const VERSION = 1;
export const ENDING = ".lumeobackup";
/** Type, length and CRC32C in front of each payload. */
export const FRAME_HEAD_BYTES = 9;
/** No frame is larger: damage cannot ask for more memory than this. */
export const FRAME_BYTES_MAX = 32 * MiB;
export const OPENING_BYTES = 10;
export const CLOSING_BYTES = 16;

/** What a frame holds. */
export const FRAME = { header: 1, records: 2, footer: 3 } as const;

const MAGIC = new TextEncoder().encode("LUMEOBKP");
const END_MAGIC = new TextEncoder().encode("LUMEOEND");

/** Sorts by revision. */
export function nameOf({ revision, mode }: Origin, base: Base | undefined): string {
  const kind = base === undefined ? "full" : "incremental";
  return `${String(revision).padStart(16, "0")}-${mode}-${kind}${ENDING}`;
}

export function encodeOpening(): Uint8Array {
  return new ByteWriter(OPENING_BYTES)
    .bytes(MAGIC)
    .u8(VERSION & 0xff)
    .u8(VERSION >>> 8)
    .finish();
}

/** @throws LumeoError CORRUPT */
export function checkOpening(name: string, bytes: Uint8Array): void {
  if (Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0) {
    throw damaged(name, "it is no backup file");
  }
  const version = (bytes[8] as number) + (bytes[9] as number) * 256;
  if (version !== VERSION) throw damaged(name, `its version is ${version}, expected ${VERSION}`);
}

/** The last bytes: where the footer's frame begins. */
export function encodeClosing(footerAt: number): Uint8Array {
  return new ByteWriter(CLOSING_BYTES).u53(footerAt).bytes(END_MAGIC).finish();
}

/** @throws LumeoError CORRUPT */
export function decodeClosing(name: string, bytes: Uint8Array): number {
  if (Buffer.compare(bytes.subarray(8), END_MAGIC) !== 0) throw damaged(name, "its end is missing");
  return new ByteReader(bytes).u53();
}

export function encodeFrame(type: number, payload: Uint8Array): Uint8Array {
  const head = new ByteWriter(FRAME_HEAD_BYTES)
    .u8(type)
    .u32(payload.byteLength)
    .u32(nativeCrc32c(payload, nativeCrc32c(Uint8Array.of(type))))
    .finish();
  return Buffer.concat([head, payload]);
}

export interface FrameHead {
  readonly type: number;
  readonly length: number;
  readonly crc32c: number;
}

/** @throws LumeoError CORRUPT */
export function decodeFrameHead(name: string, bytes: Uint8Array): FrameHead {
  const reader = new ByteReader(bytes);
  const head = { type: reader.u8(), length: reader.u32(), crc32c: reader.u32() };
  if (FRAME_BYTES_MAX < head.length) throw damaged(name, `a frame of ${head.length} bytes`);
  return head;
}

/** @throws LumeoError CORRUPT */
export function checkFrame(name: string, head: FrameHead, payload: Uint8Array): void {
  const crc32c = nativeCrc32c(payload, nativeCrc32c(Uint8Array.of(head.type)));
  if (crc32c !== head.crc32c) throw damaged(name, "CRC32C of a frame does not match");
}

export function encodeHeader(origin: Origin, base: Base | undefined): Uint8Array {
  const { clusterId, revision, atMs } = origin;
  const header = {
    origin: { clusterId, mode: encodeMode(origin.mode), revision, atMs },
    ...(base === undefined ? {} : { base: { revision: base.revision, sha256: base.sha256 } }),
  };
  return wire.Header.encode(header).finish();
}

export function decodeHeader(
  name: string,
  payload: Uint8Array,
): { readonly origin: Origin; readonly base: Base | undefined } {
  const { origin, base } = decoded(name, () => wire.Header.decode(payload));
  const found = decodeOrigin(name, origin);
  if (base === null || base === undefined) return { origin: found, base: undefined };
  const sha256 = base.sha256 ?? new Uint8Array(0);
  return { origin: found, base: { revision: base.revision ?? 0, sha256 } };
}

/** @throws LumeoError CORRUPT */
export function decodeOrigin(
  name: string,
  origin: lumeo.backup.v1.IOrigin | null | undefined,
): Origin {
  const mode = decodeMode(origin?.mode);
  const { clusterId = "", revision = 0, atMs = 0 } = origin ?? {};
  if (mode === undefined || !clusterId || !revision) throw damaged(name, "it does not say of what");
  return { clusterId, mode, revision, atMs: atMs ?? 0 };
}

export function encodeRecords(records: readonly BackupRecord[]): Uint8Array {
  const encoded = records.map(([key, value]) =>
    value === undefined ? { key, removed: true } : { key, value },
  );
  return wire.Records.encode({ records: encoded }).finish();
}

export function decodeRecords(name: string, payload: Uint8Array): readonly BackupRecord[] {
  const { records } = decoded(name, () => wire.Records.decode(payload));
  return (records ?? []).map(({ key, value, removed }) => [
    key ?? new Uint8Array(0),
    removed === true ? undefined : (value ?? new Uint8Array(0)),
  ]);
}

/** What the end of a file says of it. */
export type Footer = Pick<Backup, "records" | "removed" | "totals"> & {
  readonly blocks: number;
  readonly sha256: Uint8Array;
};

export function encodeFooter({ records, removed, blocks, totals, sha256 }: Footer): Uint8Array {
  return wire.Footer.encode({ records, removed, blocks, totals: { ...totals }, sha256 }).finish();
}

export function decodeFooter(name: string, payload: Uint8Array): Footer {
  const footer = decoded(name, () => wire.Footer.decode(payload));
  const { totals, sha256 } = footer;
  if (totals?.sha256 == null || sha256 == null) throw damaged(name, "its footer is not whole");
  return {
    records: footer.records ?? 0,
    removed: footer.removed ?? 0,
    blocks: footer.blocks ?? 0,
    totals: { records: totals.records ?? 0, bytes: totals.bytes ?? 0, sha256: totals.sha256 },
    sha256,
  };
}

export function encodeMode(mode: BackupMode): lumeo.backup.v1.Mode {
  return mode === "full" ? wire.Mode.MODE_FULL : wire.Mode.MODE_INDEX;
}

/** Whatever is wrong with a file. */
export function damaged(name: string, why: string): LumeoError {
  const way = "use another backup, or make a full one";
  return new LumeoError("CORRUPT", `Cannot use backup "${name}": ${why}; ${way}`);
}

function decodeMode(mode: lumeo.backup.v1.Mode | null | undefined): BackupMode | undefined {
  if (mode === wire.Mode.MODE_FULL) return "full";
  return mode === wire.Mode.MODE_INDEX ? "index" : undefined;
}

function decoded<T>(name: string, decode: () => T): T {
  try {
    return decode();
  } catch {
    throw damaged(name, "a frame is no message of this format");
  }
}
