import { createHash } from "node:crypto";
import type { ReplicatedState } from "./consensus/replicated-state.js";
import type { StateHash } from "./rpc/admin-service.js";

/** SHA-256 of the whole state at one index: equal on all masters that are there. */
export async function hashState(state: ReplicatedState): Promise<StateHash> {
  const image = await state.image();
  try {
    const hash = createHash("sha256");
    for await (const piece of image.pieces()) hash.update(piece);
    return { hex: hash.digest("hex"), index: image.index };
  } finally {
    await image.close();
  }
}
