// The core under test: the product itself, or a copy of it with a deliberate bug.

import type { ImportPatched } from "@lumeofs/testkit";
import * as primary from "../../src/replication/primary.js";
import * as replica from "../../src/replication/replica.js";

export type ReplicaPart = Pick<
  typeof replica,
  "emptyReplica" | "stepReplica" | "changeReplica" | "isWitness"
>;
export type PrimaryPart = Pick<typeof primary, "beginEpoch" | "stepPrimary">;

export interface Parts extends ReplicaPart, PrimaryPart {}

export const PRODUCT: Parts = { ...replica, ...primary };

/** The parts of a patched copy. */
export async function loadParts(load: ImportPatched): Promise<Parts> {
  const patchedReplica = await load<ReplicaPart>("replication/replica");
  const patchedPrimary = await load<PrimaryPart>("replication/primary");
  return { ...patchedReplica, ...patchedPrimary };
}
