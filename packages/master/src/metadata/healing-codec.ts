// Commands about jobs, moves and nodes ⇄ bytes: docs/formats/command.md.

import { type ByteReader, type ByteWriter, chunkHandle, inodeId, serverId } from "@lumeofs/base";
import { readOptionalCode, readSealed, writeOptionalCode, writeSealed } from "./coding-codec.js";
import type { Command, HealingCommand, TailCommand } from "./command.js";
import { KIND } from "./command-kind.js";
import type { FileCode } from "./conversions.js";
import {
  corrupt,
  readFlag,
  readId,
  readIds,
  readLabels,
  readList,
  readText,
  writeFlag,
  writeLabels,
  writeList,
  writeNumber,
  writeText,
} from "./fields.js";
import {
  jobId,
  jobKindNumber,
  jobKindOf,
  jobStateNumber,
  jobStateOf,
  readConversion,
  withConversion,
  writeConversion,
} from "./jobs.js";
import type { MoveEnd, NewMove } from "./moves.js";
import { standingNumber, standingOfNumber } from "./nodes.js";
import { readTailCommand, writeTailCommand } from "./tail-codec.js";

const OUTCOME = ["moved", "failed", "dropped"] as const;
const MOVE_BYTES = 32;
const END_BYTES = 9;
const FILE_CODE_BYTES = 22;

/** Also what goes on to the codec of tails. */
export function writeHealing(w: ByteWriter, command: HealingCommand | TailCommand): void {
  switch (command.kind) {
    case "createJob":
      w.u8(jobKindNumber(command.job)).u53(command.subject ?? 0);
      return writeConversion(w, command.conversion);
    case "changeJob":
      return writeText(w.u53(command.job).u8(jobStateNumber(command.to)), command.note);
    case "noteJob":
      w.u53(command.job).u53(command.total.chunks).u53(command.total.bytes);
      return writeText(w.u53(command.failures ?? 0), command.note);
    case "dropJobs":
      return writeList(w, command.jobs, writeNumber);
    case "beginMoves":
      return writeList(w, command.moves, writeMove);
    case "endMoves":
      return writeList(w, command.moves, writeEnd);
    case "changeNode":
      writeText(w, command.name);
      writeFlag(w, command.standing !== undefined);
      if (command.standing !== undefined) w.u8(standingNumber(command.standing));
      writeLabels(w, command.setLabels);
      return writeList(w, command.removeLabels, writeText);
    case "replaceChunk":
      return writeSealed(w.u53(command.job).u53(command.handle), command.chunk);
    case "setFileCodes":
      return writeList(w, command.files, writeFileCode);
    default:
      writeTailCommand(w, command);
  }
}

export function readHealing(r: ByteReader, kind: number): Command {
  switch (kind) {
    case KIND.createJob: {
      const job = jobKindOf(r.u8());
      const server = r.u53();
      const subject = server === 0 ? undefined : serverId(server);
      return { kind: "createJob", job, subject, ...withConversion(readConversion(r)) };
    }
    case KIND.changeJob:
      return {
        kind: "changeJob",
        job: readId(r, jobId),
        to: jobStateOf(r.u8()),
        note: readText(r),
      };
    case KIND.noteJob: {
      const job = readId(r, jobId);
      const total = { chunks: r.u53(), bytes: r.u53() };
      const failures = r.u53();
      const note = readText(r);
      return { kind: "noteJob", job, total, note, ...(failures === 0 ? {} : { failures }) };
    }
    case KIND.dropJobs:
      return { kind: "dropJobs", jobs: readIds(r, jobId) };
    case KIND.beginMoves:
      return { kind: "beginMoves", moves: readList(r, MOVE_BYTES, readMove) };
    case KIND.endMoves:
      return { kind: "endMoves", moves: readList(r, END_BYTES, readEnd) };
    case KIND.changeNode: {
      const name = readText(r);
      const standing = readFlag(r) ? standingOfNumber(r.u8()) : undefined;
      const setLabels = readLabels(r);
      return { kind: "changeNode", name, standing, setLabels, removeLabels: readTexts(r) };
    }
    case KIND.replaceChunk: {
      const job = readId(r, jobId);
      return { kind: "replaceChunk", job, handle: readId(r, chunkHandle), chunk: readSealed(r) };
    }
    case KIND.setFileCodes:
      return { kind: "setFileCodes", files: readList(r, FILE_CODE_BYTES, readFileCode) };
    default:
      return readTailCommand(r, kind);
  }
}

function writeMove(w: ByteWriter, { handle, job, target, leaving }: NewMove): void {
  w.u53(handle)
    .u53(job)
    .u53(target)
    .u53(leaving ?? 0);
}

function readMove(r: ByteReader): NewMove {
  const handle = readId(r, chunkHandle);
  const job = readId(r, jobId);
  const target = readId(r, serverId);
  const leaving = r.u53();
  return { handle, job, target, leaving: leaving === 0 ? undefined : serverId(leaving) };
}

function writeEnd(w: ByteWriter, { handle, outcome }: MoveEnd): void {
  w.u53(handle).u8(OUTCOME.indexOf(outcome));
}

function readEnd(r: ByteReader): MoveEnd {
  const handle = readId(r, chunkHandle);
  const number = r.u8();
  const outcome = OUTCOME[number];
  if (outcome === undefined) throw corrupt("end of a move", `its outcome is ${number}`);
  return { handle, outcome };
}

function writeFileCode(w: ByteWriter, file: FileCode): void {
  writeText(w.u53(file.parent).u53(file.inode), file.name);
  writeOptionalCode(w, file.code);
  w.u8(file.replicas ?? 0);
}

function readFileCode(r: ByteReader): FileCode {
  const parent = readId(r, inodeId);
  const inode = readId(r, inodeId);
  const file = { parent, inode, name: readText(r), code: readOptionalCode(r) };
  const replicas = r.u8();
  return replicas === 0 ? file : { ...file, replicas };
}

function readTexts(r: ByteReader): readonly string[] {
  return readList(r, 4, readText);
}
