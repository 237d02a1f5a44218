// What a client is told when its record was not taken, or when nobody can say.

import { assertNever, type ChunkHandle, LumeoError } from "@lumeofs/base";
import type { AppendRefusal } from "../replication/primary-state.js";

/** The record is not in the chunk by this request. */
export function refusal(why: AppendRefusal, handle: ChunkHandle): LumeoError {
  const what = `Cannot append to chunk ${handle}`;
  switch (why) {
    case "notActive":
      return new LumeoError("NOT_PRIMARY", `${what}: this server's epoch is over`);
    case "sealed":
      return new LumeoError("SEALED", `${what}: it is sealed; append to the next of its file`);
    case "full":
      return new LumeoError("SEALED", `${what}: it is full; append to the next of its file`);
    case "busy":
      return new LumeoError("OVERLOADED", `${what}: too many records wait`);
    case "otherContent":
      return new LumeoError("CONFLICT", `${what}: this number was used for another record`);
    default:
      return assertNever(why);
  }
}

/** The epoch ended before the record was known to be committed (rule 12). */
export function unknownOutcome(handle: ChunkHandle): LumeoError {
  const why = "its epoch ended first; append it again under the same number";
  return new LumeoError("UNKNOWN_OUTCOME", `The record may be in chunk ${handle} or not: ${why}`);
}
