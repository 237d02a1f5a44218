// What the masters say about the writing of growing chunks: proto → the SDK's own words.

import { lumeo } from "@lumeofs/proto";
import type { LocatedChunk } from "../operations.js";
import { decodeLocated } from "./wire.js";
import { broken } from "./wire-fields.js";

const { TAIL_STATE_ACTIVE } = lumeo.master.v1.TailState;

/** A chunk to which records are appended, with what the masters know about its writing. */
export interface GrowingChunk extends LocatedChunk {
  /** Of its file; empty if it has lost its name. */
  readonly path: string;
  /** Granted: no append is acknowledged before the epoch is active. */
  readonly state: "granted" | "active";
  /** Bytes that its primary said were committed, some time ago. */
  readonly committedBytes: number;
  /** How long ago the leader gave its primary a lease that may still run; undefined: none runs. */
  readonly leaseAgeMs: number | undefined;
  /** The epoch that was active last. */
  readonly activeEpoch: number;
  /** Why nothing can be appended now, with the way out; empty if nothing is known. */
  readonly obstacle: string;
}

/** What is kept of a growing chunk that cannot go on, and what is given up. */
export interface SalvagedChunk {
  /** Of its file; empty if it has lost its name. */
  readonly path: string;
  /** Servers of which everything is kept. Without any, all that was not sealed is gone. */
  readonly survivors: readonly string[];
  /** Servers that are lost: what only these had is given up. */
  readonly lost: readonly string[];
}

export function decodeSalvaged({
  path,
  survivors,
  lost,
}: lumeo.master.v1.SalvageChunkResponse.$Properties): SalvagedChunk {
  return { path: path ?? "", survivors: [...(survivors ?? [])], lost: [...(lost ?? [])] };
}

/** A page of those that there are now. */
export function decodeGrowingPage({
  tails,
}: lumeo.master.v1.ListTailsResponse.$Properties): readonly GrowingChunk[] {
  return (tails ?? []).map(({ chunk, tail }) => {
    if (chunk == null || tail == null) throw broken("a growing chunk of which nothing is said");
    return decodeGrowing(decodeLocated(chunk), tail);
  });
}

export function decodeGrowing(
  chunk: LocatedChunk,
  tail: lumeo.master.v1.TailAuthority.$Properties,
): GrowingChunk {
  return {
    ...chunk,
    path: tail.path ?? "",
    state: tail.state === TAIL_STATE_ACTIVE ? "active" : "granted",
    committedBytes: tail.committedBytes ?? 0,
    leaseAgeMs: tail.leased ? (tail.leaseAgeMs ?? 0) : undefined,
    activeEpoch: tail.activeEpoch ?? 0,
    obstacle: tail.obstacle ?? "",
  };
}
