// The bytes of a directory's inode. Numbers of fixed width come first, each at a place that this
// file alone knows: every write below a directory changes the usage of all directories above it,
// and patching three numbers costs a fraction of reading and writing the whole record.
//
// R1. Patching gives the bytes that decoding, changing and encoding gives.
// R2. A patch makes a copy: bytes that came out of the state are never changed.

import {
  ByteReader,
  ByteSlab,
  type ByteWriter,
  type Code,
  type InodeId,
  inodeId,
  invariant,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { readLabels, readText, writeLabels, writeText } from "./fields.js";
import { readCodeFields, writeCodeFields } from "./policy-codec.js";

/** Everything below a directory, the directory itself not counted. */
export interface Usage {
  readonly sizeBytes: number;
  readonly files: number;
  readonly directories: number;
}

/** At most so much below a directory; undefined does not limit. */
export interface Quota {
  readonly sizeBytes: number | undefined;
  readonly files: number | undefined;
}

/** As what files are kept: all as copies, all coded, or small ones as copies and others coded. */
export type CodePolicy =
  | { readonly kind: "replicated" }
  | { readonly kind: "coded"; readonly code: Code }
  | { readonly kind: "auto"; readonly code: Code };

/** What becomes of a file for whose code there are too few servers. */
export type CodeFallback = "refuse" | "replicate";

/** How files below a directory are kept; what is undefined is inherited from above. */
export interface Policy {
  readonly replicas: number | undefined;
  /** Earlier contents of a file that stay readable. */
  readonly versions: number | undefined;
  /** How long removed things stay in the trash; 0 means they do not go there. */
  readonly trashMs: number | undefined;
  /** Files are removed so long after they were written; 0 means never. */
  readonly ttlMs: number | undefined;
  readonly code: CodePolicy | undefined;
  /** Files are coded so long after they were written; 0 means never. */
  readonly codeAfterMs: number | undefined;
  readonly codeFallback: CodeFallback | undefined;
}

/** A change of settings: values are set, "kept" stays, undefined is taken away. */
export type SettingsChange<T> = { readonly [K in keyof T]: T[K] | "kept" };

/** The settings after a change. */
export function changedSettings<T extends Policy | Quota>(now: T, change: SettingsChange<T>): T {
  const after: Record<string, unknown> = { ...now };
  for (const [name, value] of Object.entries(change)) {
    if (value !== "kept") after[name] = value;
  }
  return after as unknown as T;
}

export interface DirectoryInode {
  readonly kind: "directory";
  /** Undefined for the root, and for a directory that no name leads to any more. */
  readonly parent: InodeId | undefined;
  readonly childCount: number;
  /** Log index of the last change of its entries. */
  readonly revision: number;
  readonly modifiedAt: WallMs;
  readonly usage: Usage;
  readonly quota: Quota;
  readonly policy: Policy;
  /** Log index since which its name leads to it. */
  readonly since: number;
  /** Log index of the last snapshot of it; 0 for none. */
  readonly capturedAt: number;
  readonly createdAt: WallMs;
  /** Records of earlier entries of it that are kept. */
  readonly historyCount: number;
  /** Its own snapshots, not those of directories above. */
  readonly snapshotCount: number;
  /** "" for the root. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

export const NO_USAGE: Usage = { sizeBytes: 0, files: 0, directories: 0 };
export const NO_QUOTA: Quota = { sizeBytes: undefined, files: undefined };
export const NO_POLICY: Policy = {
  replicas: undefined,
  versions: undefined,
  trashMs: undefined,
  ttlMs: undefined,
  code: undefined,
  codeAfterMs: undefined,
  codeFallback: undefined,
};

const slab = new ByteSlab();

/** Two numbers below it have a sum that can be counted. */
const USAGE_NEAR_MAX = 2 ** 52;

/** Places in the whole record: a byte of version and one of kind come before. */
const AT = {
  parent: 2,
  childCount: 10,
  revision: 18,
  modifiedAt: 26,
  sizeBytes: 34,
  files: 42,
  directories: 50,
  quotaSizeBytes: 58,
  quotaFiles: 66,
  replicas: 74,
  versions: 75,
  trashMs: 79,
  ttlMs: 87,
  codes: 95,
  since: 111,
  capturedAt: 119,
  historyCount: 135,
} as const;

/** What follows the version and the kind. */
export function writeDirectory(w: ByteWriter, inode: DirectoryInode): void {
  const { usage, quota, policy } = inode;
  w.u53(inode.parent ?? 0);
  w.u53(inode.childCount).u53(inode.revision).u53(inode.modifiedAt);
  w.u53(usage.sizeBytes).u53(usage.files).u53(usage.directories);
  w.u53(orZero(quota.sizeBytes)).u53(orZero(quota.files));
  w.u8(orZero(policy.replicas)).u32(orZero(policy.versions));
  w.u53(orZero(policy.trashMs)).u53(orZero(policy.ttlMs));
  writeCodeFields(w, policy);
  w.u53(inode.since).u53(inode.capturedAt).u53(inode.createdAt);
  w.u53(inode.historyCount).u53(inode.snapshotCount);
  writeText(w, inode.name);
  writeLabels(w, inode.metadata);
  writeLabels(w, inode.tags);
}

export function readDirectory(r: ByteReader): DirectoryInode {
  const parent = r.u53();
  return {
    kind: "directory",
    parent: parent === 0 ? undefined : inodeId(parent),
    childCount: r.u53(),
    revision: r.u53(),
    modifiedAt: wallMs(r.u53()),
    usage: { sizeBytes: r.u53(), files: r.u53(), directories: r.u53() },
    quota: { sizeBytes: unlessZero(r.u53()), files: unlessZero(r.u53()) },
    policy: {
      replicas: unlessZero(r.u8()),
      versions: unlessZero(r.u32()),
      trashMs: unlessZero(r.u53()),
      ttlMs: unlessZero(r.u53()),
      ...readCodeFields(r),
    },
    since: r.u53(),
    capturedAt: r.u53(),
    createdAt: wallMs(r.u53()),
    historyCount: r.u53(),
    snapshotCount: r.u53(),
    name: readText(r),
    metadata: readLabels(r),
    tags: readLabels(r),
  };
}

/** The directory above, or undefined: `DirectoryInode.parent`. */
export function recordParent(record: Uint8Array): InodeId | undefined {
  const parent = load(record, AT.parent);
  return parent === 0 ? undefined : (parent as InodeId);
}

export function recordSince(record: Uint8Array): number {
  return load(record, AT.since);
}

export function recordCapturedAt(record: Uint8Array): number {
  return load(record, AT.capturedAt);
}

export function recordUsage(record: Uint8Array): Usage {
  return {
    sizeBytes: load(record, AT.sizeBytes),
    files: load(record, AT.files),
    directories: load(record, AT.directories),
  };
}

export function recordQuota(record: Uint8Array): Quota {
  return {
    sizeBytes: unlessZero(load(record, AT.quotaSizeBytes)),
    files: unlessZero(load(record, AT.quotaFiles)),
  };
}

export function recordPolicy(record: Uint8Array): Policy {
  if (isZero(record, AT.replicas, AT.since)) return NO_POLICY;
  return {
    replicas: unlessZero(record[AT.replicas] as number),
    versions: unlessZero(load32(record, AT.versions)),
    trashMs: unlessZero(load(record, AT.trashMs)),
    ttlMs: unlessZero(load(record, AT.ttlMs)),
    ...readCodeFields(new ByteReader(record.subarray(AT.codes, AT.since))),
  };
}

/** A copy of the record with another usage. */
export function withUsage(record: Uint8Array, usage: Usage): Uint8Array {
  const copy = copyOf(record);
  store(copy, AT.sizeBytes, usage.sizeBytes);
  store(copy, AT.files, usage.files);
  store(copy, AT.directories, usage.directories);
  return copy;
}

/** No quota limits the directory, and this change does not come near to the end of counting. */
export function isUnlimited(record: Uint8Array, more: Usage): boolean {
  const isFar =
    Math.max(load(record, AT.sizeBytes), more.sizeBytes) < USAGE_NEAR_MAX &&
    Math.max(load(record, AT.files), more.files) < USAGE_NEAR_MAX &&
    Math.max(load(record, AT.directories), more.directories) < USAGE_NEAR_MAX;
  return isFar && load(record, AT.quotaSizeBytes) === 0 && load(record, AT.quotaFiles) === 0;
}

/** A copy of an unlimited directory's record with more usage, or with less. */
export function withMoreUsage(record: Uint8Array, more: Usage): Uint8Array {
  const copy = copyOf(record);
  store(copy, AT.sizeBytes, load(record, AT.sizeBytes) + more.sizeBytes);
  store(copy, AT.files, load(record, AT.files) + more.files);
  store(copy, AT.directories, load(record, AT.directories) + more.directories);
  return copy;
}

/** A copy of the record after a change of its entries; `children` more of them, or fewer. */
export function withChildren(
  record: Uint8Array,
  children: number,
  now: { readonly index: number; readonly at: WallMs },
): Uint8Array {
  const childCount = load(record, AT.childCount) + children;
  invariant(0 <= childCount, "a child count is not negative", { childCount });
  const copy = copyOf(record);
  store(copy, AT.childCount, childCount);
  store(copy, AT.revision, now.index);
  store(copy, AT.modifiedAt, now.at);
  return copy;
}

function copyOf(record: Uint8Array): Uint8Array {
  const copy = slab.take(record.byteLength);
  copy.set(record);
  return copy;
}

/** A copy of the record with more records of earlier entries kept, or fewer. */
export function withHistory(record: Uint8Array, more: number): Uint8Array {
  const historyCount = load(record, AT.historyCount) + more;
  invariant(0 <= historyCount, "a count of history is not negative", { historyCount });
  const copy = copyOf(record);
  store(copy, AT.historyCount, historyCount);
  return copy;
}

function isZero(record: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (record[at] !== 0) return false;
  return true;
}

/** Numbers that may be missing are kept one higher: 0 says that there is none. */
function orZero(value: number | undefined): number {
  return value === undefined ? 0 : value + 1;
}

function unlessZero(stored: number): number | undefined {
  return stored === 0 ? undefined : stored - 1;
}

function load(bytes: Uint8Array, at: number): number {
  return load32(bytes, at + 4) * 2 ** 32 + load32(bytes, at);
}

function load32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  const high = ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
  return (low | high) >>> 0;
}

function store(bytes: Uint8Array, at: number, value: number): void {
  invariant(Number.isSafeInteger(value) && 0 <= value, "a count is a safe integer", { value });
  store32(bytes, at, value);
  store32(bytes, at + 4, Math.floor(value / 2 ** 32));
}

function store32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
