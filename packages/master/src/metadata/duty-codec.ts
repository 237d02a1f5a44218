// Commands of the fleet and of the leader's duties ⇄ bytes: docs/formats/command.md.

import {
  type ByteReader,
  type ByteWriter,
  chunkHandle,
  grantId,
  inodeId,
  sessionId,
  TOKEN_SECRET_BYTES,
  wallMs,
} from "@lumeofs/base";
import type {
  Command,
  DueFile,
  DutyCommand,
  FleetCommand,
  HealingCommand,
  TailCommand,
} from "./command.js";
import { KIND } from "./command-kind.js";
import {
  readId,
  readIds,
  readLabels,
  readList,
  readText,
  writeLabels,
  writeList,
  writeNumber,
  writeText,
} from "./fields.js";
import { readHealing, writeHealing } from "./healing-codec.js";
import type { ChangePosition, HistoryId } from "./keys.js";

/** Also what goes on to the codec of healing. */
export function writeDuty(
  w: ByteWriter,
  command: FleetCommand | DutyCommand | HealingCommand | TailCommand,
): void {
  switch (command.kind) {
    case "registerServer":
      writeText(w, command.name);
      writeText(w, command.storeUuid);
      writeText(w, command.dataAddress);
      writeText(w, command.controlAddress);
      return writeLabels(w, command.labels);
    case "reapDirectory":
      w.u53(command.directory);
      writeList(w, command.names, writeText);
      writeList(w, command.history, (to, { name, ended }) => writeText(to.u53(ended), name));
      return writeList(w, command.snapshots, writeText);
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
    case "expireFiles":
      return writeList(w, command.files, writeDueFile);
    case "expireLocks":
      return writeList(w, command.names, writeText);
    case "dropHistory":
      return writeList(w, command.records, writeHistoryId);
    case "trimChanges":
      w.u53(command.floor);
      return writeList(w, command.changes, writePosition);
    case "addTokenKey":
      w.u32(command.after).bytes(command.secret);
      return;
    case "checkState":
      return;
    default:
      writeHealing(w, command);
  }
}

export function readDuty(r: ByteReader, kind: number): Command {
  switch (kind) {
    case KIND.registerServer:
      return {
        kind: "registerServer",
        name: readText(r),
        storeUuid: readText(r),
        dataAddress: readText(r),
        controlAddress: readText(r),
        labels: readLabels(r),
      };
    case KIND.reapDirectory:
      return {
        kind: "reapDirectory",
        directory: readId(r, inodeId),
        names: readList(r, 4, readText),
        history: readList(r, 12, (from) => ({ ended: from.u53(), name: readText(from) })),
        snapshots: readList(r, 4, readText),
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
    case KIND.expireFiles:
      return { kind: "expireFiles", files: readList(r, 28, readDueFile) };
    case KIND.expireLocks:
      return { kind: "expireLocks", names: readList(r, 4, readText) };
    case KIND.dropHistory:
      return { kind: "dropHistory", records: readList(r, 20, readHistoryId) };
    case KIND.trimChanges: {
      const floor = r.u53();
      return { kind: "trimChanges", changes: readList(r, 12, readPosition), floor };
    }
    case KIND.addTokenKey: {
      const after = r.u32();
      return { kind: "addTokenKey", after, secret: r.bytes(TOKEN_SECRET_BYTES).slice() };
    }
    case KIND.checkState:
      return { kind: "checkState" };
    default:
      return readHealing(r, kind);
  }
}

function writeDueFile(w: ByteWriter, { at, parent, name, inode }: DueFile): void {
  writeText(w.u53(at).u53(parent).u53(inode), name);
}

function readDueFile(r: ByteReader): DueFile {
  const at = wallMs(r.u53());
  const parent = readId(r, inodeId);
  return { at, parent, inode: readId(r, inodeId), name: readText(r) };
}

function writeHistoryId(w: ByteWriter, { parent, name, ended }: HistoryId): void {
  writeText(w.u53(parent).u53(ended), name);
}

function readHistoryId(r: ByteReader): HistoryId {
  return { parent: readId(r, inodeId), ended: r.u53(), name: readText(r) };
}

function writePosition(w: ByteWriter, { revision, sequence }: ChangePosition): void {
  w.u53(revision).u32(sequence);
}

function readPosition(r: ByteReader): ChangePosition {
  return { revision: r.u53(), sequence: r.u32() };
}
