// Proto ⇄ domain, for what several services share. Fields of the wire may be missing, and numbers
// may be too large for a number: here they become domain values or INVALID_ARGUMENT.

import {
  CHUNK_BYTES_DEFAULT,
  type ChunkHandle,
  chunkHandle,
  type Epoch,
  epoch,
  type InodeId,
  inodeId,
  LumeoError,
  type MonotonicMs,
  type ServerId,
  type SessionId,
  serverId,
  sessionId,
} from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { TokenMint } from "../access/token-mint.js";
import type { Fleet, Liveness } from "../fleet/servers.js";
import type { ChunkRecord } from "../metadata/chunk-table.js";
import type { Refused, SealedChunk } from "../metadata/command.js";
import { getInlineBytes } from "../metadata/inline-table.js";
import { labelsOf } from "../metadata/nodes.js";
import { getServer } from "../metadata/servers.js";
import type { StateView } from "../metadata/state.js";
import { decodeCoding, encodeChunkRef } from "./coding-wire.js";
import { decodeId, decodeNumber, type Field, invalid } from "./field-wire.js";

const { ReplicaRole, ServerState } = lumeo.common.v1;

export function decodeHandle(value: Field<number>): ChunkHandle {
  return chunkHandle(decodeId(value, "chunk handle"));
}

export function decodeEpoch(value: Field<number>): Epoch {
  return epoch(decodeId(value, "epoch"));
}

export function decodeServerId(value: Field<number>): ServerId {
  return serverId(decodeId(value, "server id"));
}

export function decodeSessionId(value: Field<number>): SessionId {
  return sessionId(decodeId(value, "session"));
}

export function decodeInodeId(value: Field<number>, name: string): InodeId {
  return inodeId(decodeId(value, name));
}

export function decodeText(value: Field<string>, name: string, lengthMax: number): string {
  const text = value ?? "";
  if (text === "") throw invalid(`${name} is missing`);
  if (lengthMax < text.length) throw invalid(`${name} is longer than ${lengthMax} characters`);
  return text;
}

export function decodeChunks(refs: Field<readonly lumeo.common.v1.IChunkRef[]>): SealedChunk[] {
  return (refs ?? []).map((ref) => ({
    handle: decodeHandle(ref.handle),
    epoch: decodeEpoch(ref.epoch),
    lengthBytes: decodeLength(ref.lengthBytes),
    crc32c: decodeNumber(ref.crc32c, "chunk checksum"),
    coding: ref.coding ? decodeCoding(ref.coding) : undefined,
  }));
}

function decodeLength(value: Field<number>): number {
  const length = decodeNumber(value, "chunk length");
  if (length <= CHUNK_BYTES_DEFAULT) return length;
  throw invalid(`chunk length is ${length}, at most ${CHUNK_BYTES_DEFAULT}`);
}

/** A refusal of the state machine, as the error that its caller gets. */
export function errorOf(refused: Refused): LumeoError {
  return new LumeoError(refused.code, refused.message);
}

export function encodeLiveness(liveness: Liveness): lumeo.common.v1.ServerState {
  switch (liveness) {
    case "alive":
      return ServerState.SERVER_STATE_ALIVE;
    case "suspect":
      return ServerState.SERVER_STATE_SUSPECT;
    case "dead":
      return ServerState.SERVER_STATE_DEAD;
  }
}

/** What readers are told of the servers. */
export type FleetBeliefs = Pick<Fleet, "liveness" | "isDamaged">;

/**
 * Only the leader hears the servers. What another master knows is where copies are: the reader
 * tries them, and finds out by itself which are good.
 */
export const HOPES: FleetBeliefs = { liveness: () => "alive", isDamaged: () => false };

/** What is known of the servers when an answer is made. */
export interface FleetView {
  /** Whoever is told where a chunk is may read it; undefined where that is not for readers. */
  readonly mint?: TokenMint | undefined;
  /** The answer is for readers: of a chunk that the masters keep it has the bytes. */
  readonly withInlineBytes?: boolean | undefined;
  /** The asker wants to know where the servers stand. */
  readonly withLabels?: boolean | undefined;
  readonly state: StateView;
  readonly fleet: FleetBeliefs;
  readonly now: MonotonicMs;
}

/**
 * Where copies are, the primary first; `handle` undefined for a grant, whose copies are not yet.
 */
export function encodeReplicas(
  view: FleetView,
  members: readonly ServerId[],
  handle: ChunkHandle | undefined,
): lumeo.common.v1.IReplicaLocation[] {
  return members.map((id, i) => {
    const server = getServer(view.state, id);
    const isWanted = view.withLabels === true && server !== undefined;
    return {
      ...(isWanted ? { labels: labelsOf(view.state, server) } : {}),
      serverId: id,
      name: server?.name ?? "",
      address: server?.dataAddress ?? "",
      role: i === 0 ? ReplicaRole.REPLICA_ROLE_PRIMARY : ReplicaRole.REPLICA_ROLE_SECONDARY,
      state: encodeLiveness(server?.isRetired ? "dead" : view.fleet.liveness(id, view.now)),
      damaged: handle !== undefined && view.fleet.isDamaged(id, handle),
    };
  });
}

export function encodeLocatedChunk(
  view: FleetView,
  handle: ChunkHandle,
  chunk: ChunkRecord,
): lumeo.common.v1.ILocatedChunk {
  const { epoch: sealedAt, lengthBytes, crc32c, members } = chunk;
  const ref = encodeChunkRef({
    handle,
    epoch: sealedAt,
    lengthBytes,
    crc32c,
    coding: chunk.coding,
  });
  if (chunk.isInline) {
    const bytes = view.withInlineBytes === true ? getInlineBytes(view.state, handle) : undefined;
    return { chunk: ref, inline: true, ...(bytes === undefined ? {} : { inlineBytes: bytes }) };
  }
  return {
    chunk: ref,
    replicas: encodeReplicas(view, members, handle),
    ...(view.mint === undefined
      ? {}
      : { token: view.mint.forChunk(view.state, ["read"], { handle, epoch: sealedAt }) }),
  };
}
