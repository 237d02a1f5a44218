// Files and directories as the masters describe them, and what is asked of them: proto ⇄ the SDK's
// own words.

import { lumeo } from "@lumeofs/proto";
import type {
  AttributeChanges,
  Attributes,
  Fence,
  InodeInfo,
  Policy,
  PolicyChanges,
  Precondition,
  Quota,
  QuotaChanges,
  Usage,
} from "../operations.js";
import {
  decodeCode,
  decodeCodePolicy,
  decodeFallback,
  encodeCodePolicy,
  encodeFallback,
} from "./coding-wire.js";
import { broken, expected } from "./wire-fields.js";

const { FileKind } = lumeo.master.v1;

/** No precondition is no message. */
export function encodePrecondition(
  precondition: Precondition,
): lumeo.master.v1.Precondition.$Properties | null {
  switch (precondition.kind) {
    case "none":
      return null;
    case "absent":
      return { absent: true };
    case "revision":
      return { revision: precondition.revision };
  }
}

/** No fence is no message. */
export function encodeFence(fence: Fence | undefined): lumeo.master.v1.Fence.$Properties | null {
  return fence === undefined ? null : { ...fence };
}

/** The fields of a commit that carry attributes. */
export function encodeAttributes(
  attributes: Attributes,
): Pick<lumeo.master.v1.Commit.$Properties, "contentType" | "metadata" | "tags" | "ttlMs"> {
  const { contentType, metadata, tags, ttlMs } = attributes;
  return {
    contentType,
    metadata: encodeLabels(metadata),
    tags: encodeLabels(tags),
    ttlMs: ttlMs ?? null,
  };
}

/** No labels are no message. */
function encodeLabels(labels: Readonly<Record<string, string>>): Record<string, string> | null {
  for (const _ in labels) return { ...labels };
  return null;
}

/** The fields of a change of attributes: null takes a key away. */
export function encodeChanges(
  changes: AttributeChanges,
): lumeo.master.v1.SetAttributes.$Properties {
  const metadata = splitChanges(changes.metadata);
  const tags = splitChanges(changes.tags);
  const { contentType, ttlMs } = changes;
  return {
    setMetadata: metadata.set,
    removeMetadata: metadata.removed,
    setTags: tags.set,
    removeTags: tags.removed,
    ...(contentType === undefined ? {} : { contentType }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
  };
}

function splitChanges(changes: Readonly<Record<string, string | null>>): {
  readonly set: Record<string, string>;
  readonly removed: string[];
} {
  const set: Record<string, string> = {};
  const removed: string[] = [];
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) removed.push(key);
    else set[key] = value;
  }
  return { set, removed };
}

/** Most have none: no object is made for each. */
const NO_QUOTA: Quota = Object.freeze({});
const NO_POLICY: Policy = Object.freeze({});

/** A file or directory. */
export function decodeInfo(info: lumeo.master.v1.FileInfo.$Properties): InodeInfo {
  return {
    path: expected(info.path, "path"),
    kind: decodeKind(info.kind),
    sizeBytes: info.sizeBytes ?? 0,
    revision: info.revision ?? 0,
    createdAtMs: info.createdAtMs ?? 0,
    modifiedAtMs: info.modifiedAtMs ?? 0,
    crc32c: info.crc32c ?? 0,
    chunkBytes: info.chunkSizeBytes ?? 0,
    replicas: info.replicas ?? 0,
    code: info.code == null ? undefined : decodeCode(info.code),
    chunkCount: info.chunkCount ?? 0,
    isUneven: info.unevenChunks ?? false,
    contentType: info.contentType ?? "",
    metadata: info.metadata ?? {},
    tags: info.tags ?? {},
    expiresAtMs: info.expiresAtMs ?? 0,
    usage: info.usage == null ? undefined : decodeUsage(info.usage),
    quota: info.quota == null ? NO_QUOTA : decodeQuota(info.quota),
    policy: info.policy == null ? NO_POLICY : decodePolicy(info.policy),
  };
}

/** What lies below a directory. */
export function decodeUsage(usage: lumeo.master.v1.Usage.$Properties): Usage {
  const { sizeBytes, files, directories } = usage;
  return { bytes: sizeBytes ?? 0, files: files ?? 0, directories: directories ?? 0 };
}

/** A limit that is absent does not limit. */
/** What is absent is kept; what is null is neither set nor kept. */
export function encodeQuota({ bytes, files }: QuotaChanges): SettingsWire<"quota"> {
  return {
    quota: {
      ...(bytes == null ? {} : { sizeBytes: bytes }),
      ...(files == null ? {} : { files }),
    },
    kept: { bytes: bytes === undefined, files: files === undefined },
  };
}

/** The same. */
export function encodePolicy(changes: PolicyChanges): SettingsWire<"policy"> {
  const { replicas, versions, trashMs, ttlMs, code, codeAfterMs, codeFallback } = changes;
  return {
    policy: {
      ...(replicas == null ? {} : { replicas }),
      ...(versions == null ? {} : { versions }),
      ...(trashMs == null ? {} : { trashMs }),
      ...(ttlMs == null ? {} : { ttlMs }),
      ...(code == null ? {} : { code: encodeCodePolicy(code) }),
      ...(codeAfterMs == null ? {} : { codeAfterMs }),
      ...(codeFallback == null ? {} : { codeFallback: encodeFallback(codeFallback) }),
    },
    kept: {
      replicas: replicas === undefined,
      versions: versions === undefined,
      trashMs: trashMs === undefined,
      ttlMs: ttlMs === undefined,
      code: code === undefined,
      codeAfterMs: codeAfterMs === undefined,
      codeFallback: codeFallback === undefined,
    },
  };
}

type SettingsWire<Kind extends "policy" | "quota"> = Omit<
  Kind extends "policy"
    ? lumeo.master.v1.SetPolicy.$Properties
    : lumeo.master.v1.SetQuota.$Properties,
  "path"
>;

function decodeQuota({ sizeBytes, files }: lumeo.master.v1.Quota.$Properties): Quota {
  return {
    ...(sizeBytes == null ? {} : { bytes: sizeBytes }),
    ...(files == null ? {} : { files }),
  };
}

/** What a directory says, or what holds there. */
export function decodePolicy(policy: lumeo.master.v1.Policy.$Properties): Policy {
  const { replicas, versions, trashMs, ttlMs, code, codeAfterMs } = policy;
  const codeFallback = decodeFallback(policy.codeFallback);
  return {
    ...(replicas == null ? {} : { replicas }),
    ...(versions == null ? {} : { versions }),
    ...(trashMs == null ? {} : { trashMs }),
    ...(ttlMs == null ? {} : { ttlMs }),
    ...(code == null ? {} : { code: decodeCodePolicy(code) }),
    ...(codeAfterMs == null ? {} : { codeAfterMs }),
    ...(codeFallback === undefined ? {} : { codeFallback }),
  };
}

/** @throws LumeoError PROTOCOL for a kind that this version does not know. */
export function decodeKind(kind: lumeo.master.v1.FileKind | null | undefined): InodeInfo["kind"] {
  if (kind === FileKind.FILE_KIND_FILE) return "file";
  if (kind === FileKind.FILE_KIND_DIRECTORY) return "dir";
  throw broken(`file kind ${kind}`);
}
