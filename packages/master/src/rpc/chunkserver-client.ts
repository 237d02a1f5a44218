import { asLumeoError, type ChunkHandle } from "@lumeofs/base";
import { unary } from "@lumeofs/node/rpc";
import { ControlService } from "@lumeofs/proto";
import type { Orders, Verdict } from "../duties/orders.js";
import type { Server } from "../metadata/servers.js";
import type { ChannelPool } from "./channel-pool.js";

const DELETE_TIMEOUT_MS = 10_000;
/** A whole chunk is read from a disk that has other things to do. */
const VERIFY_TIMEOUT_MS = 30_000;

/** Orders over gRPC to the control services of chunkservers. */
export class ChunkserverClient implements Orders {
  readonly #channels: ChannelPool;

  constructor(channels: ChannelPool) {
    this.#channels = channels;
  }

  async deleteReplicas(server: Server, handles: readonly ChunkHandle[]): Promise<void> {
    const channel = this.#channels.to(server.controlAddress);
    const request = { storeUuid: server.storeUuid, handles: [...handles] };
    const options = { timeoutMs: DELETE_TIMEOUT_MS };
    await unary(channel, ControlService.deleteReplicas, request, options);
  }

  async verifyReplica(server: Server, handle: ChunkHandle): Promise<Verdict> {
    const channel = this.#channels.to(server.controlAddress);
    const options = { timeoutMs: VERIFY_TIMEOUT_MS };
    try {
      const answer = await unary(channel, ControlService.verifyReplica, { handle }, options);
      return answer.intact ? { kind: "intact" } : { kind: "bad", why: answer.damage ?? "" };
    } catch (thrown) {
      const error = asLumeoError(thrown);
      if (error.code === "REPLICA_MISSING") return { kind: "bad", why: error.message };
      throw error;
    }
  }
}
