import type { ChunkHandle } from "@lumeofs/base";
import type { Server } from "../metadata/servers.js";

export type Verdict =
  | { readonly kind: "intact" }
  /** The server has read its copy and found it damaged, or has none. */
  | { readonly kind: "bad"; readonly why: string };

/** Orders to chunkservers. Each throws a LumeoError if the server cannot be reached or refuses. */
export interface Orders {
  /** Deletes copies that nobody needs any more. Those that are not there are no error. */
  deleteReplicas(server: Server, handles: readonly ChunkHandle[]): Promise<void>;
  /** Has a copy read from the disk and every block of it checked. */
  verifyReplica(server: Server, handle: ChunkHandle): Promise<Verdict>;
}
