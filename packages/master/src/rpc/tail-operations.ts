// What clients ask about tails: where to append, and that a primary cannot be reached.

import { type Clock, isActive, LumeoError, type ServerId } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { TailGate } from "../duties/tails/tail-gate.js";
import { stuckError, type TailKeeper } from "../duties/tails/tail-keeper.js";
import type { ChunkRecord } from "../metadata/chunk-table.js";
import type { FileInode } from "../metadata/inode-record.js";
import { stat } from "../metadata/queries.js";
import type { StateReader } from "../metadata/state.js";
import { getTail, type NumberedTail } from "../metadata/tail-table.js";
import { fileOf } from "../metadata/tails.js";
import { livePath } from "../metadata/tree.js";
import { choosePlacements } from "../placement/choose.js";
import { candidates } from "./fleet-view.js";
import { encodeFile } from "./inode-wire.js";
import type { Operation } from "./operation-wire.js";
import type { Answer, OperationParts } from "./operations.js";
import { encodeReplicas, errorOf, type FleetView } from "./wire.js";

type OperationOf<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

/** What looks after tails on this master. */
export interface TailCarers {
  readonly gate: TailGate;
  readonly keeper: TailKeeper;
}

/** A tail that is being sealed is asked for again after this. */
const SEALING_RETRY_MS = 50;

/** Where to append to a path: its tail, which begins now if it has none. */
export async function openTail(
  parts: OperationParts,
  operation: OperationOf<"openTail">,
): Promise<Answer> {
  const { log, tails } = parts;
  const { path, sealed } = operation;
  const known = tailAt(await log.read(), path);
  if (known !== undefined) refuseStuck(parts, path, known);
  if (known !== undefined && known.handle !== sealed) return tellTail(parts, path, known);
  if (known !== undefined) {
    // Its primary takes no more. Should that one be gone, the next one has to seal it, too.
    void tails.keeper.wantSeal(known.handle, "an appender was refused");
    throw beingSealed(path);
  }
  const opened = await tails.gate.open(path, () => propose(parts, operation));
  await tails.keeper.attend(opened);
  const tail = getTail(log.local, opened);
  if (tail === undefined) throw beingSealed(path); // by somebody who was in a hurry
  return tellTail(parts, path, { handle: opened, tail });
}

/** The primary is looked after; whoever complains asks again for the place. */
export async function reportTail(
  { log, tails }: OperationParts,
  { handle, epoch, why }: OperationOf<"reportTail">,
): Promise<Answer> {
  log.checkLeading();
  await tails.keeper.complain(handle, { epoch, isOver: false, why: `a client: ${why}` });
  return { done: {} };
}

/** The tail of the file at a path, if it has one. */
export function tailAt(state: StateReader, path: string): NumberedTail | undefined {
  const found = stat(state, path);
  if (found.kind === "refused" || found.inode.kind !== "file") return undefined;
  return tailOf(state, found.inode);
}

/** The tail of a file, if it has one. */
export function tailOf(
  state: StateReader,
  file: Pick<FileInode, "tail">,
): NumberedTail | undefined {
  const handle = file.tail;
  const tail = handle === undefined ? undefined : getTail(state, handle);
  return handle === undefined || tail === undefined ? undefined : { handle, tail };
}

/** Where it is, for whoever may append to it and read it. */
export function encodeTail(
  parts: OperationParts,
  view: FleetView,
  { handle, tail }: NumberedTail,
  offset: number,
): lumeo.master.v1.ITailLocation {
  const { newest } = tail.authority;
  const others = newest.members.filter((member) => member !== newest.primary);
  return {
    handle,
    epoch: newest.epoch,
    replicas: encodeReplicas(view, [newest.primary, ...others], handle),
    offset,
    committedBytes: parts.log.isLeading ? parts.tails.keeper.leases.committedBytes(handle) : 0,
    token: parts.mint.forChunk(view.state, ["append", "read"], { handle, epoch: undefined }),
  };
}

/** What operators are told of the writing of a chunk; undefined for one that is no tail. */
export function describeTail(
  parts: { readonly clock: Clock; readonly keeper: TailKeeper },
  state: StateReader,
  { handle, tail }: NumberedTail,
): lumeo.master.v1.ITailAuthority {
  const { TailState } = lumeo.master.v1;
  const { authority } = tail;
  const { leases } = parts.keeper;
  const ageMs = leases.ageMs(handle, parts.clock.monotonicMs());
  const file = fileOf(state, handle, tail);
  const directory = file === undefined ? undefined : livePath(state, tail.place.parent);
  return {
    state: isActive(authority) ? TailState.TAIL_STATE_ACTIVE : TailState.TAIL_STATE_GRANTED,
    committedBytes: leases.committedBytes(handle),
    leased: ageMs !== undefined,
    leaseAgeMs: Math.ceil(ageMs ?? 0),
    activeEpoch: authority.lastActive.epoch,
    activeServerIds: [...authority.lastActive.members],
    path: directory === undefined ? "" : `${directory === "/" ? "" : directory}/${tail.place.name}`,
    obstacle: stuckError("It cannot go on", parts.keeper, state, { handle, tail })?.message ?? "",
  };
}

/** As if it were sealed now: where it is, and how long its primary says that it is. */
export function growingAsChunk(
  keeper: TailKeeper,
  { handle, tail: { inode, authority } }: NumberedTail,
): ChunkRecord {
  const { epoch, primary, members: granted } = authority.newest;
  const members = [primary, ...granted.filter((member) => member !== primary)];
  const lengthBytes = keeper.leases.committedBytes(handle);
  const nothing = { releasedAt: undefined, sharers: 0, isForked: false, isInline: false };
  const plain = { ...nothing, coding: undefined, listedAs: undefined };
  return { epoch, lengthBytes, crc32c: 0, inode, members, ...plain };
}

async function propose(parts: OperationParts, operation: OperationOf<"openTail">) {
  const { log, fleet, clock, random, failureDomain } = parts;
  const { path, create, makeParents, replicas: wished } = operation;
  log.checkLeading();
  const found = stat(log.local, path);
  const isFile = found.kind === "found" && found.inode.kind === "file";
  const replicas = isFile && found.inode.kind === "file" ? found.inode.replicas : wished;
  const now = clock.monotonicMs();
  const servers = await candidates({ state: log.local, fleet, now, failureDomain });
  const wish = { replicas, areUnits: false, count: 1, avoid: new Set<ServerId>() };
  const placed = choosePlacements(servers, wish, random);
  if (placed.kind === "refused") throw errorOf(placed);
  const members = placed.placements[0] ?? [];
  const command = { kind: "openTail", path, create, makeParents, replicas, members } as const;
  const reply = await log.change(command);
  if (reply.kind === "refused") throw errorOf(reply);
  if (reply.kind === "tailOpened") return reply.handle;
  throw new LumeoError("INTERNAL", `Command openTail was answered by ${reply.kind}`);
}

function tellTail(parts: OperationParts, path: string, numbered: NumberedTail): Answer {
  const { log: metadata, fleet, clock } = parts;
  const found = stat(metadata.local, path);
  if (found.kind === "refused") throw errorOf(found);
  if (found.inode.kind !== "file" || found.inode.tail !== numbered.handle) throw beingSealed(path);
  const view = { state: metadata.local, fleet, now: clock.monotonicMs() };
  const tail = encodeTail(parts, view, numbered, found.inode.sizeBytes);
  return { tailOpened: { tail, info: encodeFile(path, found) } };
}

/** Nobody tries in vain, and the error says why. */
function refuseStuck({ log, tails }: OperationParts, path: string, known: NumberedTail): void {
  const what = `Cannot append to ${JSON.stringify(path)}`;
  const error = stuckError(what, tails.keeper, log.local, known);
  if (error !== undefined) throw error;
}

function beingSealed(path: string): LumeoError {
  const what = `Cannot append to ${JSON.stringify(path)} for a moment`;
  const retryAfterMs = SEALING_RETRY_MS;
  return new LumeoError("UNAVAILABLE", `${what}: what was appended is being sealed`, {
    retryAfterMs,
  });
}
