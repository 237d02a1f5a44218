// How fresh a query is to be, and how fresh its answer was ⇄ protobuf.

import { lumeo } from "@lumeofs/proto";
import type { Consistency, Freshness, ReadWish } from "../operations.js";

type Operation = lumeo.master.v1.Operation.$Properties;
type Result = lumeo.master.v1.OperationResult;

const { CONSISTENCY_LINEARIZABLE, CONSISTENCY_LEASE, CONSISTENCY_STALE } =
  lumeo.master.v1.Consistency;

const CONSISTENCIES: { readonly [C in Consistency]: lumeo.master.v1.Consistency } = {
  linearizable: CONSISTENCY_LINEARIZABLE,
  lease: CONSISTENCY_LEASE,
  stale: CONSISTENCY_STALE,
};

/** Writes the wish into an operation. */
export function encodeWish(operation: Operation, wish: ReadWish): void {
  operation.consistency = CONSISTENCIES[wish.consistency];
  if (wish.ageMsMax !== 0) operation.ageMsMax = wish.ageMsMax;
}

export function decodeFreshness({ appliedIndex, ageMs }: Result): Freshness {
  return { appliedIndex, ageMs };
}

/** A master that does not lead, and whom it follows. */
export interface Follower {
  readonly leader: string | undefined;
}

/** Undefined if the leader has answered. */
export function decodeFollower({ byFollower, leader }: Result): Follower | undefined {
  return byFollower ? { leader: leader === "" ? undefined : leader } : undefined;
}
