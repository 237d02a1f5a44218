import { createHash } from "node:crypto";
import type { ReplicatedState } from "./consensus/replicated-state.js";
import type { StateHash } from "./rpc/admin-service.js";

/** SHA-256 of the whole state at one index: equal on all masters that are there. */
export async function hashState(state: ReplicatedState): Promise<StateHash> {
  const image = await state.image();
  try {
    return { hex: await hashPieces(image.pieces()), index: image.index };
  } finally {
    await image.close();
  }
}

/** SHA-256, in hex. */
export async function hashPieces(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}
