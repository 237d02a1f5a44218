// Proposal ⇄ bytes: docs/formats/command.md. The same proposal gives the same bytes everywhere, and
// bytes that no master could have written are refused with CORRUPT.

import {
  assertNever,
  type ByteReader,
  type ByteWriter,
  chunkHandle,
  epoch,
  grantId,
  inodeId,
  serverId,
  sessionId,
  wallMs,
} from "@lumeofs/base";
import type { Command, Precondition, Proposal, RequestId, SealedChunk } from "./command.js";
import {
  corrupt,
  encodeWhole,
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

const KIND = {
  openSession: 1,
  allocate: 2,
  beginUpload: 3,
  addChunks: 4,
  abortUpload: 5,
  commit: 6,
  makeDirectory: 7,
  rename: 8,
  remove: 9,
  registerServer: 10,
  reapDirectory: 11,
  reapFile: 12,
  expireGrants: 13,
  expireUploads: 14,
  expireSessions: 15,
  forgetChunks: 16,
  initCluster: 17,
} as const satisfies Record<Command["kind"], number>;

const PRECONDITION = { none: 0, absent: 1, revision: 2 } as const;
const CHUNK_BYTES = 24;

/** The bytes of a log entry. */
export function encodeProposal(proposal: Proposal): Uint8Array {
  const { at, request, command } = proposal;
  return encodeWhole((writer) => {
    writeFlag(writer.u53(at), request !== undefined);
    if (request !== undefined) {
      writer.u53(request.session).u53(request.sequence).u53(request.answeredBelow);
    }
    writeCommand(writer.u8(KIND[command.kind]), command);
  });
}

/** @throws LumeoError CORRUPT if these bytes are no proposal. */
export function decodeProposal(bytes: Uint8Array): Proposal {
  return readWhole("proposal", bytes, (r) => ({
    at: wallMs(r.u53()),
    request: readFlag(r) ? readRequest(r) : undefined,
    command: readCommand(r),
  }));
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
      return writeList(w, command.chunks, writeChunk);
    case "abortUpload":
      return writeNumber(w, command.upload);
    case "commit":
      return writeCommit(w, command);
    case "makeDirectory":
      writeText(w, command.path);
      return writeFlag(w, command.parents);
    case "rename":
      writeText(w, command.source);
      writeText(w, command.target);
      return writeFlag(w, command.overwrite);
    case "remove":
      writeText(w, command.path);
      writeFlag(w, command.recursive);
      return writePrecondition(w, command.precondition);
    case "registerServer":
      writeText(w, command.name);
      writeText(w, command.storeUuid);
      writeText(w, command.dataAddress);
      writeText(w, command.controlAddress);
      return writeLabels(w, command.labels);
    case "reapDirectory":
      w.u53(command.directory);
      return writeList(w, command.names, writeText);
    case "reapFile":
      w.u53(command.inode).u32(command.pages);
      return;
    case "expireGrants":
      writeList(w, command.grants, writeNumber);
      return writeNumber(w, command.unusedSince);
    case "expireUploads":
      writeList(w, command.uploads, writeNumber);
      return writeNumber(w, command.unusedSince);
    case "expireSessions":
      writeList(w, command.sessions, writeNumber);
      return writeNumber(w, command.unusedSince);
    case "forgetChunks":
      return writeList(w, command.handles, writeNumber);
    case "initCluster":
      return writeText(w, command.clusterId);
    default:
      assertNever(command);
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
        chunks: readList(r, CHUNK_BYTES, readChunk),
      };
    case KIND.abortUpload:
      return { kind: "abortUpload", upload: readId(r, inodeId) };
    case KIND.commit:
      return readCommit(r);
    case KIND.makeDirectory:
      return { kind: "makeDirectory", path: readText(r), parents: readFlag(r) };
    case KIND.rename:
      return {
        kind: "rename",
        source: readText(r),
        target: readText(r),
        overwrite: readFlag(r),
      };
    case KIND.remove:
      return {
        kind: "remove",
        path: readText(r),
        recursive: readFlag(r),
        precondition: readPrecondition(r),
      };
    case KIND.registerServer:
      return {
        kind: "registerServer",
        name: readText(r),
        storeUuid: readText(r),
        dataAddress: readText(r),
        controlAddress: readText(r),
        labels: readLabels(r),
      };
    default:
      return readDuty(r, kind);
  }
}

function readDuty(r: ByteReader, kind: number): Command {
  switch (kind) {
    case KIND.reapDirectory:
      return {
        kind: "reapDirectory",
        directory: readId(r, inodeId),
        names: readList(r, 4, readText),
      };
    case KIND.reapFile:
      return { kind: "reapFile", inode: readId(r, inodeId), pages: r.u32() };
    case KIND.expireGrants:
      return { kind: "expireGrants", grants: readIds(r, grantId), unusedSince: wallMs(r.u53()) };
    case KIND.expireUploads:
      return { kind: "expireUploads", uploads: readIds(r, inodeId), unusedSince: wallMs(r.u53()) };
    case KIND.expireSessions: {
      const sessions = readIds(r, sessionId);
      return { kind: "expireSessions", sessions, unusedSince: wallMs(r.u53()) };
    }
    case KIND.forgetChunks:
      return { kind: "forgetChunks", handles: readIds(r, chunkHandle) };
    case KIND.initCluster:
      return { kind: "initCluster", clusterId: readText(r) };
    default:
      throw corrupt("proposal", `its kind is ${kind}`);
  }
}

function writeCommit(w: ByteWriter, command: Extract<Command, { kind: "commit" }>): void {
  writeText(w, command.path);
  w.u53(command.upload ?? 0);
  writeList(w, command.chunks, writeChunk);
  w.u32(command.chunkSizeBytes).u8(command.replicas).u32(command.crc32c);
  writePrecondition(w, command.precondition);
  writeFlag(w, command.makeParents);
}

function readCommit(r: ByteReader): Command {
  const path = readText(r);
  const upload = r.u53();
  return {
    kind: "commit",
    path,
    upload: upload === 0 ? undefined : inodeId(upload),
    chunks: readList(r, CHUNK_BYTES, readChunk),
    chunkSizeBytes: r.u32(),
    replicas: r.u8(),
    crc32c: r.u32(),
    precondition: readPrecondition(r),
    makeParents: readFlag(r),
  };
}

function readRequest(r: ByteReader): RequestId {
  return { session: readId(r, sessionId), sequence: r.u53(), answeredBelow: r.u53() };
}

function writeChunk(w: ByteWriter, chunk: SealedChunk): void {
  w.u53(chunk.handle).u53(chunk.epoch).u32(chunk.lengthBytes).u32(chunk.crc32c);
}

function readChunk(r: ByteReader): SealedChunk {
  return {
    handle: readId(r, chunkHandle),
    epoch: readId(r, epoch),
    lengthBytes: r.u32(),
    crc32c: r.u32(),
  };
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
