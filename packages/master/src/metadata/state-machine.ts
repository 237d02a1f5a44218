// The replicated state machine: one log entry in, changes of the state and one reply out. What
// comes out depends on the state and the entry alone, so all masters stay equal.
//
// A1. A refused command changes nothing but the clock and its session.
// A2. A request that was answered before changes nothing and gets the same bytes again.
// A3. Work is bounded by the command's own size: no loop runs over what the state holds.

import { assertNever } from "@lumeofs/base";
import { setAttributes } from "./attribute-changes.js";
import { trimChanges } from "./changes.js";
import { getClusterId, initCluster, isSetUp } from "./cluster.js";
import {
  type Command,
  DONE,
  type DutyCommand,
  type HealingCommand,
  type KeptCommand,
  type LockCommand,
  type Reply,
  refuse,
  type SnapshotCommand,
  type TailCommand,
} from "./command.js";
import { decodeProposal } from "./command-codec.js";
import { replaceChunk, setFileCodes } from "./conversions.js";
import { copyFile } from "./copy.js";
import { advanceClock, noteCheck } from "./counters.js";
import { Draft } from "./draft.js";
import { expireFiles } from "./due-files.js";
import { editFile } from "./edit.js";
import { abandon, allocate, expireGrants } from "./grants.js";
import { dropHistory } from "./history.js";
import type { Moment } from "./inodes.js";
import { changeJob, createJob, dropJobs, noteJob } from "./jobs.js";
import { acquireLock, expireLocks, releaseLock, renewLock } from "./locks.js";
import { beginMoves, endMoves, forgetMovedChunks } from "./moves.js";
import { commitFile, makeDirectory, refuseTarget, remove, rename } from "./namespace.js";
import { changeNode } from "./nodes.js";
import { parsePath } from "./path.js";
import { reapDirectory, reapFile } from "./reap.js";
import { encodeReply } from "./reply-codec.js";
import { registerServer } from "./servers.js";
import { admit, expireSessions, openSession, recordAnswer } from "./sessions.js";
import { setPolicy, setQuota } from "./settings.js";
import { createSnapshot, removeSnapshot } from "./snapshots.js";
import type { State } from "./state.js";
import { activateTailEpoch, grantTailEpoch, openTail, salvageTail, sealTail } from "./tails.js";
import { addTokenKey } from "./token-keys.js";
import { purgeTrash, restoreTrash } from "./trash.js";
import { abortUpload, addChunks, beginUpload, expireUploads } from "./uploads.js";
import { removeVersion } from "./versions.js";
import { walk } from "./walk.js";

/**
 * Applies one committed entry.
 *
 * @param index Its place in the log; becomes the revision of what it changes.
 * @returns     The encoded reply: `decodeReply`.
 * @throws      LumeoError CORRUPT if the entry is no proposal: this master must stop.
 */
export function applyEntry(state: State, index: number, data: Uint8Array): Uint8Array {
  const proposal = decodeProposal(data);
  const at = advanceClock(state, proposal.at);
  const now: Moment = { index, at, emitted: { count: 0 } };
  const { request } = proposal;
  if (request === undefined) return encodeReply(applyCommand(state, proposal.command, now));
  const admission = admit(state, request);
  switch (admission.kind) {
    case "refused":
      return encodeReply(admission);
    case "answered":
      return admission.reply;
    case "fresh": {
      const reply = encodeReply(applyCommand(state, proposal.command, now));
      recordAnswer(state, { request, session: admission.session, reply, at: now.at });
      return reply;
    }
    default:
      return assertNever(admission);
  }
}

function applyCommand(state: State, command: Command, now: Moment): Reply {
  if (command.kind !== "initCluster" && !isSetUp(state)) {
    return refuse("UNAVAILABLE", "The cluster is being set up: try again in a moment");
  }
  const draft = new Draft(state);
  const reply = dispatch(draft, command, now);
  if (reply.kind !== "refused") draft.commitTo(state);
  return reply;
}

function dispatch(state: State, command: Command, now: Moment): Reply {
  switch (command.kind) {
    case "openSession":
      return { kind: "sessionOpened", session: openSession(state, now.at) };
    case "allocate":
      return allocate(state, { ...command, at: now.at });
    case "beginUpload":
      return begin(state, command.path, now);
    case "addChunks":
      return addChunks(state, command, now);
    case "abortUpload":
      abortUpload(state, command.upload);
      return DONE;
    case "abandonChunks":
      abandon(state, command.handles);
      return DONE;
    case "commit":
      return commitFile(state, command, now);
    case "editFile":
      return editFile(state, command, now);
    case "makeDirectory":
      return makeDirectory(state, command, now);
    case "rename":
      return rename(state, command, now);
    case "remove":
      return remove(state, command, now);
    case "copy":
      return copyFile(state, command, now);
    case "setAttributes":
      return setAttributes(state, command, now);
    case "setPolicy":
      return setPolicy(state, command, now);
    case "setQuota":
      return setQuota(state, command, now);
    case "registerServer": {
      const server = registerServer(state, command, now.at);
      return { kind: "registered", server, clusterId: getClusterId(state) ?? "" };
    }
    default:
      return dispatchKept(state, command, now);
  }
}

/** Also what goes on to the duties. */
function dispatchKept(
  state: State,
  command: KeptCommand | LockCommand | SnapshotCommand | TailCommand | HealingCommand | DutyCommand,
  now: Moment,
): Reply {
  switch (command.kind) {
    case "createSnapshot":
      return createSnapshot(state, command, now);
    case "removeSnapshot":
      return removeSnapshot(state, command);
    case "restoreTrash":
      return restoreTrash(state, command, now);
    case "purgeTrash":
      return purgeTrash(state, command.ids, now);
    case "removeVersion":
      return removeVersion(state, command, now);
    case "acquireLock":
      return acquireLock(state, command, now);
    case "renewLock":
      return renewLock(state, command, now);
    case "releaseLock":
      return releaseLock(state, command, now);
    case "openTail":
      return openTail(state, command, now);
    case "grantTailEpoch":
      return grantTailEpoch(state, command);
    case "activateTailEpoch":
      return activateTailEpoch(state, command);
    case "sealTail":
      return sealTail(state, command, now);
    case "salvageTail":
      return salvageTail(state, command, now);
    default:
      return dispatchHealing(state, command, now);
  }
}

function dispatchHealing(state: State, command: HealingCommand | DutyCommand, now: Moment): Reply {
  switch (command.kind) {
    case "createJob":
      return createJob(state, { ...command, kind: command.job }, now.at);
    case "changeJob":
      return changeJob(state, command, now.at);
    case "noteJob":
      noteJob(state, command);
      return DONE;
    case "dropJobs":
      dropJobs(state, command.jobs);
      return DONE;
    case "beginMoves":
      return beginMoves(state, command.moves);
    case "endMoves":
      endMoves(state, command.moves);
      return DONE;
    case "changeNode":
      return changeNode(state, command);
    case "replaceChunk":
      return replaceChunk(state, command, now);
    case "setFileCodes":
      return setFileCodes(state, command.files);
    default:
      dispatchDuty(state, command, now);
      return DONE;
  }
}

function dispatchDuty(state: State, command: DutyCommand, now: Moment): void {
  switch (command.kind) {
    case "reapDirectory":
      return reapDirectory(state, command, now);
    case "reapFile":
      return reapFile(state, command.inode, command.pages, now);
    case "expireGrants":
      return expireGrants(state, command.grants, command.unusedSince);
    case "expireUploads":
      return expireUploads(state, command);
    case "expireSessions":
      return expireSessions(state, command.sessions, command.unusedSince);
    case "forgetChunks":
      return forgetMovedChunks(state, command.handles);
    case "initCluster":
      return initCluster(state, command.clusterId, now);
    case "expireLocks":
      return expireLocks(state, command.names, now);
    case "trimChanges":
      return trimChanges(state, command);
    case "expireFiles":
      return expireFiles(state, command.files, now);
    case "dropHistory":
      return dropHistory(state, command.records, now);
    case "addTokenKey":
      return addTokenKey(state, command, now.at);
    case "checkState":
      return noteCheck(state, now.at);
    default:
      assertNever(command);
  }
}

function begin(state: State, text: string, now: Moment): Reply {
  const path = parsePath(text);
  if (path.kind === "refused") return path;
  const anything = { precondition: { kind: "none" }, makeParents: true } as const;
  return refuseTarget(path, walk(state, path), anything) ?? beginUpload(state, text, now);
}
