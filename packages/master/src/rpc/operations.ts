// Executes one operation of a client and makes its answer.

import { type Clock, handleIn, type InodeId, LumeoError, type Random } from "@lumeofs/base";
import { encodeErrorDetail } from "@lumeofs/node/rpc";
import type { lumeo } from "@lumeofs/proto";
import type { TokenMint } from "../access/token-mint.js";
import type { ReadGate } from "../consensus/read-gate.js";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { Fleet } from "../fleet/servers.js";
import type { Command, Refused, Reply } from "../metadata/command.js";
import { FRESH_EPOCH, getGrant } from "../metadata/grants.js";
import { type ChunkPlace, offsetOfPosition, placeOfOffset } from "../metadata/growth.js";
import type { FileInode, Inode } from "../metadata/inode-record.js";
import { statAt } from "../metadata/past-queries.js";
import { parsePath, SNAPSHOTS_NAME } from "../metadata/path.js";
import { fileChunks, type NamedInode, stat } from "../metadata/queries.js";
import { policyAt } from "../metadata/settings.js";
import type { StateReader } from "../metadata/state.js";
import { choosePlacements } from "../placement/choose.js";
import { candidates } from "./fleet-view.js";
import { type InlineTerms, withInline } from "./inline-content.js";
import { encodeCommitted, encodeFile, encodeInode, encodePolicy } from "./inode-wire.js";
import {
  copy,
  list,
  listSnapshots,
  listTrash,
  listVersions,
  removeVersion,
} from "./kept-operations.js";
import { encodeLock, listLocks } from "./lock-operations.js";
import type { OperationRoom } from "./operation-room.js";
import type { Operation } from "./operation-wire.js";
import { type ReadWish, serveRead } from "./served-read.js";
import { encodeTail, openTail, reportTail, type TailCarers, tailOf } from "./tail-operations.js";
import { encodeLocatedChunk, encodeReplicas, errorOf, type FleetView, HOPES } from "./wire.js";

/** An answer without the operation's id. */
export type Answer = Omit<lumeo.master.v1.IOperationResult, "id">;

export interface OperationParts {
  readonly log: MetadataLog;
  readonly reads: ReadGate;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly random: Random;
  readonly mint: TokenMint;
  /** How long a client may use a grant. */
  readonly grantUsableMs: number;
  /** Label of chunkservers that fail together. */
  readonly failureDomain: string;
  readonly sessionIdleMs: number;
  readonly inline: InlineTerms;
  /** Shared by all streams of this master. */
  readonly room: OperationRoom;
  readonly tails: TailCarers;
}

type OperationOf<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

/**
 * @param wish  How fresh it must be, if it only reads.
 * @throws LumeoError for everything that is no answer: at once, or as the promise's rejection.
 */
export function execute(
  parts: OperationParts,
  operation: Operation,
  wish: ReadWish,
): Promise<Answer> {
  switch (operation.kind) {
    case "change":
      return change(parts, operation);
    case "allocate":
      return allocate(parts, operation);
    case "stat":
      return serveRead(parts, wish, (state) => statFile(parts, state, operation));
    case "list":
      return servePage(parts, wish, operation, (state) => list(state, operation));
    case "listLocks":
      return servePage(parts, wish, operation, (state) => listLocks(parts, state, operation));
    case "effectivePolicy":
      return serveRead(parts, wish, (state) => effectivePolicy(state, operation));
    case "listTrash":
      return servePage(parts, wish, operation, (state) => listTrash(state, operation));
    case "listVersions":
      return servePage(parts, wish, operation, (state) => listVersions(state, operation));
    case "listSnapshots":
      return servePage(parts, wish, operation, (state) => listSnapshots(state, operation));
    case "copy":
      return parts.tails.gate.pass([operation.wish.source, operation.wish.target], () =>
        copy(parts.log, operation),
      );
    case "removeVersion":
      return removeVersion(parts.log, operation);
    case "openTail":
      return openTail(parts, operation);
    case "reportTail":
      return reportTail(parts, operation);
  }
}

/** A read of many entries: it waits for its turn. */
function servePage(
  parts: OperationParts,
  wish: ReadWish,
  { countMax }: { readonly countMax: number },
  read: (state: StateReader) => Answer | Promise<Answer>,
): Promise<Answer> {
  return serveRead(parts, wish, (state) => parts.room.inTurn(countMax, () => read(state)));
}

export function answerOfError(error: LumeoError): Answer {
  return { error: encodeErrorDetail(error) };
}

function change(parts: OperationParts, operation: OperationOf<"change">): Promise<Answer> {
  const { request } = operation;
  const command = commandOf(parts, operation);
  if (command.kind === "commit") checkPath(command.path);
  else for (const path of pathsOf(command)) checkPath(path);
  const changed = passTails(parts, command, () => parts.log.change(command, request));
  return changed.then((reply) => answerOf(parts, command, reply));
}

/** The command that goes into the log. */
function commandOf(
  { inline }: OperationParts,
  { command, inlineBytes }: OperationOf<"change">,
): OperationOf<"change">["command"] {
  if (command.kind !== "commit" || inlineBytes === undefined) return command;
  return withInline(inline, command, inlineBytes);
}

/** What is appended to a name is sealed before the name comes to mean something else. */
function passTails<T>(
  { tails }: OperationParts,
  command: OperationOf<"change">["command"],
  work: () => Promise<T>,
): Promise<T> {
  switch (command.kind) {
    case "commit":
    case "editFile":
    case "remove":
    case "createSnapshot":
      return tails.gate.pass([command.path], work);
    case "rename":
      return tails.gate.pass([command.source, command.target], work);
    default:
      return work();
  }
}

/** What is malformed gets no place in the log. */
function checkPath(path: string): void {
  const parsed = parsePath(path);
  if (parsed.kind === "refused") throw errorOf(parsed);
}

function answerOf(
  parts: OperationParts,
  command: OperationOf<"change">["command"],
  reply: Reply,
): Answer {
  switch (reply.kind) {
    case "refused":
      throw errorOf(reply);
    case "done":
      return { done: {} };
    case "sessionOpened":
      return { sessionOpened: { session: reply.session, ...sessionTerms(parts) } };
    case "uploadBegun":
      return { uploadBegun: { upload: reply.upload } };
    case "file":
      if (command.kind !== "commit") throw unexpected(command, reply);
      return { file: encodeCommitted(command, reply) };
    case "inode":
      if (!("path" in command)) return { done: {} };
      return { file: encodeInode(command.path, reply.inode, reply.node) };
    case "locked":
      if (command.kind !== "acquireLock" && command.kind !== "renewLock") break;
      return { lock: encodeLock(parts, { name: command.name, ...reply }) };
    case "snapshotCreated": {
      if (command.kind !== "createSnapshot") break;
      const { path, name } = command;
      return { snapshot: { path, name, revision: reply.revision, createdAtMs: reply.at } };
    }
    default:
  }
  throw unexpected(command, reply);
}

function sessionTerms({ sessionIdleMs: idleMsMax, inline }: OperationParts) {
  return { idleMsMax, inlineBytesMax: inline.bytesMax };
}

/** Paths that must be well formed, whatever the state. */
function pathsOf(command: OperationOf<"change">["command"]): readonly string[] {
  switch (command.kind) {
    case "rename":
      return [command.source, command.target];
    case "restoreTrash":
      return command.target === undefined ? [] : [command.target];
    default:
      return "path" in command ? [command.path] : [];
  }
}

async function allocate(
  parts: OperationParts,
  operation: OperationOf<"allocate">,
): Promise<Answer> {
  const { log, fleet, clock, random, failureDomain } = parts;
  log.checkLeading();
  const now = clock.monotonicMs();
  const servers = await candidates({ state: log.local, fleet, now, failureDomain });
  const { replicas, areUnits, grants: count, avoid } = operation;
  const wish = { replicas, areUnits, count, avoid };
  const placed = choosePlacements(servers, wish, random);
  if (placed.kind === "refused") throw errorOf(placed);
  const { handles, request } = operation;
  const command: Command = { kind: "allocate", placements: placed.placements, handles };
  const reply = await log.change(command, request);
  if (reply.kind === "refused") throw errorOf(reply);
  if (reply.kind !== "allocated") throw unexpected(command, reply);
  const view = { state: log.local, fleet, now: clock.monotonicMs() };
  const terms = { epoch: FRESH_EPOCH, lifeMs: parts.grantUsableMs };
  const grants = reply.grants.flatMap((id) => {
    // The first answer to this request may be old: what the grants hold is in the state.
    const grant = getGrant(log.local, id);
    if (grant === undefined) return [];
    const [firstHandle, handleCount] = [handleIn(id, 0), grant.handles];
    const token = parts.mint.forGrant(log.local, { firstHandle, handleCount, ...terms });
    return [
      {
        firstHandle,
        handleCount,
        epoch: FRESH_EPOCH,
        replicas: encodeReplicas(view, grant.members, undefined),
        usableMs: parts.grantUsableMs,
        token,
      },
    ];
  });
  if (grants.length === 0) {
    throw new LumeoError("GRANT_EXPIRED", "Cannot answer an old request: its grants have expired");
  }
  return { allocated: { grants } };
}

/** At once, unless it may take a walk through the past. */
function statFile(
  parts: OperationParts,
  state: StateReader,
  operation: OperationOf<"stat">,
): Answer | Promise<Answer> {
  const { path, version } = operation;
  if (version === 0 && !path.includes(SNAPSHOTS_NAME)) {
    return tellFile(parts, state, operation, stat(state, path));
  }
  const asked = { path, version: version === 0 ? undefined : version };
  return statAt(state, asked).then((found) => tellFile(parts, state, operation, found));
}

function tellFile(
  parts: OperationParts,
  state: StateReader,
  operation: OperationOf<"stat">,
  found: NamedInode | Refused,
): Answer {
  const { revision, chunkCountMax } = operation;
  if (found.kind === "refused") throw errorOf(found);
  const { inode } = found;
  if (revision !== undefined && !shows(inode, revision)) {
    const what = `Cannot go on reading ${JSON.stringify(found.path)}`;
    throw new LumeoError("CONFLICT", `${what}: it was replaced since revision ${revision}`);
  }
  const info = encodeFile(found.path, found);
  if (inode.kind === "directory") return { stat: { info, chunks: [] } };
  if (chunkCountMax === 0 && inode.tail === undefined) return { stat: { info, chunks: [] } };
  const { mint } = parts;
  const { withLabels } = operation;
  const view = { ...fleetView(parts, state), mint, withLabels, withInlineBytes: true };
  const file = { id: found.id, inode };
  const first = placeOf(state, file, operation);
  const window = { first: first.position, countMax: chunkCountMax };
  const chunks = chunkCountMax === 0 ? [] : fileChunks(state, file, window);
  const isNow = operation.version === 0 && !found.path.includes(SNAPSHOTS_NAME);
  const growing = isNow ? tailOf(state, inode) : undefined;
  return {
    stat: {
      info,
      chunks: chunks.map(({ handle, chunk }) => encodeLocatedChunk(view, handle, chunk)),
      firstChunk: first.position,
      firstChunkOffset: first.offset,
      ...(growing === undefined ? {} : { tail: encodeTail(parts, view, growing, inode.sizeBytes) }),
    },
  };
}

/** Whether a content still is as it was at a revision, but for what was appended since. */
function shows(inode: Inode, revision: number): boolean {
  if (inode.revision === revision) return true;
  if (inode.kind === "directory" || inode.grownSince === undefined) return false;
  return inode.grownSince <= revision && revision < inode.revision;
}

/** Where the chunks of an answer begin. */
function placeOf(
  state: StateReader,
  file: { readonly id: InodeId; readonly inode: FileInode },
  { firstChunk, offset }: OperationOf<"stat">,
): ChunkPlace {
  if (offset !== undefined) return placeOfOffset(state, file, offset);
  return { position: firstChunk, offset: offsetOfPosition(state, file, firstChunk) };
}

async function effectivePolicy(
  state: StateReader,
  operation: OperationOf<"effectivePolicy">,
): Promise<Answer> {
  const policy = policyAt(state, operation.path);
  if (policy.kind === "refused") throw errorOf(policy);
  return { policy: encodePolicy(policy) };
}

function fleetView(parts: OperationParts, state: StateReader): FleetView {
  const fleet = parts.log.isLeading ? parts.fleet : HOPES;
  return { state, fleet, now: parts.clock.monotonicMs() };
}

function unexpected(command: Command, reply: Reply): LumeoError {
  return new LumeoError("INTERNAL", `Command ${command.kind} was answered by ${reply.kind}`);
}
