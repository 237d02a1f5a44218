// Orders about tails, over gRPC to the primaries.

import { type ChunkHandle, type Epoch, LumeoError } from "@lumeofs/base";
import { unary } from "@lumeofs/node/rpc";
import { lumeo, TailOrderService } from "@lumeofs/proto";
import type { Holder } from "../duties/orders.js";
import type { EpochOrder, TailOrders } from "../duties/tails/tail-orders.js";
import type { Server } from "../metadata/servers.js";
import type { ChannelPool } from "./channel-pool.js";

/** A primary that takes longer to answer is as good as gone: clients are waiting. */
const BEGIN_TIMEOUT_MS = 1_000;
/** What is under way becomes durable, and a majority keeps the chunk as a sealed one. */
const SEAL_TIMEOUT_MS = 10_000;

export class TailOrderClient implements TailOrders {
  readonly #channels: ChannelPool;

  constructor(channels: ChannelPool) {
    this.#channels = channels;
  }

  async beginEpoch(primary: Server, order: EpochOrder): Promise<"begun" | "ended"> {
    const { handle, epoch, members, previous, token } = order;
    const request = {
      storeUuid: primary.storeUuid,
      handle,
      epoch,
      members: members.map(encodeHolder),
      previousEpoch: previous?.epoch ?? 0,
      previousMembers: (previous?.members ?? []).map(encodeHolder),
      token,
    };
    const channel = this.#channels.to(primary.controlAddress);
    const options = { timeoutMs: BEGIN_TIMEOUT_MS };
    const { standing } = await unary(channel, TailOrderService.beginEpoch, request, options);
    const { EpochStanding } = lumeo.chunkserver.v1;
    if (standing === EpochStanding.EPOCH_STANDING_BEGUN) return "begun";
    if (standing === EpochStanding.EPOCH_STANDING_ENDED) return "ended";
    throw new LumeoError("PROTOCOL", "A chunkserver answered an epoch with no standing");
  }

  async sealTail(
    primary: Server,
    { handle, epoch }: { readonly handle: ChunkHandle; readonly epoch: Epoch },
    signal: AbortSignal,
  ): Promise<boolean> {
    const channel = this.#channels.to(primary.controlAddress);
    const request = { storeUuid: primary.storeUuid, handle, epoch };
    const options = { timeoutMs: SEAL_TIMEOUT_MS, signal };
    const answer = await unary(channel, TailOrderService.sealTail, request, options);
    return answer.sealed ?? false;
  }
}

function encodeHolder({ id, server }: Holder) {
  return { serverId: id, dataAddress: server.dataAddress };
}
