// Proposal ⇄ bytes: docs/formats/command.md. The same proposal gives the same bytes everywhere, and
// bytes that no master could have written are refused with CORRUPT.

import {
  type ByteReader,
  type ByteWriter,
  chunkHandle,
  inodeId,
  serverId,
  sessionId,
  wallMs,
} from "@lumeofs/base";
import { readCode, readSealed, SEALED_BYTES, writeCode, writeSealed } from "./coding-codec.js";
import type {
  Command,
  EditCommand,
  InlineContent,
  NameCommand,
  Precondition,
  Proposal,
  RequestId,
  WriteCommand,
} from "./command.js";
import { KIND } from "./command-kind.js";
import { readDuty, writeDuty } from "./duty-codec.js";
import {
  corrupt,
  encodeValue,
  readFlag,
  readId,
  readIds,
  readLabels,
  readList,
  readText,
  readWhole,
  writeFlag,
  writeLabels,
  writeList,
  writeNumber,
  writeText,
} from "./fields.js";
import { writeInlineRecord } from "./inline-table.js";
import type { Fence } from "./locks.js";
import { readPolicyChange, readSetting, writePolicyChange, writeSetting } from "./policy-codec.js";

const PRECONDITION = { none: 0, absent: 1, revision: 2 } as const;
/** Version 4: a commit may bring the bytes of its file. */
const PROPOSAL_VERSION = 4;
const INLINE = { none: 0, kept: 1, offered: 1, refused: 2 } as const;

/** The bytes of a log entry. */
export function encodeProposal(proposal: Proposal): Uint8Array {
  return encodeValue(proposal, writeProposal, PROPOSAL_VERSION);
}

function writeProposal(writer: ByteWriter, { at, request, command }: Proposal): void {
  writeFlag(writer.u53(at), request !== undefined);
  if (request !== undefined) {
    writer.u53(request.session).u53(request.sequence).u53(request.answeredBelow);
  }
  writeCommand(writer.u8(KIND[command.kind]), command);
}

/** @throws LumeoError CORRUPT if these bytes are no proposal. */
export function decodeProposal(bytes: Uint8Array): Proposal {
  return readWhole("proposal", bytes, readProposal, PROPOSAL_VERSION);
}

function readProposal(r: ByteReader): Proposal {
  const at = wallMs(r.u53());
  const request = readFlag(r) ? readRequest(r) : undefined;
  return { at, request, command: readCommand(r) };
}

function writeCommand(w: ByteWriter, command: Command): void {
  switch (command.kind) {
    case "openSession":
      return;
    case "allocate":
      w.u8(command.handles);
      return writeList(w, command.placements, (to, members) => writeList(to, members, writeNumber));
    case "beginUpload":
      return writeText(w, command.path);
    case "addChunks":
      w.u53(command.upload).u53(command.first);
      return writeList(w, command.chunks, writeSealed);
    case "abortUpload":
      return writeNumber(w, command.upload);
    case "abandonChunks":
      return writeList(w, command.handles, writeNumber);
    case "commit":
      return writeCommit(w, command);
    case "editFile":
      return writeEdit(w, command);
    case "makeDirectory":
      writeText(w, command.path);
      return writeFlag(w, command.parents);
    case "rename":
      writeText(w, command.source);
      writeText(w, command.target);
      writeFlag(w, command.overwrite);
      return writeFence(w, command.fence);
    case "copy":
      return writeCopy(w, command);
    case "remove":
      writeText(w, command.path);
      writeFlag(w, command.recursive);
      writePrecondition(w, command.precondition);
      writeFlag(w, command.skipTrash);
      return writeFence(w, command.fence);
    case "setAttributes":
      return writeAttributesChange(w, command);
    default:
      return writeDirectoryCommand(w, command);
  }
}

/** Also what goes on to the codec of duties. */
function writeDirectoryCommand(
  w: ByteWriter,
  command: Exclude<Command, WriteCommand | EditCommand | NameCommand>,
): void {
  switch (command.kind) {
    case "setPolicy":
      writeText(w, command.path);
      return writePolicyChange(w, command.policy);
    case "setQuota":
      writeText(w, command.path);
      writeSetting(w, command.quota.sizeBytes);
      return writeSetting(w, command.quota.files);
    case "createSnapshot":
    case "removeSnapshot":
      writeText(w, command.path);
      return writeText(w, command.name);
    case "restoreTrash":
      w.u53(command.id);
      return writeText(w, command.target ?? "");
    case "purgeTrash":
      return writeList(w, command.ids, writeNumber);
    case "removeVersion":
      return writeText(w.u53(command.version).u53(command.ended), command.path);
    case "acquireLock":
      writeText(w.u53(command.ttlMs), command.name);
      return writeText(w, command.holder);
    case "renewLock":
      return writeText(w.u53(command.token).u53(command.ttlMs), command.name);
    case "releaseLock":
      return writeText(w.u53(command.token), command.name);
    default:
      return writeDuty(w, command);
  }
}

function readCommand(r: ByteReader): Command {
  const kind = r.u8();
  switch (kind) {
    case KIND.openSession:
      return { kind: "openSession" };
    case KIND.allocate: {
      const handles = r.u8();
      const placements = readList(r, 4, (from) => readIds(from, serverId));
      return { kind: "allocate", placements, handles };
    }
    case KIND.beginUpload:
      return { kind: "beginUpload", path: readText(r) };
    case KIND.addChunks:
      return {
        kind: "addChunks",
        upload: readId(r, inodeId),
        first: r.u53(),
        chunks: readList(r, SEALED_BYTES, readSealed),
      };
    case KIND.abortUpload:
      return { kind: "abortUpload", upload: readId(r, inodeId) };
    case KIND.abandonChunks:
      return { kind: "abandonChunks", handles: readIds(r, chunkHandle) };
    case KIND.commit:
      return readCommit(r);
    case KIND.editFile:
      return readEdit(r);
    case KIND.makeDirectory:
      return { kind: "makeDirectory", path: readText(r), parents: readFlag(r) };
    case KIND.rename:
      return {
        kind: "rename",
        source: readText(r),
        target: readText(r),
        overwrite: readFlag(r),
        fence: readFence(r),
      };
    case KIND.copy:
      return readCopy(r);
    case KIND.remove:
      return {
        kind: "remove",
        path: readText(r),
        recursive: readFlag(r),
        precondition: readPrecondition(r),
        skipTrash: readFlag(r),
        fence: readFence(r),
      };
    case KIND.setAttributes:
      return readAttributesChange(r);
    default:
      return readDirectoryCommand(r, kind);
  }
}

function readDirectoryCommand(r: ByteReader, kind: number): Command {
  switch (kind) {
    case KIND.setPolicy:
      return { kind: "setPolicy", path: readText(r), policy: readPolicyChange(r) };
    case KIND.setQuota: {
      const path = readText(r);
      const sizeBytes = readSetting(r);
      return { kind: "setQuota", path, quota: { sizeBytes, files: readSetting(r) } };
    }
    case KIND.createSnapshot:
      return { kind: "createSnapshot", path: readText(r), name: readText(r) };
    case KIND.removeSnapshot:
      return { kind: "removeSnapshot", path: readText(r), name: readText(r) };
    case KIND.restoreTrash: {
      const id = r.u53();
      const target = readText(r);
      return { kind: "restoreTrash", id, target: target === "" ? undefined : target };
    }
    case KIND.purgeTrash:
      return { kind: "purgeTrash", ids: readList(r, 8, (from) => from.u53()) };
    case KIND.removeVersion: {
      const version = r.u53();
      const ended = r.u53();
      return { kind: "removeVersion", path: readText(r), version, ended };
    }
    case KIND.acquireLock: {
      const ttlMs = r.u53();
      return { kind: "acquireLock", name: readText(r), holder: readText(r), ttlMs };
    }
    case KIND.renewLock: {
      const token = r.u53();
      const ttlMs = r.u53();
      return { kind: "renewLock", name: readText(r), token, ttlMs };
    }
    case KIND.releaseLock: {
      const token = r.u53();
      return { kind: "releaseLock", name: readText(r), token };
    }
    default:
      return readDuty(r, kind);
  }
}

function writeCommit(w: ByteWriter, command: Extract<Command, { kind: "commit" }>): void {
  writeText(w, command.path);
  w.u53(command.upload ?? 0);
  writeList(w, command.chunks, writeSealed);
  w.u32(command.chunkSizeBytes).u8(command.replicas).u32(command.crc32c);
  writePrecondition(w, command.precondition);
  writeFlag(w, command.makeParents);
  writeText(w, command.contentType);
  writeLabels(w, command.metadata);
  writeLabels(w, command.tags);
  writeOptional(w, command.ttlMs);
  writeFence(w, command.fence);
  writeFlag(w, command.code !== undefined);
  if (command.code !== undefined) writeCode(w, command.code);
  writeInline(w, command.inline);
}

function writeInline(w: ByteWriter, inline: InlineContent | undefined): void {
  w.u8(INLINE[inline?.kind ?? "none"]);
  if (inline?.kind === "kept") w.u53(inline.totalBytesMax).sized(inline.record);
  if (inline?.kind === "offered") writeInlineRecord(w.u53(inline.totalBytesMax), inline.bytes);
  if (inline?.kind === "refused") writeText(w, inline.why);
}

/** The record is a view of the proposal's bytes. */
function readInline(r: ByteReader): InlineContent | undefined {
  const kind = r.u8();
  if (kind === INLINE.none) return undefined;
  if (kind === INLINE.kept) return { kind: "kept", totalBytesMax: r.u53(), record: r.sized() };
  if (kind === INLINE.refused) return { kind: "refused", why: readText(r) };
  throw corrupt("inline content", `its kind is ${kind}`);
}

function readCommit(r: ByteReader): Command {
  const path = readText(r);
  const upload = r.u53();
  return {
    kind: "commit",
    path,
    upload: upload === 0 ? undefined : inodeId(upload),
    chunks: readList(r, SEALED_BYTES, readSealed),
    chunkSizeBytes: r.u32(),
    replicas: r.u8(),
    crc32c: r.u32(),
    precondition: readPrecondition(r),
    makeParents: readFlag(r),
    contentType: readText(r),
    metadata: readLabels(r),
    tags: readLabels(r),
    ttlMs: readOptional(r),
    fence: readFence(r),
    code: readFlag(r) ? readCode(r) : undefined,
    inline: readInline(r),
  };
}

function writeEdit(w: ByteWriter, command: EditCommand): void {
  writeText(w, command.path);
  w.u53(command.revision).u53(command.keep);
  writeList(w, command.replaced, (to, { position, chunk }) => writeSealed(to.u53(position), chunk));
  writeList(w, command.appended, writeSealed);
  writeFence(w, command.fence);
}

function readEdit(r: ByteReader): Command {
  return {
    kind: "editFile",
    path: readText(r),
    revision: r.u53(),
    keep: r.u53(),
    replaced: readList(r, 8 + SEALED_BYTES, (from) => ({
      position: from.u53(),
      chunk: readSealed(from),
    })),
    appended: readList(r, SEALED_BYTES, readSealed),
    fence: readFence(r),
  };
}

function writeCopy(w: ByteWriter, command: Extract<Command, { kind: "copy" }>): void {
  writeText(w, command.source);
  w.u53(command.sourceInode ?? 0);
  writeText(w, command.target);
  writeFlag(w, command.overwrite);
  writeFlag(w, command.makeParents);
  writePrecondition(w, command.precondition);
  writeFence(w, command.fence);
}

function readCopy(r: ByteReader): Command {
  const source = readText(r);
  const inode = r.u53();
  return {
    kind: "copy",
    source,
    sourceInode: inode === 0 ? undefined : inodeId(inode),
    target: readText(r),
    overwrite: readFlag(r),
    makeParents: readFlag(r),
    precondition: readPrecondition(r),
    fence: readFence(r),
  };
}

function writeAttributesChange(
  w: ByteWriter,
  command: Extract<Command, { kind: "setAttributes" }>,
): void {
  writeText(w, command.path);
  writeLabels(w, command.setMetadata);
  writeList(w, command.removeMetadata, writeText);
  writeLabels(w, command.setTags);
  writeList(w, command.removeTags, writeText);
  writeFlag(w, command.contentType !== undefined);
  if (command.contentType !== undefined) writeText(w, command.contentType);
  writeOptional(w, command.ttlMs);
  writePrecondition(w, command.precondition);
}

function readAttributesChange(r: ByteReader): Command {
  return {
    kind: "setAttributes",
    path: readText(r),
    setMetadata: readLabels(r),
    removeMetadata: readList(r, 4, readText),
    setTags: readLabels(r),
    removeTags: readList(r, 4, readText),
    contentType: readFlag(r) ? readText(r) : undefined,
    ttlMs: readOptional(r),
    precondition: readPrecondition(r),
  };
}

/** One byte for a number that is not there. */
function writeOptional(w: ByteWriter, value: number | undefined): void {
  writeFlag(w, value !== undefined);
  if (value !== undefined) w.u53(value);
}

function readOptional(r: ByteReader): number | undefined {
  return readFlag(r) ? r.u53() : undefined;
}

function writeFence(w: ByteWriter, fence: Fence | undefined): void {
  writeFlag(w, fence !== undefined);
  if (fence !== undefined) writeText(w.u53(fence.token), fence.lock);
}

function readFence(r: ByteReader): Fence | undefined {
  if (!readFlag(r)) return undefined;
  const token = r.u53();
  return { lock: readText(r), token };
}

function readRequest(r: ByteReader): RequestId {
  return { session: readId(r, sessionId), sequence: r.u53(), answeredBelow: r.u53() };
}

function writePrecondition(w: ByteWriter, precondition: Precondition): void {
  w.u8(PRECONDITION[precondition.kind]);
  if (precondition.kind === "revision") w.u53(precondition.revision);
}

function readPrecondition(r: ByteReader): Precondition {
  const kind = r.u8();
  if (kind === PRECONDITION.none) return { kind: "none" };
  if (kind === PRECONDITION.absent) return { kind: "absent" };
  if (kind === PRECONDITION.revision) return { kind: "revision", revision: r.u53() };
  throw corrupt("precondition", `its kind is ${kind}`);
}
