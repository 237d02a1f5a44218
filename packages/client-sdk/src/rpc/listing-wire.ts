// A page of a directory: proto → the SDK's own words. Most files come as rows of fixed width, as
// namespace_service.proto lays them out; the rest comes in full beside them.

import { ByteReader } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { InodeInfo, Policy, Quota } from "../operations.js";
import { decodeInfo } from "./inode-wire.js";
import { broken, expected } from "./wire-fields.js";

type Listing = lumeo.master.v1.Listing.$Properties;
type PackedEntries = lumeo.master.v1.PackedEntries.$Properties;

const ROW = { entry: 0, plainFile: 1, file: 2 } as const;
const decoder = new TextDecoder();
/** Shared by all files of rows. */
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const NO_QUOTA: Quota = Object.freeze({});
const NO_POLICY: Policy = Object.freeze({});

/** @param path  Of the directory that was asked for. */
export function decodeListing(
  path: string,
  { entries, more, packed }: Listing,
): { readonly entries: readonly InodeInfo[]; readonly more: boolean } {
  const full = (entries ?? []).map(decodeInfo);
  return { entries: packed == null ? full : unpack(path, packed, full), more: more ?? false };
}

function unpack(path: string, packed: PackedEntries, full: readonly InodeInfo[]): InodeInfo[] {
  const { contentTypes } = packed;
  const rows = new ByteReader(packed.rows ?? new Uint8Array(0));
  const types = ["", ...(contentTypes ?? [])];
  const prefix = path === "/" ? "/" : `${path}/`;
  let told = 0;
  const unpacked = namesOf(packed).map((name) => {
    const kind = rows.u8();
    if (kind === ROW.plainFile) return readFile(rows, prefix + name, undefined);
    if (kind === ROW.file) return readFile(rows, prefix + name, types);
    if (kind !== ROW.entry) throw broken(`a row of kind ${kind}`);
    return expected(full[told++], "entry");
  });
  if (0 < rows.remaining) throw broken("more rows than names");
  return unpacked;
}

function namesOf({ names }: PackedEntries): string[] {
  return names == null || names.byteLength === 0 ? [] : decoder.decode(names).split("/");
}

/** @param types  Content types, if the row says which. */
function readFile(rows: ByteReader, path: string, types: readonly string[] | undefined): InodeInfo {
  rows.u53(); // the inode's number, which users are not shown
  const sizeBytes = rows.u53();
  const crc32c = rows.u32();
  const chunkBytes = rows.u32();
  const replicas = rows.u8();
  const revision = rows.u53();
  const createdAtMs = rows.u53();
  const modifiedAtMs = rows.u53();
  const chunkCount = rows.u53();
  const expiresAtMs = types === undefined ? 0 : rows.u53();
  const contentType = types === undefined ? "" : expected(types[rows.u8()], "content type");
  return {
    path,
    kind: "file",
    sizeBytes,
    revision,
    createdAtMs,
    modifiedAtMs,
    crc32c,
    chunkBytes,
    replicas,
    chunkCount,
    isUneven: false,
    code: undefined,
    contentType,
    metadata: NO_LABELS,
    tags: NO_LABELS,
    expiresAtMs,
    usage: undefined,
    quota: NO_QUOTA,
    policy: NO_POLICY,
  };
}
